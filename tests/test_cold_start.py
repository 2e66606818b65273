"""What vectors say about new products: neighbours, maps into a space, and content scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from prodrec.recommend.cold_start import (
    apply_map,
    content_map,
    content_scores,
    join_spaces,
    nearest_scores,
    neighbour_weights,
    place_products,
    rank_scores,
    top_columns,
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(1, 6),
)
def test_the_best_are_those_of_a_sort(scores, k):
    scores = np.array(scores, np.float32)
    columns, best = top_columns(scores, k)
    assert columns.tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()
    assert best.tolist() == np.take_along_axis(scores, columns, 1).tolist()


def test_the_map_is_a_ridge_regression():
    rng = np.random.default_rng(0)
    vectors, factors = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    found = content_map(vectors, factors)
    candidates = [
        Ridge(alpha=a).fit(vectors, factors).predict(vectors) for a in np.logspace(-2, 4, 7)
    ]
    assert min(np.abs(apply_map(vectors, found) - c).max() for c in candidates) < 1e-5
    with pytest.raises(ValueError, match="two or more"):
        content_map(vectors[:1], factors[:1])
    with pytest.raises(ValueError, match=r"`vectors` must be \(n, 4\)"):
        apply_map(vectors[:, :3], found)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 12), st.integers(1, 15))
def test_shares_sum_to_one(n, m, neighbours):
    rng = np.random.default_rng(n)
    shares = neighbour_weights(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), neighbours)
    assert (
        shares.shape == (n, m)
        and np.allclose(shares.sum(1), 1)
        and (np.diff(shares.indptr) <= neighbours).all()
    )


def test_the_nearest_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4))
    rows = csr_matrix(rng.integers(0, 2, (5, 9)).astype(np.float32))
    rows.data[0] = 0  # seen, and worth nothing
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    dense = rows.toarray()
    expected = [
        [max([u @ units[j] for j in np.flatnonzero(r)], default=0) for u in units] for r in dense
    ]
    np.testing.assert_allclose(nearest_scores(rows, vectors), expected, atol=1e-6)
    assert not nearest_scores(csr_matrix((2, 9)), vectors).any()


def test_long_vectors_are_mapped_by_their_widest_directions():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(80, 3))
    vectors = few @ rng.normal(size=(3, 40))  # 40 numbers that vary in 3 directions
    factors = few @ rng.normal(size=(3, 2)) + 1
    found = content_map(vectors[:60], factors[:60], directions=3)
    assert found.shape == (41, 2)
    np.testing.assert_allclose(apply_map(vectors[60:], found), factors[60:], atol=0.01)


def test_content_is_the_cosine_with_the_mean():
    rows, vectors = csr_matrix([[1.0, 0, 3, 0], [0, 0, 0, 0]]), [[2, 0], [0, 1], [0, 0], [1, 1]]
    scores = content_scores(rows, vectors)
    np.testing.assert_allclose(scores, [[1, 0, 0, np.sqrt(0.5)], [0, 0, 0, 0]], atol=1e-6)


def test_neighbours_are_found_in_the_spaces_that_a_product_has():
    rng = np.random.default_rng(0)
    known = {"image": rng.normal(size=(40, 5)), "text": rng.normal(size=(40, 7))}
    new = {"image": rng.normal(size=(3, 5)), "text": rng.normal(size=(3, 7))}
    new["image"][1] = 0
    weights = {"image": 0.7, "text": 0.3}
    unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)  # noqa: E731
    cosines = {s: unit(new[s]) @ unit(known[s]).T for s in known}
    expected = 0.7 * cosines["image"] + 0.3 * cosines["text"]
    expected[1] = cosines["text"][1]
    found = join_spaces(new, weights, query=True) @ join_spaces(known).T
    np.testing.assert_allclose(found, expected, atol=1e-6)
    shares = neighbour_weights(new, known, 10, weights).toarray()
    for row, e in zip(shares, expected, strict=True):
        best = np.argsort(-e)[:10]
        pull = np.exp(10 * e[best])
        np.testing.assert_allclose(row[best], pull / pull.sum(), rtol=1e-4)
        assert np.count_nonzero(row) == 10


def test_a_placement_keeps_known_products_first():
    place, rest = place_products(["b", "a"], ["x", "a", "y"], {"v": [[1, 0], [0, 1], [0, 2]]})
    assert place.ids == ["b", "a", "x", "y"] and place.known == 2
    assert rest["v"].tolist() == [[1, 0], [0, 2]]
    assert place.vectors["v"].tolist() == [[0, 0], [0, 1]]  # b is in no catalogue
    scores = np.array([[0.0, 1.0]], np.float32)
    assert place.spread(scores)[0, 3] > place.spread(scores)[0, 2]
    with pytest.raises(ValueError, match="`ids` must say"):
        place_products(["a"], None, [[1.0]])
    with pytest.raises(ValueError, match="same id twice"):
        place_products(["a"], ["x", "x"], None)


def test_what_is_stored_is_hidden():
    hide = csr_matrix(([0.0], ([0], [0])), (1, 3))  # a stored 0 was seen too
    assert rank_scores([[9, 1, 2]], list("abc"), 2, hide)[0].tolist() == [["c", "b"]]
    for k, message in ((0, "`k` must be at least 1"), (1, r"`scores` must be \(n, 2\)")):
        with pytest.raises(ValueError, match=message):
            rank_scores([[9, 1, 2]], list("abc") if k == 0 else list("ab"), k)
