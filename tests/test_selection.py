"""A search finds the options of a user model on events that it never learned from."""

import pandas as pd
import pytest

from prodrec.recommend.collaborative import ItemKNN
from prodrec.recommend.history import History
from prodrec.recommend.markov import Markov
from prodrec.recommend.selection import (
    USER_SPACES,
    held_back_ndcg,
    option_oracle,
    space_of,
    tune_user_model,
)

CYCLE = [f"p{n}" for n in range(12)]


@pytest.fixture(scope="module")
def history():
    "Each user walks along a ring, always ahead."
    rows = [(f"u{u:02d}", CYCLE[(u + s) % 12]) for u in range(48) for s in range(5)]
    return History(pd.DataFrame(rows, columns=["user", "id"]))


def test_what_was_taken_last_counts_most_on_a_ring(history):
    wish = {"similarity": "cooccurrence", "trials": 2}
    found = tune_user_model(ItemKNN, history, {"recency": [0.5, 1.0]}, **wish)
    assert found.model.recency == 0.5 and found.model.placement is None
    assert found.model.similarity == "cooccurrence"
    table = found.table[~found.table["defaults"]].set_index("recency")["ndcg"]
    assert table[0.5] > 0.9 > table[1.0] and found.table["defaults"].sum() == 1


def test_a_stopped_search_goes_on(history, tmp_path, monkeypatch):
    from prodrec.recommend import selection

    wish = {"space": {"recency": [0.5, 1.0]}, "trials": 2, "method": "random", "folder": tmp_path}
    first, calls = tune_user_model(ItemKNN, history, **wish), []
    judge = selection.held_back_ndcg
    monkeypatch.setattr(selection, "held_back_ndcg", lambda *a: calls.append(a) or judge(*a))
    again = tune_user_model(ItemKNN, history, **wish)
    assert len(calls) == 1  # the defaults alone
    pd.testing.assert_frame_equal(again.table, first.table)


def test_the_value_is_that_of_the_metric(history):
    past, future = (history[history.events["id"].isin(ids).to_numpy()] for ids in (CYCLE, CYCLE))
    with pytest.raises(ValueError, match="nobody took anything new"):
        held_back_ndcg(Markov().fit(past), past, future)


def test_each_space_is_of_options_that_the_model_has():
    import prodrec

    for name, space in USER_SPACES.items():
        model = getattr(prodrec, name)()
        assert set(space) <= set(model.settings())
        assert space_of(getattr(prodrec, name), None, {}).keys() == space.keys()
    with pytest.raises(ValueError, match="`method` must be one of"):
        option_oracle("grid", 1, 0)
