"""Two towers learn what goes with what, from pairs and from content; they stop and resume."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from prodrec.recommend import two_tower
from prodrec.recommend.history import History
from prodrec.recommend.two_tower import (
    TwoTower,
    held_ndcg,
    hidden_share,
    hold_one_back,
    keras_towers,
    new_towers,
    questions,
    summed_products,
    wish_scores,
)
from prodrec.recommend.user_models import UserModel

SMALL = {"dim": 16, "members": 1, "epochs": 10, "users": 32, "learning_rate": 0.01}
KINDS = ["lamp", "bulb", "pot", "lid"]
NAMES = [f"{kind} {n}" for kind in KINDS for n in range(12)]
LOOKS = np.repeat(np.eye(4, dtype=np.float32), 12, axis=0)


def bought(users=400, seed=0):
    "Half of the users have lamps and bulbs, half pots and lids; nobody has the last of a kind."
    rng, rows = np.random.default_rng(seed), []
    for u in range(users):
        for kind in KINDS[:2] if u % 2 else KINDS[2:]:
            rows += [(f"u{u:03d}", f"{kind} {n}") for n in rng.choice(11, 2, replace=False)]
    return pd.DataFrame(rows, columns=["user", "id"])


@pytest.fixture(scope="module")
def model():
    return TwoTower(**SMALL).fit(History(bought()), NAMES, {"look": LOOKS})


def kinds(ids):
    return {i.split()[0] for i in ids}


@pytest.mark.parametrize("asked", ["lamp 3", "lamp 11"])  # nobody has had the second
def test_it_knows_what_goes_together(model, asked):
    assert kinds(model.recommend(basket=[asked], k=8)[0]) <= {"lamp", "bulb"}


def test_new_products_are_found_and_more_can_come(model):
    with_lamp, with_pot = (
        model.scores(basket=[b], ids=["bulb 11", "lid 11"]) for b in ("lamp 2", "pot 2")
    )
    assert with_lamp[0] > with_lamp[1] and with_pot[1] > with_pot[0]
    more = model.add(["bulb 12"], {"look": LOOKS[[12]]})
    assert more.scores(basket=["lamp 2"], ids=["bulb 12"]) == pytest.approx(with_lamp[:1])


def test_two_wishes_are_both_heard(model):
    "A mean of the vectors would be something in between."
    both = model.recommend(basket=["lamp 3", "pot 3"], k=20)[0]
    assert len(kinds(both)) >= 3


def test_a_stranger_gets_what_is_popular(model):
    asked = {"user": ["nobody"], "k": 5}
    counts = model.popularity()
    assert counts[model.recommend(**asked)[0][0]].tolist() == sorted(counts)[::-1][:5]


def test_the_same_seed_gives_the_same_model():
    history = History(bought(60))
    one, two = (TwoTower(8, members=1, epochs=2, seed=3).fit(history) for _ in range(2))
    np.testing.assert_allclose(one.scores("u001"), two.scores("u001"), atol=1e-3)
    other = TwoTower(8, members=1, epochs=2, seed=4).fit(history)
    assert np.abs(one.scores("u001") - other.scores("u001")).max() > 1e-2


def test_a_stopped_training_goes_on(tmp_path, monkeypatch):
    history, options = History(bought(120)), SMALL | {"epochs": 4}
    whole = TwoTower(**options).fit(history)

    passes, ask = [], two_tower.questions

    def stopped(*args):
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return ask(*args)

    monkeypatch.setattr(two_tower, "questions", stopped)
    model = TwoTower(**options, checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(history)
    model.fit(history)
    assert len(passes) == 3 + 2  # two passes were not made again
    np.testing.assert_allclose(model.scores("u001"), whole.scores("u001"), atol=2e-2)


def test_saved_towers_take_in_what_is_new(model, tmp_path):
    model.save(tmp_path / "model")
    again = UserModel.load(tmp_path / "model").add(["lid 12"], {"look": LOOKS[[-1]]})
    assert kinds(again.recommend(basket=["lid 12"], k=5)[0]) <= {"pot", "lid"}


def test_members_are_averaged():
    model = TwoTower(8, members=3, epochs=1).fit(History(bought(60)), NAMES, LOOKS)
    assert model.arrays["asking"].shape == (44, 3 * 8) and len(model.arrays["scale"]) == 3
    assert model.arrays["new_asking"].shape == (4, 3 * 8)
    assert np.isfinite(model.scores(["u000", "u001"])).all()


def test_what_asks_is_never_the_answer():
    matrix = History(bought(50)).matrix()
    for seed in range(5):
        for batch in questions(matrix, 16, 3, np.random.default_rng(seed)):
            asked = set(zip(batch["asker"], batch["columns"][batch["right"]], strict=True))
            had = set(zip(batch["owner"], batch["items"], strict=True))
            assert not asked & had and {u for u, _ in asked} == {u for u, _ in had}
            assert np.bincount(np.append(batch["owner"], batch["asker"])).max() <= 3


def test_a_sampled_sum_is_right_on_average(monkeypatch):
    monkeypatch.setattr(two_tower, "FULL_SUM", 50)
    monkeypatch.setattr(two_tower, "DRAWN", 30)
    scores = np.random.default_rng(0).normal(size=200)
    sums = []
    for seed in range(400):
        columns, offsets = summed_products(np.array([5, 9]), 200, np.random.default_rng(seed))
        assert {5, 9} <= set(columns) and len(set(columns)) == len(columns)
        sums.append(np.exp(scores[columns] + offsets).sum())
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), rel=0.03)
    model = TwoTower(**SMALL | {"epochs": 4}).fit(History(bought()), NAMES, LOOKS)
    assert kinds(model.recommend(basket=["lamp 3"], k=5)[0]) <= {"lamp", "bulb"}


def test_some_is_hidden_and_some_is_left():
    owner = np.repeat([0, 1, 2], [2, 3, 30])
    for seed in range(50):
        counts = np.bincount(owner[hidden_share(owner, np.random.default_rng(seed))], minlength=3)
        assert (counts >= 1).all() and (counts <= [1, 2, 15]).all()


def test_the_judge_knows_best_worst_and_ties():
    rest = csr_matrix(np.array([[1.0, 0, 0, 0]]))
    ask = {"asking": np.eye(4), "answering": np.eye(4)}
    user, answer = np.array([0]), np.array([2])
    for bias, expected in (
        ([9, 0, 1, 0], 1.0),
        ([9, 2, 1, 2], 1 / np.log2(4)),
        ([9, 1, 1, 1], 1 / np.log2(3)),
    ):
        found = held_ndcg(ask | {"bias": np.array(bias, float)}, 1e-9, rest, user, answer)
        assert found == pytest.approx(expected, abs=1e-4)


def test_one_product_of_some_users_is_held_back():
    matrix = History(bought(50)).matrix()
    rest, users, answers = hold_one_back(matrix, 7, np.random.default_rng(0))
    assert len(users) == 7 and matrix.nnz - rest.nnz == 7
    assert np.asarray(matrix[users, answers]).all() and not np.asarray(rest[users, answers]).any()


def test_scores_are_the_formula():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    said = wish_scores(np.array([1, 4, 2]), np.array([0, 2, 2, 3]), a, b, 7.0)
    for u, items in enumerate(([1, 4], [], [2])):
        wanted = np.log(np.exp(7 * (a[items] @ b.T - 1)).mean(0)) if items else np.zeros(6)
        np.testing.assert_allclose(said[u], wanted, atol=1e-4)


def test_the_loss_is_the_formula(monkeypatch):
    "Answers among all products but those that ask, each for as many as it stands for."
    monkeypatch.setattr(two_tower, "FULL_SUM", 20)
    monkeypatch.setattr(two_tower, "DRAWN", 10)
    matrix, rng = History(bought(30)).matrix(), np.random.default_rng(0)
    n = matrix.shape[1]
    weights = new_towers(n, 8, 0, np.arange(n), rng)
    batch = next(questions(matrix, 16, 50, rng))
    assert batch["offsets"].max() > 0 and len(batch["had"])
    found = keras_towers(weights, None, 16, 0.0, 1e-3, seed=0).compute_loss(x=batch)

    ask, answer = (
        weights[f"{side}_own"] / np.linalg.norm(weights[f"{side}_own"], axis=1, keepdims=True)
        for side in ("ask", "answer")
    )
    losses = []
    for user in range(16):
        had = batch["items"][batch["owner"] == user]
        wishes = np.exp(10 * ask[had] @ answer[batch["columns"]].T).sum(0)
        odds = wishes * np.exp(weights["bias"][batch["columns"]] + batch["offsets"])
        odds[np.isin(batch["columns"], had)] = 0
        right = batch["right"][batch["asker"] == user]
        losses.append(-np.log(odds[right] / odds.sum()).mean())
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dim": 0}, "`dim` must be a positive integer, received 0"),
        ({"members": 1.5}, "`members` must be a positive integer, received 1.5"),
        ({"epochs": -1}, "`epochs` must be 0 or more, received -1"),
        ({"dropout": 1.0}, "`dropout` must lie between 0 and 1, received 1.0"),
    ],
)
def test_errors_name_the_argument(options, said):
    with pytest.raises(ValueError, match=said):
        TwoTower(**options)
