"""Variety, duplicates, relevance feedback and thresholds, each against its definition."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.recommend.ranking import (
    NEAR_DUPLICATE,
    MinScore,
    deduplicate,
    mean_known,
    mmr,
    rocchio,
    suggest_threshold,
    threshold_table,
)

quick = settings(max_examples=40, deadline=None)
LEAVES = "filters ranking hits index history metrics".split()


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_do_not_load_tensorflow(leaf):
    code = (
        f"import sys, prodrec.recommend.{leaf}; print({{'keras', 'tensorflow'}} & {{*sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def reference_mmr(scores, vectors, k, diversity):
    chosen = []
    while len(chosen) < min(k, len(scores)):
        left = [n for n in range(len(scores)) if n not in chosen]
        near = {n: max([float(vectors[n] @ vectors[m]) for m in chosen], default=0) for n in left}
        chosen.append(
            max(
                left,
                key=lambda n: (
                    (1 - diversity) * scores[n] - diversity * near[n] if chosen else scores[n]
                ),
            )
        )
    return chosen


@quick
@given(
    st.integers(0, 9999),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_mmr_is_what_its_definition_says(seed, n, k, diversity):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(rng.random(n))[::-1]
    assert mmr(scores, vectors, k, diversity).tolist() == reference_mmr(
        scores, vectors, k, diversity
    )


def test_no_chain_of_likeness():
    angles = np.radians([0, 5, 10, 15])
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert deduplicate(circle, np.cos(np.radians(6))).tolist() == [0, 0, 2, 2]
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match="`threshold` must lie above 0"):
            deduplicate(circle, wrong)


@quick
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([0.3, 0.5, 0.9, 1.0]),
)
def test_thresholds_by_trying_all(pairs, precision):
    scores, right = np.array([s / 5 for s, _ in pairs]), np.array([r for _, r in pairs])
    good = [t for t in set(scores) if right[scores >= t].mean() >= precision]
    if good and right.any():
        assert suggest_threshold(scores, right, precision) == min(good)
    else:
        with pytest.raises(ValueError, match="`precision`|`right`"):
            suggest_threshold(scores, right, precision)


def test_a_query_moves_by_the_means_of_what_is_known():
    rng = np.random.default_rng(0)
    query, liked, disliked = rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    liked[1] = 0
    wanted = query + 0.75 * liked.sum(0) / 2 - 0.15 * disliked.mean(0)
    moved = rocchio(query, positive=liked, negative=disliked)
    np.testing.assert_allclose(moved, wanted / np.linalg.norm(wanted), atol=1e-6)
    assert (
        not mean_known(np.zeros((0, 3))).any()
        and not rocchio(0 * query, liked[:0], liked[:0]).any()
    )


def test_a_threshold_is_a_number_that_informs():
    scores, right = np.array([0.9, 0.8, 0.8, 0.5]), np.array([True, True, False, False])
    found = suggest_threshold(scores, right, 0.6)
    assert found == 0.8 and isinstance(found, float) and f"{found:.2f}" == "0.80"
    assert repr(found) == "MinScore(0.800: precision 0.67, keeps 100% of the right pairs)"
    assert "<b>min_score = 0.800</b>" in found._repr_html_() and "<style" not in found._repr_html_()
    assert json.dumps(found) == "0.8" and str(found) == "0.8"
    for again in (copy.copy(found), pickle.loads(pickle.dumps(found))):
        assert again == found and again.table.equals(found.table)
    axes = found.figure()
    assert axes.get_title() and axes.get_xlabel() == "min_score" and axes.get_ylabel()
    assert repr(MinScore(0.5)) == "MinScore(0.500)"


def test_equal_scores_stand_and_fall_together():
    table = threshold_table(np.repeat([0.7, 0.4], [3, 2]), np.array([1, 0, 1, 0, 1], bool))
    wanted = {"min_score": [0.7, 0.4], "precision": [2 / 3, 3 / 5], "kept": [2 / 3, 1.0]}
    pd.testing.assert_frame_equal(table, pd.DataFrame(wanted))
    for wrong in (np.zeros(5, bool), np.ones(4, bool)):
        with pytest.raises(ValueError, match="`right` must say yes or no"):
            threshold_table(np.repeat([0.7, 0.4], [3, 2]), wrong)


def test_the_ends_of_each_range():
    two = np.eye(2, dtype=np.float32)
    assert mmr([0.9, 0.1], two, 2, 1).tolist() == mmr([0.9, 0.1], two, 2, 0).tolist() == [0, 1]
    for wrong in (-0.01, 1.01, 2, float("nan")):
        with pytest.raises(ValueError, match="`diversity`"):
            mmr([1.0], two[:1], 1, wrong)
    assert deduplicate(two, 1).tolist() == [0, 1]
    assert deduplicate(np.vstack([two, two]), 1.0).tolist() == [0, 1, 0, 1]
    for wrong in (0, 1.01, 1.5, -1):
        with pytest.raises(ValueError, match="`threshold`"):
            deduplicate(two, wrong)
    right = [True, True, False]
    assert float(suggest_threshold([0.9, 0.8, 0.7], right, 1)) == 0.8
    for wrong in (0, 1.01, 2, -1):
        with pytest.raises(ValueError, match="`precision` must lie above 0"):
            suggest_threshold([0.9, 0.8, 0.7], right, wrong)


def test_relevance_feedback_by_hand():
    query, near, far = np.eye(3, dtype=np.float32)
    expected = np.array([1, 0.75, -0.15]) / np.sqrt(1 + 0.75**2 + 0.15**2)
    np.testing.assert_allclose(rocchio(query, near[None], far[None]), expected, rtol=1e-6)


def test_a_cosine_of_exactly_the_threshold_is_a_duplicate():
    least = np.float32(0.75 - 1e-6)
    pair = np.array([[1, 0], [least, np.sqrt(1 - least**2)]], np.float32)
    assert deduplicate(pair, 0.75).tolist() == [0, 0]
    pair[1, 0] = np.nextafter(least, np.float32(0))
    assert deduplicate(pair, 0.75).tolist() == [0, 1]
    assert deduplicate(pair, 1.0).tolist() == [0, 1]
    for wrong in (0.0, 1.01, -0.5):
        with pytest.raises(ValueError, match="`threshold` must lie above 0"):
            deduplicate(pair, wrong)


def test_a_threshold_for_nine_of_ten():
    scores, right = np.linspace(1, 0, 11), np.array([True] * 9 + [False, True])
    assert float(suggest_threshold(scores, right)) == 0.0  # 10 of 11 are right
    assert float(suggest_threshold(scores[:10], right[:10])) == scores[9]  # 9 of 10 is enough
    assert float(suggest_threshold(scores[:10], right[:10], 0.91)) == pytest.approx(scores[8])
    assert float(suggest_threshold(scores, right, 1.0)) == pytest.approx(scores[8])
    for wrong in (0.0, 1.01):
        with pytest.raises(ValueError, match="`precision` must lie above 0"):
            suggest_threshold(scores, right, wrong)
    with pytest.raises(ValueError, match="the best is 0.500, with `min_score` 0.300"):
        suggest_threshold([0.5, 0.3], [False, True], 0.9)


def test_the_best_comes_first_even_where_only_variety_counts():
    chosen = mmr([0.2, 0.9, 0.5], np.eye(3, dtype=np.float32), 3, diversity=1.0)
    assert chosen[0] == 1 and sorted(chosen) == [0, 1, 2]


def test_the_same_product_twice_is_one_by_default():
    two = np.array([[1, 0], [np.cos(0.09), np.sin(0.09)], [0, 1]], np.float32)
    assert np.cos(0.09) > NEAR_DUPLICATE > np.cos(0.11)
    assert deduplicate(two).tolist() == [0, 0, 2]


def test_a_row_counts_as_known_where_it_has_any_number():
    np.testing.assert_allclose(mean_known([[1, 0], [0, 1], [0, 0]]), [0.5, 0.5])


def test_variety_where_nothing_is_said():
    rng = np.random.default_rng(0)
    scores, vectors = rng.random(12), rng.normal(size=(12, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = {d: mmr(scores, vectors, 8, d).tolist() for d in (0, 0.3, 1)}
    assert mmr(scores, vectors, 8).tolist() == chosen[0.3] not in (chosen[0], chosen[1])
