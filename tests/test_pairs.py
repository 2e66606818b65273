"""Baskets, lifts and pair maps against loops and against the ratio of Gaussians."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from prodrec.recommend.history import History
from prodrec.recommend.pairs import (
    PairFacts,
    basket_pairs,
    basket_rows,
    baskets,
    early_baskets,
    fit_pair_weights,
    kind_lifts,
    log_lift,
    pair_map,
    pair_scores,
    relation_codes,
    widest_directions,
)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 200)),
        min_size=1,
        max_size=25,
    )
)
def test_baskets_are_those_of_a_loop(rows):
    table = pd.DataFrame(rows, columns=["user", "id", "hour"])
    start = pd.Timestamp("2024-01-01")
    table = table.assign(time=start + pd.to_timedelta(table["hour"], unit="h")).astype(
        {"user": str, "id": str}
    )
    found, expected = baskets(History(table[["user", "id", "time"]]), within="24h"), set()
    for _, theirs in table.sort_values("time", kind="stable").groupby("user"):
        basket, last = {}, None
        for i, time in zip(theirs["id"], theirs["time"], strict=True):
            if last is not None and time - last > pd.Timedelta("24h"):
                expected.add(frozenset(basket.items()))
                basket = {}
            basket.setdefault(i, time)
            last = time
        expected.add(frozenset(basket.items()))
    got = [frozenset(zip(g["id"], g["time"], strict=True)) for _, g in found.groupby("basket")]
    assert set(got) == expected
    pairs = basket_pairs(found)
    often = found["id"].value_counts()
    assert all(
        weight <= often[a] + 1e-9 for a, weight in pairs.groupby("a")["weight"].sum().items()
    )
    times = {(g, i): t for g, i, t in found[["basket", "id", "time"]].itertuples(index=False)}
    forward = sum(
        times[g, a] <= times[g, b] for g, a in times for h, b in times if g == h and a != b
    )
    assert len(pairs) == forward


def test_large_baskets_are_passed_over():
    table = pd.DataFrame({"user": "a", "id": [f"{n}" for n in range(6)]})
    assert (
        len(basket_pairs(baskets(History(table)))) == 30
        and basket_pairs(baskets(History(table)), largest=5).empty
    )


def test_lift_and_its_prior():
    counts, even = np.array([[0, 8.0], [8, 0]]), [0.5, 0.5]
    assert np.allclose(
        log_lift(np.outer([1, 2, 3], [4, 5, 6]), np.array([4, 5, 6]) / 15), 0
    )  # nothing but chance
    assert log_lift(counts, even)[0, 1] == pytest.approx(np.log((8 + 5) / (4 + 5)))
    assert log_lift(counts, even, 100)[0, 1] < log_lift(counts, even, 1)[0, 1]
    assert (log_lift(np.zeros((2, 2)), even) == 0).all()


def test_pair_scores_are_the_ratio_of_gaussians():
    rho = np.array([0.6])
    x, y = np.linspace(-2, 2, 5)[:, None], np.linspace(-1, 3, 4)[:, None]
    both = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]])
    expected = [
        [both.logpdf([a, b]) - norm.logpdf(a) - norm.logpdf(b) for b in y[:, 0]] for a in x[:, 0]
    ]
    np.testing.assert_allclose(pair_scores(x, y, rho), expected, atol=1e-9)
    rng = np.random.default_rng(0)
    left, right, strengths = pair_map(
        rng.normal(size=(50, 4)), rng.normal(size=(50, 4)), np.ones(50), rank=3
    )
    assert (
        left.shape == right.shape == (4, 3)
        and (np.diff(strengths) <= 0).all()
        and strengths.max() <= 0.95
    )
    constant = pair_map(np.zeros((5, 2)), np.zeros((5, 2)), np.ones(5))
    assert np.isfinite(
        pair_scores(np.zeros((1, 2)) @ constant[0], np.zeros((1, 2)) @ constant[1], constant[2])
    ).all()


def telephones(n=20):
    "Baskets of rows: a red telephone and a red case, or a blue telephone and a blue case."
    ids = [0, 1] * n + [2, 3] * n
    table = pd.DataFrame({"basket": np.repeat(range(2 * n), 2), "id": ids})
    hours = pd.to_timedelta(np.arange(len(ids)), unit="h")
    return table.assign(time=pd.Timestamp("2024-01-01") + hours)


def facts():
    colours = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    table = telephones()
    return PairFacts(["phone", "case"] * 2, colours).learn(table, table[:0]), colours


def test_unknown_products_are_left_out_of_baskets():
    table = pd.DataFrame({"id": ["a", "b", "c"], "basket": [0, 0, 1]})
    assert basket_rows(table, ["c", "a"])["id"].tolist() == [1, 0]
    assert basket_rows(table, ["c", "a"])["basket"].tolist() == [0, 1]


def test_lifts_of_kinds_are_those_of_a_loop():
    table, kind = telephones(), np.array([0, 1, 0, 1])
    counts = np.zeros((2, 2))
    for a, b, weight in basket_pairs(table).itertuples(index=False):
        counts[kind[a], kind[b]] += weight
    expected = log_lift(counts, [0.5, 0.5], 2.0)
    np.testing.assert_allclose(kind_lifts(table, kind, 2, 2.0), expected)


def test_a_relation_is_the_larger_lift_and_needs_a_positive_one():
    bought, compared = np.array([1, 0.2, 0.2, 0.0, -1]), np.array([0.5, 0.2, 0.3, 0.0, -2])
    assert relation_codes(bought, compared).tolist() == [0, 0, 1, -1, -1]


def test_products_keep_their_facts_when_they_move_and_new_ones_have_none():
    here, colours = facts()
    rows = np.array([3, -1, 0, -1])
    moved = here.moved(["case", "case", "phone", "tent"], colours[[3, 0, 0, 3]], rows)
    assert moved.popularity.tolist() == [20, 0, 20, 0] and moved.kind.tolist() == [0, 0, 1, -1]
    assert moved.co_purchases.toarray()[2].tolist() == [0, 0, 0, 0]  # its case has gone
    assert here.popularity.tolist() == [20] * 4
    parts = moved.parts([2])[0]
    assert parts[1, 0] == pytest.approx(here.lifts[1, 0]) and parts[3, 0] == 0
    assert parts[1, 1] > parts[0, 1]  # the new case is red, as the telephone


def test_weights_need_ten_pairs_and_are_the_same_for_one_seed():
    here, _ = facts()
    pairs = basket_pairs(telephones())
    first = fit_pair_weights(here, pairs, seed=3)
    assert (first == fit_pair_weights(here, pairs, seed=3)).all() and (first >= 0).all()
    with pytest.raises(ValueError, match="hold 9 pairs of products; 10 are needed"):
        fit_pair_weights(here, pairs[:9])


def test_early_baskets_are_the_first_ones_or_a_random_share():
    table = telephones(5)
    assert table["basket"][early_baskets(table)].unique().tolist() == list(range(8))
    untimed = table.assign(time=pd.NaT)
    share = early_baskets(untimed, seed=1)
    assert untimed["basket"][share].nunique() == 8
    assert (share == early_baskets(untimed, seed=1)).all()


def test_the_widest_directions_are_few_or_all():
    x = np.diag([1.0, 3.0, 2.0])
    assert np.allclose(np.abs(widest_directions(x, 2)).sum(1), [0, 1, 1])
    assert (widest_directions(x, 3) == np.eye(3)).all()


def test_a_large_basket_has_no_more_votes_than_a_small_one():
    table = pd.DataFrame({"user": ["a", "a", *"bbbb"], "id": ["x", "y", *"xyzw"]})
    pairs = basket_pairs(baskets(History(table)))
    votes = pairs.groupby(["a", "b"])["weight"].agg(sorted)
    assert votes["x", "y"] == pytest.approx([1 / 3, 1])
    assert votes["x", "z"] == pytest.approx([1 / 3])
