"Drift that is none, drift that was planted, and versions that survive what may happen to a folder."

import json

import numpy as np
import pandas as pd
import pytest
from builders import encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, ks_2samp
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


def test_the_demo_shop_has_a_figure_of_its_feedback():
    from prodrec.data.demo import load_demo_events

    events = load_demo_events(300)
    liked = events[events["event"] == "purchase"]
    assert quality_figure(quality(History(liked), "30D")).has_data()


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


@pytest.fixture
def catalog_of_two():
    colours = {"white": (255, 255, 255), "red": (255, 0, 0)}
    pictures = [encoded(np.full((40, 40, 3), c, np.uint8), "PNG") for c in colours.values()]
    return Catalog(pd.DataFrame({"image": pictures}, index=list(colours)))
