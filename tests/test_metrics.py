"""The figures of a ranking against scikit-learn, and against loops that are written from the
definitions.
"""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from sklearn.metrics.pairwise import cosine_distances

from prodrec.recommend.metrics import (
    average_precision_at_k,
    clustered_interval,
    coverage,
    diversity,
    evaluate_ranking,
    exposure_table,
    hit_rate_at_k,
    metric_table,
    miscalibration,
    ndcg_at_k,
    novelty,
    popularity_bias,
    precision_at_k,
    precision_row,
    random_hits,
    ranked_hits,
    recall_at_k,
    reciprocal_rank_at_k,
    relevant,
)
from prodrec.stats import bootstrap_interval

EXACT = dict(rtol=0, atol=1e-9)
PRODUCTS = [f"{i:03d}" for i in range(20)]


@st.composite
def rankings(draw):
    """(lists, right answers, k): lists of different lengths filled up with None, right answers
    inside and outside of them.
    """
    n = draw(st.integers(1, 8))
    lists = [draw(st.permutations(PRODUCTS))[: draw(st.integers(0, 12))] for _ in range(n)]
    truth = [draw(st.sets(st.sampled_from([*PRODUCTS, "elsewhere"]), min_size=1)) for _ in range(n)]
    width = max(map(len, lists))
    return [row + [None] * (width - len(row)) for row in lists], truth, draw(st.integers(1, 15))


def figures(lists, truth, k):
    hits, counts = (
        ranked_hits(np.array(lists, object).reshape(len(truth), -1), truth),
        [len(t) for t in truth],
    )
    return {
        "precision": precision_at_k(hits, k),
        "recall": recall_at_k(hits, counts, k),
        "hit rate": hit_rate_at_k(hits, k),
        "nDCG": ndcg_at_k(hits, counts, k),
        "MAP": average_precision_at_k(hits, counts, k),
        "MRR": reciprocal_rank_at_k(hits, k),
    }


def by_hand(row, right, k):
    "Every figure of one list, one rank after the other."
    found, gain, precisions, reciprocal = 0, 0.0, 0.0, 0.0
    for rank, product in enumerate(row[:k], start=1):
        if product in right:
            found += 1
            gain += 1 / math.log2(rank + 1)
            precisions += found / rank
            reciprocal = reciprocal or 1 / rank
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(right)) + 1))
    return {
        "precision": found / k,
        "recall": found / len(right),
        "hit rate": float(found > 0),
        "nDCG": gain / best,
        "MAP": precisions / min(k, len(right)),
        "MRR": reciprocal,
    }


@settings(deadline=None)
@given(rankings())
def test_each_figure_is_its_definition(case):
    lists, truth, k = case
    for name, values in figures(lists, truth, k).items():
        expected = [by_hand(row, right, k)[name] for row, right in zip(lists, truth, strict=True)]
        np.testing.assert_allclose(values, expected, err_msg=name, **EXACT)


def scored(seed):
    """(whether each product is right, its score, whether each recommendation is right) for five
    queries.
    """
    rng = np.random.default_rng(seed)
    right = rng.random((5, int(rng.integers(2, 30)))) < 0.3
    right[~right.any(1), 0] = True
    scores = rng.permuted(np.tile(np.arange(right.shape[1]), (5, 1)), axis=1)
    return right, scores, np.take_along_axis(right, np.argsort(-scores, axis=1), 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 25))
def test_ndcg_is_that_of_scikit_learn(seed, k):
    right, scores, hits = scored(seed)
    expected = [
        ndcg_score(r[None], s[None], k=k) for r, s in zip(right.astype(float), scores, strict=True)
    ]
    np.testing.assert_allclose(ndcg_at_k(hits, right.sum(1), k), expected, **EXACT)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_average_precision_of_a_whole_ranking_is_that_of_scikit_learn(seed):
    right, scores, hits = scored(seed)
    expected = [average_precision_score(r, s) for r, s in zip(right, scores, strict=True)]
    np.testing.assert_allclose(
        average_precision_at_k(hits, right.sum(1), right.shape[1]), expected, **EXACT
    )


@settings(deadline=None, max_examples=60)
@given(rankings())
def test_the_figures_of_the_lists_alone(case):
    lists, _, _ = case
    lists = np.array(lists, object).reshape(len(lists), -1)
    rng = np.random.default_rng(len(lists))
    counts = pd.Series(rng.integers(0, 9, 15), index=PRODUCTS[:15])
    vectors = rng.normal(size=(len(PRODUCTS), 4)) * (rng.random((len(PRODUCTS), 1)) > 0.1)
    distances = pd.DataFrame(cosine_distances(vectors), PRODUCTS, PRODUCTS)
    surprise, share, spread = (
        novelty(lists, counts, 9),
        popularity_bias(lists, counts, 9),
        diversity(lists, PRODUCTS, vectors),
    )
    for n, row in enumerate(lists):
        named = [i for i in row if i is not None]
        bits = [-math.log2(max(counts.get(i, 0), 1) / 9) for i in named]
        shares = [counts.get(i, 0) / 9 for i in named]
        pairs = [distances.loc[a, b] for a, b in combinations(named, 2)]
        for value, parts in ((surprise[n], bits), (share[n], shares), (spread[n], pairs)):
            np.testing.assert_allclose(value, np.mean(parts) if parts else np.nan, **EXACT)
    assert coverage(lists, PRODUCTS) == len({i for row in lists for i in row} - {None}) / len(
        PRODUCTS
    )


def test_a_table_holds_each_figure_with_its_interval():
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(PRODUCTS)[:6] for _ in range(40)]).astype(object)
    lists[0, 1:] = None  # one product has no pairs
    truth = [set(rng.choice(PRODUCTS, 3)) for _ in range(40)]
    counts, vectors = pd.Series(3, index=PRODUCTS), rng.normal(size=(20, 3))
    table = evaluate_ranking(
        lists, truth, 4, ids=PRODUCTS, popularity=counts, n_users=9, vectors=(PRODUCTS, vectors)
    )
    assert table.columns.tolist() == ["value", "low", "high", "queries"]
    for name, values in figures(lists, truth, 4).items():
        assert table.loc[f"{name}@4"].tolist() == [values.mean(), *bootstrap_interval(values), 40]
    assert table.loc["diversity@4", "queries"] == 39
    assert table.loc["coverage@4", "value"] == len({*lists[:, :4].ravel()} - {None}) / 20
    assert math.isnan(table.loc["coverage@4", "low"])


def test_lists_that_are_all_empty_find_nothing():
    table = evaluate_ranking(
        np.empty((2, 0), object), [{"a"}, {"b"}], 5, popularity=pd.Series({"a": 1}), n_users=1
    )
    accuracies = [f"{name}@5" for name in ("precision", "recall", "hit rate", "nDCG", "MAP", "MRR")]
    assert (table.loc[accuracies, "value"] == 0).all()
    assert table.loc["novelty@5", "queries"] == 0 and math.isnan(table.loc["novelty@5", "value"])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ranked_hits([["a", "a"]], [{"a"}]), "list 0"),
        (lambda: ranked_hits([["a"]], [{"a"}, {"b"}]), "`truth` has 2 entries for 1 lists"),
        (lambda: ranked_hits(["a"], [{"a"}]), "must be \\(n, m\\)"),
        (lambda: evaluate_ranking([["a"]], [set()]), "1 queries have no right answer"),
        (lambda: evaluate_ranking([["a"]], [{"a"}], popularity=pd.Series({"a": 1})), "go together"),
        (lambda: recall_at_k([[True, True]], [1]), "smaller than what was found"),
        (lambda: recall_at_k([[True, True]], [[2]]), "one count for each"),
        (lambda: reciprocal_rank_at_k([[True]], 0), "`k` must be at least 1"),
        (lambda: coverage([["a"]], ["b"]), "not in `ids`, e.g. 'a'"),
        (lambda: novelty([["a"]], pd.Series({"a": 3}), 2), "`n_users` must be"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_product_without_a_vector_is_refused():
    with pytest.raises(KeyError, match="'b'"):
        diversity([["a", "b"]], ["a"], np.ones((1, 2)))


def test_intervals_of_whole_groups_are_wider_and_the_same_for_single_ones():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 30)
    values = rng.random(20)[groups] + rng.normal(scale=0.01, size=600)
    low, high = clustered_interval(values, groups)
    plain = bootstrap_interval(values)
    assert low < values.mean() < high and high - low > 3 * (plain[1] - plain[0])
    alone = clustered_interval(values, np.arange(600))
    assert abs((alone[1] - alone[0]) / (plain[1] - plain[0]) - 1) < 0.2
    assert clustered_interval(values, groups) == (low, high)
    assert clustered_interval([1.0, 0.0], ["a", None])[0] == 0.0
    with pytest.raises(ValueError, match="same queries"):
        clustered_interval([1.0], ["a", "b"])
    table = evaluate_ranking([["a"], ["b"]], [{"a"}, {"a"}], 1, groups=["x", "y"])
    assert table.loc["precision@1", ["low", "high"]].tolist() == [0, 1]


def test_calibration_is_the_divergence_of_the_shares():
    labels = pd.Series({"a": "x", "b": "x", "c": "y"})
    values = miscalibration([["a", "c"], ["a", "b"], [None, None]], [["a", "c"]] * 3, labels)
    q = np.array([0.99 * 1 + 0.01 * 0.5, 0.01 * 0.5])
    expected = (0.5 * np.log(0.5 / q)).sum()
    np.testing.assert_allclose(values[:2], [0, expected], atol=1e-12)
    assert math.isnan(values[2])
    assert math.isnan(miscalibration([["a"]], [[]], labels)[0])
    with pytest.raises(ValueError, match="`had` has 1 entries for 2 lists"):
        miscalibration([["a"], ["b"]], [["a"]], labels)


def test_exposure_discounts_ranks_and_sums_to_one():
    labels = pd.Series({"a": "x", "b": "x", "c": "y", "d": "z"})
    table = exposure_table([["a", "c"], ["c", None]], labels)
    second = 1 / math.log2(3)
    assert table.loc["x", "exposure"] == pytest.approx(1 / (2 + second))
    assert table["exposure"].sum() == pytest.approx(1) and table.index[0] == "y"
    assert table.loc["z"].tolist() == [0, 0.25, 0]
    given = exposure_table([["a"]], labels, pd.Series({"x": 3, "y": 1}))
    assert given.loc["x", "expected"] == 0.75 and "z" not in given.index


def test_sampled_metrics_are_named():
    table = evaluate_ranking([["a"]], [{"a"}], 1, ids=["a", "b"], candidates=100)
    assert all(name.endswith("among 100 sampled") for name in table.index) and len(table) == 7


def test_what_is_relevant_has_the_label_of_its_query():
    labels = pd.Series({"a": "x", "b": "y", "c": "x", "d": None})
    found = relevant([["a", "b", None], ["b", "gone", "d"]], labels, ["x", None])
    assert found.tolist() == [[True, False, False], [False, False, False]]  # none is no label
    with pytest.raises(ValueError, match=r"\(n, k\) for 1 queries, received \(2,\)"):
        relevant(["a", "b"], labels, ["x"])
    with pytest.raises(ValueError, match="for 2 queries"):
        relevant([["a"]], labels, ["x", "y"])


def test_random_hits_never_hold_the_query():
    labels = pd.Series(["x", *["y"] * 9], index=[f"p{n}" for n in range(10)])
    hits = random_hits(["p0"] * 200, labels, 5, seed=1)
    assert hits.shape == (200, 5) and not hits.any()  # nothing else is an x
    others = random_hits(["p9"] * 4000, labels, 5)
    assert others.mean() == pytest.approx(8 / 9, abs=0.01)
    assert np.array_equal(random_hits(["p9"], labels, 3, 2), random_hits(["p9"], labels, 3, 2))
    assert random_hits(["p1"], labels).shape == (1, 5)
    with pytest.raises(KeyError, match="1 ids without a label, e.g. 'q'"):
        random_hits(["p0", "q"], labels)
    with pytest.raises(ValueError, match="nothing else to draw"):
        random_hits(["p0"], labels[:1])
    assert random_hits(["p0"], labels[:2], 3).tolist() == [[False] * 3]


def test_five_places_are_looked_at_where_nothing_is_said():
    hits = np.zeros((2, 8), bool)
    hits[:, 5] = True  # the sixth place
    counts = np.array([1, 1])
    for figure in (precision_at_k, hit_rate_at_k, reciprocal_rank_at_k):
        assert not figure(hits).any() and figure(hits, 6).all()
    for figure in (recall_at_k, ndcg_at_k, average_precision_at_k):
        assert not figure(hits, counts).any() and figure(hits, counts, 6).all()
    drawn = np.random.default_rng(5).random((30, 5)) < 0.5
    low_high = bootstrap_interval(precision_at_k(drawn), seed=0)
    assert tuple(precision_row("ours", drawn).iloc[0, 1:3]) == low_high
    row = precision_row("ours", hits)
    assert list(row) == ["precision@5", "low", "high", "queries"] and row.iloc[0, 0] == 0


def test_the_means_of_lists_by_hand():
    popularity = pd.Series({"a": 4, "b": 1})
    lists = [["a", "b", None], ["b", "new", None], [None, None, None]]
    shares = popularity_bias(lists, popularity, 8)
    np.testing.assert_allclose(shares, [(4 + 1) / 16, 1 / 16, np.nan])
    bits = novelty(lists, popularity, 8)
    np.testing.assert_allclose(bits, [(1 + 3) / 2, 3, np.nan])  # nobody counts as one
    assert popularity_bias([["a"]], popularity, 4).tolist() == [1]
    with pytest.raises(ValueError, match="`n_users` must be"):
        novelty([["a"]], popularity, 3)
    with pytest.raises(ValueError, match="`n_users` must be"):
        novelty([["a"]], pd.Series(dtype=float), 0)
    assert novelty([["a"]], pd.Series(dtype=float), 1).tolist() == [0]


def test_the_ratio_of_exposure_is_to_what_is_expected():
    labels = pd.Series({"a": "x", "b": "y"})
    table = exposure_table([["a"], ["a"], ["b"]], labels, pd.Series({"x": 1, "y": 3}))
    assert table["ratio"].to_dict() == pytest.approx({"x": (2 / 3) / 0.25, "y": (1 / 3) / 0.75})


def test_a_table_is_drawn_with_seed_zero_where_nothing_is_said():
    values = {"recall": np.random.default_rng(0).random(30)}
    pd.testing.assert_frame_equal(metric_table(values), metric_table(values, seed=0))
    assert not metric_table(values).equals(metric_table(values, seed=1))


def test_a_table_takes_intervals_by_groups():
    values, groups = np.random.default_rng(0).random(40), np.repeat(np.arange(8), 5)
    row = metric_table({"recall": values}, groups).loc["recall"]
    assert (row.low, row.high) == clustered_interval(values, groups, seed=0)
    plain = metric_table({"recall": values}).loc["recall"]
    assert (row.low, row.high) != (plain.low, plain.high)


def test_one_query_with_more_hits_than_right_answers_is_told():
    hits = np.array([[True, True], [True, False]])
    with pytest.raises(ValueError, match="smaller than what was found for 1 queries"):
        ndcg_at_k(hits, [1, 1], 2)


def test_a_row_of_a_comparison_by_hand():
    row = precision_row("ours", np.array([[True, False], [True, True]]), 2).loc["ours"]
    assert row["precision@2"] == 0.75 and row["queries"] == 2
