"Drift that is none, drift that was planted, and versions that survive what may happen to a folder."

import json

import numpy as np
import pandas as pd
import pytest
from builders import encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, hypergeom, ks_2samp
from threadpoolctl import threadpool_limits

from prodrec.apps import monitor
from prodrec.apps.monitor import (
    Observed,
    advise,
    drift,
    psi,
    quality,
    quality_figure,
    retrain,
    two_sample_test,
)
from prodrec.apps.workspace import Versions
from prodrec.data.catalog import Catalog
from prodrec.recommend.history import History
from prodrec.stats import wilson_interval


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    "What is multiplied here is so small that threads only wait for each other."
    with threadpool_limits(1):
        yield


NAMES = np.array(["boot", "cap", "dress", "mug"], object)


def sample(n: int, seed: int, dims: int = 12) -> Observed:
    "Products whose text foretells category and picture, as a shop's do."
    draw = np.random.default_rng(seed)
    kind = draw.integers(4, size=n)
    text = np.eye(dims, dtype=np.float32)[kind] + 0.3 * draw.normal(size=(n, dims)).astype(
        np.float32
    )
    image = text @ np.random.default_rng(99).normal(size=(dims, dims)) + 0.5 * draw.normal(
        size=(n, dims)
    )
    facts = {
        "brightness": draw.normal(0.6, 0.15, n),
        "confidence": draw.beta(8, 2, n),
        "category": NAMES[kind],
    }
    return Observed(pd.DataFrame(facts), {"image": image, "text": text})


LEARNED, REFERENCE = sample(600, 1), sample(600, 2)


def changed(new: Observed, **facts) -> Observed:
    return Observed(new.facts.assign(**facts), new.vectors)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=50),
    st.lists(st.floats(-5, 5), min_size=1, max_size=50),
)
@settings(deadline=None)
def test_the_index_is_never_negative_and_nothing_for_the_same(a, b):
    assert psi(a, b) >= 0 and psi(a, a) == pytest.approx(0, abs=1e-12)


def test_the_index_is_its_formula():
    p, q = np.array([30.5, 70.5]) / 101, np.array([60.5, 40.5]) / 101
    old, new = ["a"] * 30 + ["b"] * 70, ["a"] * 60 + ["b"] * 40
    assert psi(old, new) == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert psi(old, [*new[:-1], None]) > psi(old, new)  # what is missing is a value too


def test_two_samples_of_one_distribution_are_told_apart_as_often_as_chance_has_it():
    draw = np.random.default_rng(0)
    p = [two_sample_test(*draw.normal(size=(2, 120, 8)), seed=n)[1] for n in range(100)]
    assert ks_2samp(p, draw.uniform(size=5_000)).pvalue > 1e-3


def test_false_alarms_are_rare():
    alarms = [drift(REFERENCE, sample(300, 100 + n), LEARNED).alarms for n in range(30)]
    assert sum(map(bool, alarms)) <= 2, [a for a in alarms if a]


def test_a_long_tail_of_names_is_no_alarm():
    "In each sample there are names that are in no other: that alone says nothing."
    share = 1 / np.arange(1, 300)
    draw = np.random.default_rng(0)

    def tail(n: int) -> Observed:
        return Observed(
            pd.DataFrame(
                {"category": [f"c{i}" for i in draw.choice(299, n, p=share / share.sum())]}
            ),
            {},
        )

    found = [
        (old, new, drift(old, new)) for old, new in ((tail(400), tail(200)) for _ in range(30))
    ]
    assert all(len(set(new.facts.category) - set(old.facts.category)) > 5 for old, new, _ in found)
    assert sum(bool(d.alarms) for *_, d in found) <= 1
    old, new, _ = found[0]
    assert drift(
        old, changed(new, category=new.facts.category.where(new.facts.index >= 12, "kayak"))
    ).alarms


@pytest.mark.parametrize("seed", range(3))
def test_what_was_planted_is_found_and_named(seed):
    new = sample(300, 200 + seed)
    draw = np.random.default_rng(seed)
    some = draw.permutation(300)[:90]  # 30 % of the products
    darker = changed(new, brightness=new.facts.brightness - 0.1)
    shifted = changed(new, category=new.facts.category.where(~new.facts.index.isin(some), "boot"))
    fresh = changed(new, category=new.facts.category.where(new.facts.index >= 15, "kayak"))  # 5 %
    texts = new.vectors["text"].copy()
    texts[some] = np.roll(texts[some], 1, axis=0)
    swapped = Observed(new.facts, new.vectors | {"text": texts})
    assert drift(REFERENCE, darker, LEARNED).alarms == ["brightness"]
    assert "category" in drift(REFERENCE, shifted, LEARNED).alarms
    found = drift(REFERENCE, fresh, LEARNED)
    assert "category" in found.alarms and "kayak" in found.table.detail["category"]
    assert set(drift(REFERENCE, swapped, LEARNED).alarms) & {
        "text and picture, together",
        "text and category, together",
    }


def test_what_is_certain_but_small_is_no_alarm():
    many, new = sample(6_000, 5), sample(6_000, 6)
    found = drift(many, changed(new, brightness=new.facts.brightness + 0.02))
    assert found.table.p["brightness"] < 0.01 and found.alarms == []


def test_the_advice_is_json_and_says_why():
    found = drift(REFERENCE, changed(sample(300, 7), confidence=0.4), LEARNED)
    advice = json.loads(json.dumps(advise(found, grown=0.5)))
    assert advice["retrain"] and len(advice["reasons"]) == len(found.alarms) + 1
    assert advice["drift"]["products"] == {"reference": 600, "new": 300}
    assert advise()["retrain"] is False


def test_samples_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="observed alike"):
        drift(REFERENCE, Observed(REFERENCE.facts[["brightness"]], {}))
    with pytest.raises(ValueError, match="20 products, received 600 and 10"):
        drift(REFERENCE, REFERENCE[np.arange(10)])
    with pytest.raises(ValueError, match="0 in `new`"):
        psi([1, 2], [])


def test_holm_by_hand():
    assert monitor.holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_one_name_that_doubled_is_certain_among_many():
    names = np.array([f"c{n}" for n in range(20)], object)
    usual, doubled = np.full(20, 0.05), np.array([0.1] + [0.9 / 19] * 19)
    found = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        sides = (
            Observed(pd.DataFrame({"category": draw.choice(names, 1_000, p=p)}), {})
            for p in (usual, doubled)
        )
        found.append(drift(*sides).table.p["category"] < 0.01)
    assert sum(found) >= 8


def test_a_week_of_feedback_begins_on_monday():
    events = pd.DataFrame({"user": list("abc"), "id": "a", "event": "like"})
    events["time"] = pd.to_datetime(["2024-01-01 00:00", "2024-01-07 23:59", "2024-01-08 00:00"])
    assert quality(History(events)).index.strftime("%a %d").tolist() == ["Mon 01", "Mon 08"]


def test_one_person_is_one_opinion():
    "Who dislikes fifty times is one who is discontent; without names each event counts."
    weeks = pd.date_range("2024-01-01", periods=3, freq="7D")
    rows = [(f"u{n}", "like", week) for week in weeks for n in range(30)] + [
        ("u0", "dislike", weeks[-1])
    ] * 50
    history = History(pd.DataFrame(rows, columns=["user", "event", "time"]).assign(id="a"))
    last, each = quality(history).iloc[-1], quality(history, once=False).iloc[-1]
    assert (last.good, last.bad, last.opinions) == (30, 50, 30) and last.share == pytest.approx(
        (29 + 1 / 51) / 30
    )
    assert last.p > 0.2 and each.opinions == 80 and each.share == 30 / 80 and each.p < 1e-6


def test_quality_needs_times_and_judgements():
    events = pd.DataFrame({"user": ["u"], "id": ["a"], "event": ["view"], "time": ["2024-01-01"]})
    with pytest.raises(ValueError, match="no event of the kinds"):
        quality(History(events))
    with pytest.raises(ValueError, match="no times"):
        quality(History(events.drop(columns="time")))


# -- replacing a model


class Thing:
    def __init__(self, value: float):
        self.value = value

    def save(self, path):
        path.mkdir()
        (path / "value").write_text(str(self.value))

    @classmethod
    def load(cls, path):
        return cls(float((path / "value").read_text()))


def replace(versions: Versions, value: float) -> dict:
    return retrain(versions, Thing.load, lambda: Thing(value), lambda thing: thing.value)


def test_only_what_is_as_good_is_taken_and_the_way_back(tmp_path):
    versions = Versions(tmp_path)
    assert versions.current is None
    assert [replace(versions, v)["swapped"] for v in (0.5, 0.4, 0.5, 0.9)] == [
        True,
        False,
        True,
        True,
    ]
    assert versions.to_frame().score.tolist() == [0.5, 0.4, 0.5, 0.9]
    assert [versions.current, versions.rollback(), versions.rollback()] == ["0004", "0003", "0001"]
    with pytest.raises(ValueError, match="nothing to go back to"):
        versions.rollback()
    versions.use("0002")
    assert Thing.load(versions.folder()).value == 0.4
    with pytest.raises(KeyError, match="'0009'; those are 0001, 0002"):
        versions.use("0009")


def test_a_training_that_fails_changes_nothing(tmp_path):
    versions = Versions(tmp_path)
    replace(versions, 0.5)
    with pytest.raises(ValueError, match="must be a number"):
        replace(versions, float("nan"))
    with pytest.raises(RuntimeError, match="out of memory"):
        retrain(
            versions,
            Thing.load,
            lambda: (_ for _ in ()).throw(RuntimeError("out of memory")),
            lambda thing: 1,
        )
    assert versions.current == "0001" and len(versions.to_frame()) == 1


# -- figures


def test_a_figure_of_feedback_without_a_bad_word():
    "A share of 1 has an upper end that rounding may put below it."
    events = [
        (f"u{n}", "p", "like", f"2024-01-{day:02d}")
        for day in (1, 8, 15)
        for n in range(n_users(day))
    ]
    history = History(pd.DataFrame(events, columns=["user", "id", "event", "time"]))
    assert quality_figure(quality(history)).get_title() == "Feedback no worse than before"


def n_users(day: int) -> int:
    return 3 * day + 4


def test_a_figure_of_drift_names_what_changed():
    found = drift(REFERENCE, changed(sample(300, 7), confidence=0.4), LEARNED)
    ax = found.figure()
    assert "1 of" in ax.get_title() and ax.get_xlabel().startswith("population stability")


def test_many_signals_are_not_judged_one_by_one():
    "Of 40 signals one has p = .002 by itself: among 40 that is no alarm."
    draw = np.random.default_rng(0)
    old = {f"s{n}": draw.normal(size=200) for n in range(40)}
    new = {name: draw.normal(size=200) for name in old}
    new["s7"] = draw.normal(0.31, 1, 200)
    sides = [Observed(pd.DataFrame(facts), {}) for facts in (old, new)]
    table = drift(*sides, alpha=0.05, min_psi=0.0).table
    alone = pd.Series({name: ks_2samp(old[name], new[name]).pvalue for name in old})
    assert 0.0005 < alone["s7"] < 0.02 and alone.idxmin() == "s7"
    expected, running = {}, 0.0  # Holm's rule, step by step
    for n, (name, p) in enumerate(alone.sort_values().items()):
        running = max(running, min(1.0, (40 - n) * p))
        expected[name] = running
    pd.testing.assert_series_equal(
        table["p"].sort_index(), pd.Series(expected).sort_index(), check_names=False
    )
    assert not table["alarm"].any() and (alone < 0.05).any()


def test_one_of_many_names_is_not_judged_alone():
    old = pd.Series(np.repeat([f"c{n}" for n in range(50)], 20))
    fresh = pd.Series(np.repeat([f"c{n}" for n in range(50)], [45, *[20] * 48, 5]))
    _, found = monitor._names_p(old, fresh)
    alone = hypergeom.sf(45 - 1, 2010, 65, 1010)  # of the name that grew most
    assert alone < 0.01 and found == pytest.approx(2 * 50 * alone, rel=1e-6)


def test_facts_of_pictures_are_shares(catalog_of_two):
    facts = monitor.picture_facts(catalog_of_two)
    np.testing.assert_allclose(facts.loc["white"], [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(facts.loc["red"], [1 / 3, 0, 1], atol=0.02)


def test_a_change_of_exactly_the_least_size_is_one():
    old = Observed(pd.DataFrame({"kind": np.repeat(["a", "b"], 200)}), {})
    new = Observed(pd.DataFrame({"kind": np.repeat(["a", "b"], [320, 80])}), {})
    size = float(drift(old, new).table["psi"].iloc[0])
    assert drift(old, new, min_psi=size).table["alarm"].all()
    assert not drift(old, new, min_psi=np.nextafter(size, 9)).table["alarm"].any()


# -- by hand


def index_of(p, q) -> float:
    "The stability index of two lists of counts, half a product added to each."
    p, q = (np.array(counts) + 0.5 for counts in (p, q))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def test_numbers_are_put_into_bins_of_the_reference():
    "Ten bins of ten numbers each; the new sample fills the first five of them."
    old, new = np.arange(100.0), np.arange(50.0)
    assert psi(old, new) == pytest.approx(index_of([10] * 10, [10] * 5 + [0] * 5))
    assert psi(old, new, bins=4) == pytest.approx(index_of([25] * 4, [25, 25, 0, 0]))
    missing = [*new, *[np.nan] * 10]
    assert psi(old, missing) == pytest.approx(index_of([10] * 10 + [0], [10] * 5 + [0] * 5 + [10]))
    assert psi([True, True, False], [True, False, False]) == pytest.approx(index_of([2, 1], [1, 2]))
    assert psi(["a"], ["a"]) == 0 and psi([1], [1]) == 0
    for empty in (([], [1]), ([1], [])):
        with pytest.raises(ValueError, match="both samples need a value"):
            psi(*empty)


def test_only_the_main_components_are_looked_at():
    "The samples differ in the 33rd direction alone: 32 components do not see it, 33 do."
    draw = np.random.default_rng(3)
    scale = np.array([1.0] * 32 + [0.05] + [0.001] * 7)
    old, new = draw.normal(size=(2, 600, 40)) * scale
    new[:, 32] += 0.15
    assert two_sample_test(old, new)[0] < 0.7 < 0.9 < two_sample_test(old, new, dims=33)[0]


def test_the_second_halves_are_judged():
    draw = np.random.default_rng(4)
    old, new = draw.normal(size=(11, 3)), draw.normal(1, 1, (14, 3))
    auc, p, first, second = two_sample_test(old, new)
    assert (len(first), len(second)) == (5, 7) and 0 < p < 1
    assert auc == pytest.approx(np.mean(second[:, None] > first[None]))  # without ties
    same = two_sample_test(old, new, seed=0)
    assert np.array_equal(same[2], first) and not np.array_equal(
        two_sample_test(old, new, seed=1)[2], first
    )
    assert len(two_sample_test(old[:10], new[:10])[2]) == 5
    for few in ((old[:9], new), (old, new[:9])):
        with pytest.raises(ValueError, match="each sample needs 10 vectors"):
            two_sample_test(*few)


def test_names_expected_fewer_than_five_times_are_taken_together():
    "10 of 40 are rare: 4 names, each expected 2.5 times in either sample."
    rare = pd.Series([f"r{n}" for n in range(4) for _ in range(5)])
    old = pd.concat([pd.Series(["a"] * 20), pd.Series(["b"] * 20)], ignore_index=True)
    fresh = pd.concat([pd.Series(["a"] * 20), rare], ignore_index=True)
    counts = np.array([[20, 20], [20, 0], [0, 20]])
    together, alone = monitor._names_p(old, fresh)
    assert together == pytest.approx(chi2_contingency(counts).pvalue)
    chance = hypergeom(80, 20, 40)
    assert alone == pytest.approx(2 * 3 * min(chance.cdf(0), chance.sf(19)))
    five = pd.Series(["c"] * 5 + ["a"] * 35), pd.Series(["c"] * 5 + ["a"] * 35)
    assert monitor._names_p(*five) == (1.0, pytest.approx(4 * hypergeom.sf(34, 80, 70, 40)))
    assert monitor._names_p(pd.Series(["a"] * 9), pd.Series(["a"] * 9)) == (1.0, 1.0)


def test_a_new_name_is_judged_with_all_that_are_as_frequent():
    old = pd.Series(["a"] * 30 + ["b"] * 3)
    fresh = pd.Series(["a"] * 24 + ["new"] * 3)
    often = hypergeom.pmf(54, 60, 54, 27) + 2 * hypergeom.pmf(3, 60, 3, 27)
    assert monitor._unseen_p(old, fresh) == pytest.approx(often) and often < 1
    assert monitor._unseen_p(old, old) == 1.0
    many = pd.Series([f"n{n}" for n in range(40)])
    assert monitor._unseen_p(pd.Series(["a"] * 5), many) == 1.0  # a bound, and no more than 1


def test_a_signal_is_told_in_words():
    def row(old, new):
        return monitor.compare_values("x", pd.Series(old), pd.Series(new))

    name, size, p, detail = row([1.0, 2, 3, np.nan], [4.0, 6.0])
    assert (name, detail) == ("x", "median 2, now 5") and p == ks_2samp([1, 2, 3], [4, 6]).pvalue
    assert size == psi([1.0, 2, 3], [4.0, 6.0])
    assert row([np.nan, np.nan], [1.0, 2]) is None and row([1.0, 2], [np.nan]) is None
    old, new = ["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80
    _, _, p, detail = row(old, new)
    three = (*monitor._names_p(pd.Series(old), pd.Series(new)), 1.0)
    assert detail in ("a -30.0%", "b +30.0%") and p == pytest.approx(3 * min(three)) and p < 1
    assert row(old, old)[2] == 1
    names = ["d", "e", "f", "g"]
    assert row(old, ["a", *names, "c"])[3] == "never seen: c, d, e"
    both = np.random.default_rng(0).normal(size=(2, 40, 4))
    told = [monitor.compare_vectors(kind, *both)[0] for kind in ("image", "text", "look")]
    assert told == [f"{what}, as vectors" for what in ("pictures", "texts", "look")]
    assert "AUC 0." in monitor.compare_vectors("image", *both)[3]


class Two:
    "A classifier and an embedder of the tests' own."

    classes_ = ("cap", "mug")

    def predict_proba(self, catalog):
        return np.array([[0.25, 0.75], [0.9, 0.1]], np.float32)[: len(catalog)]

    def embed(self, catalog, missing="error"):
        assert missing == "zero"
        return np.ones((len(catalog), 3), np.float32)


def test_what_is_observed(catalog_of_two):
    table = catalog_of_two.products.assign(title=["a red mug", None], category=["mug", None])
    seen = monitor.observe(Catalog(table), {"look": Two()}, Two())
    facts = seen.facts
    assert facts["title length"].tolist() == [3, 0]
    assert facts["category"].iloc[0] == "mug" and pd.isna(facts["category"].iloc[1])
    assert facts["predicted"].tolist() == ["mug", "cap"]
    assert facts["confidence"].tolist() == pytest.approx([0.75, 0.9])
    assert list(seen.vectors) == ["look"] and seen.vectors["look"].shape == (2, 3)
    plain = monitor.observe(catalog_of_two)
    assert list(plain.facts) == ["brightness", "contrast", "saturation", "title length"]
    assert plain.vectors == {} and len(plain) == 2
    holder = type("Holder", (), {"embedders": {"look": Two()}})()
    assert list(monitor.observe(catalog_of_two, holder).vectors) == ["look"]


def test_facts_of_a_picture_that_is_half_black(catalog_of_two):
    half = np.zeros((40, 40, 3), np.uint8)
    half[:, :20] = 255
    catalog = Catalog(pd.DataFrame({"image": [encoded(half, "PNG"), None]}, index=["half", "none"]))
    facts = monitor.picture_facts(catalog)
    np.testing.assert_allclose(facts.loc["half"], [0.5, 0.5, 0], atol=0.01)
    assert facts.loc["none"].isna().all()


def test_a_product_of_a_new_name_agrees_with_nothing():
    agreement = monitor._predict_name(LEARNED, "category")
    some = changed(REFERENCE[np.arange(40)], category=["kayak"] * 20 + ["mug"] * 20)
    own = agreement(some)
    assert (own[:20] == 0).all() and (own[20:] > 0).all() and own.max() < 1
    usual = agreement(REFERENCE)
    assert np.median(usual) > 0.9 and usual.max() <= 1
    found = monitor.compare_agreement(LEARNED, REFERENCE, some, "category")
    assert found[0] == "text and category, together"
    assert found[3] == f"median agreement {np.median(usual):.2f}, now {np.median(own):.2f}"
    assert found[1] == psi(usual, own)


def test_signals_are_in_the_order_of_their_size_alarms_first():
    new = sample(300, 11)
    new = changed(new, brightness=new.facts.brightness - 0.1)
    found = drift(REFERENCE, new, LEARNED)
    table = found.table
    assert table["alarm"].tolist() == sorted(table["alarm"], reverse=True)
    for _, part in table.groupby("alarm"):
        assert part["psi"].tolist() == sorted(part["psi"], reverse=True)
    assert set(table.index) == {
        *("brightness", "confidence", "category", "pictures, as vectors", "texts, as vectors"),
        *("text and picture, together", "text and category, together"),
    }
    p = table["p"]["brightness"]
    assert found.alarms == ["brightness"] and p > 0
    assert drift(REFERENCE, new, LEARNED, alpha=p).alarms == []
    assert drift(REFERENCE, new, LEARNED, alpha=np.nextafter(p, 1)).alarms == ["brightness"]
    assert "brightness changed: median" in found.reasons[0]
    assert len(drift(REFERENCE, new).table) == 5
    without = [Observed(o.facts, {"text": o.vectors["text"]}) for o in (REFERENCE, new, LEARNED)]
    assert "text and picture, together" not in drift(*without).table.index
    assert len(drift(REFERENCE[np.arange(20)], REFERENCE[np.arange(20, 40)]).table) == 5
    with pytest.raises(ValueError, match="20 products, received 19 and 600"):
        drift(REFERENCE[np.arange(19)], REFERENCE)
    with pytest.raises(ValueError, match="observed alike"):
        drift(REFERENCE, REFERENCE, Observed(REFERENCE.facts, {}))


def test_a_window_is_compared_with_all_before_it():
    weeks = pd.date_range("2024-01-01", periods=3, freq="7D")
    counts = ((30, 10), (20, 10), (10, 25))  # good and bad of each week, a user each
    rows = [
        (f"u{n}-{n_week}-{event}", event, week)
        for n_week, (week, pair) in enumerate(zip(weeks, counts, strict=True))
        for event, times in zip(("purchase", "dislike"), pair, strict=True)
        for n in range(times)
    ]
    events = pd.DataFrame(rows, columns=["user", "event", "time"]).assign(id="a")
    found = quality(History(events))
    assert found[["good", "bad"]].to_numpy().tolist() == [list(c) for c in counts]
    assert found["opinions"].tolist() == [40, 30, 35]
    expected = [1.0, fisher_exact([[20, 10], [30, 10]], "less").pvalue]
    expected.append(fisher_exact([[10, 25], [50, 20]], "less").pvalue)
    assert found["p"].tolist() == pytest.approx(expected)
    ends = [wilson_interval(*pair) for pair in counts]
    np.testing.assert_allclose(found[["low", "high"]], ends)
    advice = advise(quality=found)
    told = "feedback got worse: 29% good since 2024-01-15, 71% before"
    assert advice["retrain"] and advice["reasons"] == [told] and len(advice["quality"]) == 3
    last = found["p"].iloc[-1]
    assert not advise(quality=found, alpha=last)["retrain"]
    assert advise(quality=found, alpha=np.nextafter(last, 1))["retrain"]
    assert not advise(quality=found[:2])["retrain"]


def test_how_much_a_catalogue_may_grow():
    assert advise(grown=0.25)["reasons"] == ["the catalogue has grown by 25%"]
    assert advise(grown=0.249)["reasons"] == [] and advise()["quality"] is None
    assert advise(grown=0.1, max_grown=0.1)["retrain"]


def test_what_retrain_answers(tmp_path):
    versions = Versions(tmp_path)
    first = {"version": "0001", "score": 0.5, "previous": None, "previous_score": None}
    assert replace(versions, 0.5) == first | {"swapped": True}
    second = {"version": "0002", "score": 0.4, "previous": "0001", "previous_score": 0.5}
    assert replace(versions, 0.4) == second | {"swapped": False} and versions.current == "0001"


@pytest.fixture
def catalog_of_two():
    colours = {"white": (255, 255, 255), "red": (255, 0, 0)}
    pictures = [encoded(np.full((40, 40, 3), c, np.uint8), "PNG") for c in colours.values()]
    return Catalog(pd.DataFrame({"image": pictures}, index=list(colours)))


def test_names_are_rare_by_the_smaller_sample():
    "Ten of a name in 880 are expected less than once in the 80 new ones, and many times in 800."
    old = pd.Series(["a"] * 400 + ["b"] * 380 + ["c"] * 10 + ["d"] * 10)
    fresh = pd.Series(["a"] * 30 + ["b"] * 40 + ["c"] * 6 + ["d"] * 4)
    counts = np.array([[400, 30], [380, 40], [20, 10]])
    assert monitor._names_p(old, fresh)[0] == pytest.approx(chi2_contingency(counts).pvalue)


def test_a_single_rare_name_is_a_row_of_its_own():
    old, fresh = pd.Series(["a"] * 40 + ["b"] * 40), pd.Series(["a"] * 40 + ["b"] * 40 + ["c"])
    counts = np.array([[40, 40], [40, 40], [0, 1]])
    assert monitor._names_p(old, fresh)[0] == pytest.approx(chi2_contingency(counts).pvalue)


def test_events_may_be_a_table():
    events = pd.DataFrame({"user": list("abc"), "id": "a", "event": ["like", "like", "dislike"]})
    events["time"] = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])
    pd.testing.assert_frame_equal(quality(events), quality(History(events)))
