"""The model of sequences reads the order, stops, resumes, and places what is new."""

import numpy as np
import pandas as pd
import pytest

from prodrec.recommend.history import History
from prodrec.recommend.sequential import (
    Sequences,
    Sequential,
    encode,
    event_sequences,
    item_table,
    new_weights,
    next_event_loss,
    next_events,
    windows,
)
from prodrec.recommend.user_models import UserModel

SMALL = {"dim": 16, "epochs": 12, "tokens": 48, "learning_rate": 0.01, "dropout": 0.1}
COLOURS = np.eye(2, dtype=np.float32)[[n % 2 for n in range(22)]]


def ring(users=200, seed=0):
    "Users walk around a ring of 20 products, two steps at a time: odd ones stay odd."
    rng, rows = np.random.default_rng(seed), []
    for u in range(users):
        at = rng.integers(20)
        for _ in range(6):
            rows.append((f"u{u:03d}", f"p{at:02d}"))
            at = (at + 2) % 20
    return pd.DataFrame(rows, columns=["user", "id"])


@pytest.fixture(scope="module")
def model():
    ids = [f"p{n:02d}" for n in range(22)]  # the last two are new
    return Sequential(**SMALL).fit(History(ring()), ids, {"colour": COLOURS})


def test_it_knows_what_comes_next(model):
    for n in range(20):
        basket = [f"p{(n + s) % 20:02d}" for s in (0, 2)]
        assert model.recommend(basket=basket, k=1)[0][0] == f"p{(n + 4) % 20:02d}"
    assert (model.scores(basket=["p02", "p04"]) != model.scores(basket=["p04", "p02"])).any()


def test_a_new_product_is_scored_by_its_content(model):
    even = model.scores(basket=["p02", "p04"], ids=["p20", "p21"])
    odd = model.scores(basket=["p03", "p05"], ids=["p20", "p21"])
    assert even[0] > even[1] and odd[1] > odd[0]
    more = model.add(["p22"], {"colour": COLOURS[:1]})
    assert (
        more.scores(basket=["p02"], ids=["p22"])[0] == more.scores(basket=["p02"], ids=["p20"])[0]
    )


def test_one_forward_pass_serves_numpy_and_keras():
    from keras import ops

    rng = np.random.default_rng(0)
    weights = new_weights(9, dim=8, blocks=2, length=6, content=3, gaps=0, rng=rng)
    x, steps = rng.normal(size=(2, 5, 8)).astype(np.float32), np.arange(5)
    mine = encode(np, weights, x, steps, 2)
    np.testing.assert_allclose(mine, np.array(encode(ops, weights, x, steps, 2)), atol=1e-5)
    content = rng.normal(size=(9, 3)).astype(np.float32)
    table, asked = item_table(np, weights, content), np.array([1, 0, 9, 3, 2])
    loss = next_event_loss(np, mine[0], table, asked)
    np.testing.assert_allclose(loss, next_event_loss(ops, mine[0], table, asked), rtol=1e-5)


def test_every_event_but_the_first_is_asked_about_once():
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 60, 50)
    items = np.arange(sizes.sum(), dtype=np.int32)
    sequences = Sequences(items, items * 0, np.append(0, sizes.cumsum()))
    firsts = set(sequences.ends[:-1].tolist())
    batches = next_events(sequences, 16, 128, rng)
    asked = np.concatenate([a[a > 0] - 1 for _, _, a in batches])
    assert set(asked.tolist()) == set(items.tolist()) - firsts
    for shown, _, right in batches:
        there = right > 0
        assert (shown[there] + 1 == right[there]).all() and not shown[~there].any()
    assert len({shown.shape for shown, _, _ in batches}) <= 3
    starts, lengths = windows(sequences.ends, 16, rng)
    assert lengths.max() <= 17 and lengths.min() >= 2


def test_repeats_are_kept_or_not():
    history = History(pd.DataFrame({"user": list("aaaa"), "id": list("xyxx")}))
    assert event_sequences(history).items.tolist() == [1, 0]
    assert event_sequences(history, repeats=True).items.tolist() == [0, 1, 0]
    assert Sequential(8, epochs=0, repeats=True).fit(history).recommend("a")[0].tolist() != []


def test_a_stopped_training_goes_on_and_ends_as_if_it_had_not_stopped(tmp_path, monkeypatch):
    from prodrec.recommend import sequential

    history, options = History(ring(40)), SMALL | {"epochs": 4}
    whole = Sequential(**options).fit(history)
    write, written = sequential.Training.write, []

    def stop(self):
        write(self)
        written.append(self.state["passes"])
        if written == [1, 2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(sequential.Training, "write", stop)
    model = Sequential(**options, checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(history)
    assert model.placement is None
    model.fit(history)
    assert written == [1, 2, 3, 4]
    np.testing.assert_allclose(model.scores("u001"), whole.scores("u001"), atol=1e-3)


def test_time_gaps_and_drawn_negatives_train_and_are_saved(tmp_path):
    events = ring(60)
    events["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(events)), "h")
    options = SMALL | {"epochs": 3, "time_gaps": True, "negatives": 10, "seed": 2}
    model = Sequential(**options).fit(History(events))
    model.save(tmp_path / "model")
    again = UserModel.load(tmp_path / "model")
    users = ["u001", "u002", "stranger"]
    assert (again.scores(users) == model.scores(users)).all() and again.time_gaps
    np.testing.assert_allclose(model.scores(users)[0], model.scores("u001"), atol=1e-4)
    assert (model.scores("u001") != model.scores(basket=model.recommend("u001")[0])).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 7}, "multiple of `heads`"),
        ({"dropout": 1}, "`dropout` must lie"),
        ({"length": 0}, "`length` must be a positive integer"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Sequential(**options)
