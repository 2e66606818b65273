"""What holds for linear models: their weights are the solutions of their problems."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

from prodrec.recommend.history import History
from prodrec.recommend.linear import EASE, SLIM, ease_weights, nonnegative_weights, slim_weights

RNG = np.random.default_rng(0)
ONES = csr_matrix((RNG.random((80, 12)) < 0.3).astype(np.float32))


def test_ease_solves_its_problem():
    weights, x = ease_weights(ONES, 5.0), ONES.toarray()
    assert not np.diag(weights).any()
    slope = x.T @ (x @ weights - x) + 5.0 * weights
    np.fill_diagonal(slope, 0)
    assert np.abs(slope).max() < 1e-3


def test_slim_solves_its_problem_where_all_are_neighbours():
    weights, x = slim_weights(ONES, 11, l2=2.0, l1=0.0, batch_size=5).toarray(), ONES.toarray()
    for j in range(12):
        others = np.delete(np.arange(12), j)
        system = np.vstack([x[:, others], np.sqrt(2.0) * np.eye(11)])
        right, _ = nnls(system, np.append(x[:, j], np.zeros(11)))
        np.testing.assert_allclose(weights[others, j], right, atol=5e-3)
    assert (slim_weights(ONES, 11, l2=2.0, l1=3.0) > 0).sum() < (weights > 0).sum()
    assert (np.diff(slim_weights(ONES, 3, 2.0, 0.0).tocsc().indptr) <= 3).all()


def test_nonnegative_weights_are_not_negative():
    half = RNG.normal(size=(6, 9, 9))
    gram, right = half @ half.transpose(0, 2, 1) + np.eye(9), RNG.normal(size=(6, 9))
    found = nonnegative_weights(gram, right, 2000)
    slope = np.einsum("bij,bj->bi", gram, found) - right
    assert (found >= 0).all() and slope.min() > -1e-2 and np.abs(slope[found > 1e-3]).max() < 1e-2


def test_recency_counts_the_last_product_most():
    events = [(f"u{n}", i) for n in range(9) for i in ("ab", "cd")[n % 2]]
    history = History(pd.DataFrame(events, columns=["user", "id"]))
    model = EASE(1.0, recency=0.1).fit(history)
    scores = dict(zip(model.ids, model.scores(basket=["a", "c"]), strict=True))
    assert scores["d"] > scores["b"] > 0
    assert SLIM(l2=1.0, l1=0.0).fit(history).recommend(basket=["a"], k=1)[0].tolist() == ["b"]


def test_a_shop_that_is_too_large_is_told():
    with pytest.raises(ValueError, match="use `SLIM`"):
        ease_weights(csr_matrix((2, 20_001)), 1.0)
