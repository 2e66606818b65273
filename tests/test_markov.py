"""What holds for the model of steps: direction and distance count, by hand and in its lists."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from prodrec.recommend.history import (
    History,
    leave_last_out,
    ordered_rows,
    recency_weights,
)
from prodrec.recommend.markov import Markov, step_counts, strongest
from prodrec.recommend.user_models import basket_rows


def walks(seed=0):
    rng = np.random.default_rng(seed)
    rows = [(f"u{u}", f"p{rng.integers(12):02d}") for u in range(40) for _ in range(7)]
    return History(pd.DataFrame(rows, columns=["user", "id"]))


def test_steps_are_counted_as_by_hand():
    history, decay, back = walks(), 0.6, 0.25
    rows = ordered_rows(history)
    by_hand = np.zeros((len(history.ids),) * 2)
    for u in range(rows.shape[0]):
        items = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        for s in range(len(items)):
            for t in range(s + 1, len(items)):
                by_hand[items[s], items[t]] += decay ** (t - s - 1)
                by_hand[items[t], items[s]] += back * decay ** (t - s - 1)
    np.testing.assert_allclose(step_counts(rows, decay, back).toarray(), by_hand, atol=1e-4)


def test_rows_are_stored_in_the_order_of_last_events():
    history = History(
        pd.DataFrame({"user": list("abaab"), "id": list("zxyzx"), "event": "purchase"})
    )
    rows = ordered_rows(history)
    assert [history.ids[i] for i in rows.indices] == ["y", "z", "x"]
    dense = history.matrix(keep_zeros=True).toarray()
    np.testing.assert_array_equal(rows.toarray(), dense)
    assert basket_rows([["q", "p", "q"]], {"p": 0, "q": 1}).indices.tolist() == [0, 1]


def test_the_order_survives_new_products_and_files(tmp_path):
    history = History(pd.DataFrame({"user": list("aaabbb"), "id": list("zyxzyx")}))
    model = Markov().fit(history, ["x", "y", "z", "new"], [[1, 0], [0, 1], [1, 1], [1, 0.1]])
    assert model.recommend(basket=["z", "y"], k=1)[0][0] in ("x", "new")
    model.save(tmp_path / "model")
    again = Markov.load(tmp_path / "model")
    assert again.seen_rows(["a"]).indices.tolist() == model.seen_rows(["a"]).indices.tolist()
    assert [model.ids[i] for i in model.seen_rows(["a"]).indices] == ["z", "y", "x"]
    assert (again.scores("a") == model.scores("a")).all()


def test_leave_last_out_takes_an_order_without_dates():
    history = History(
        pd.DataFrame({"user": list("aabb"), "id": list("yxxy"), "order": [2, 1, 3, 4]})
    )
    train, test = leave_last_out(history)
    assert train.events["id"].tolist() == ["x", "x"] and test.events["id"].tolist() == ["y", "y"]


def test_the_strongest_and_the_latest():
    matrix = csr_matrix(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert strongest(matrix, 2).toarray().tolist() == [[0, 0, 2, 3], [0, 0, 6, 7], [0, 0, 10, 11]]
    rows = csr_matrix((np.array([1, 0, 1], np.float32), [2, 1, 0], [0, 3]), (1, 3))
    assert recency_weights(rows, 0.5).toarray().tolist() == [[1.0, 0.0, 0.5]]
