"""What holds for everything that is known about a person in one score."""

import sys
from copy import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from prodrec.recommend.blend import Blend, blend, blend_weights, default_models, new_offset
from prodrec.recommend.cold_start import rank_scores
from prodrec.recommend.collaborative import ALS, ItemKNN
from prodrec.recommend.history import History, split_pairs
from prodrec.recommend.two_tower import TwoTower
from prodrec.recommend.user_models import UserModel

IDS = [f"p{n:02d}" for n in range(24)]
NEW = ["n0", "n1"]  # what nobody has had: one of either colour
COLOURS = np.eye(2, dtype=np.float32)[[*(n % 2 for n in range(24)), 0, 1]]
SMALL = [ALS(4), ItemKNN("cosine"), ItemKNN("cooccurrence")]


def shop(seed=0):
    "Users like products of their own colour, and have most of what they like; some of it is rated."
    rng, rows = np.random.default_rng(seed), []
    for u in range(40):
        for n in rng.permutation([n for n in range(24) if n % 2 == u % 2])[:8]:
            day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(60)))
            rows.append((f"u{u:02d}", IDS[n], "purchase", 1.0, day))
            if rng.random() < 0.2:
                rows.append((f"u{u:02d}", IDS[n], "rating", float(rng.integers(1, 6)), day))
    rows.append(("hater", "p00", "dislike", 1.0, pd.Timestamp("2024-01-05")))
    return pd.DataFrame(rows, columns=["user", "id", "event", "value", "time"])


def fitted(**options):
    vectors = {"colour": COLOURS.copy(), "noise": np.random.default_rng(1).normal(size=(26, 3))}
    return Blend(SMALL, split=split_pairs, **options).fit(History(shop()), [*IDS, *NEW], vectors)


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_it_learns_who_likes_what(model):
    for user in ("u00", "u01", "u20", "u33"):
        parity, had = int(user[1:]) % 2, set(shop().query("user == @user")["id"])
        ids, scores = model.recommend(user, 4)
        assert all(int(i[1:]) % 2 == parity for i in ids) and not had & set(ids)
        assert (np.diff(scores) <= 0).all() and 0 <= scores.min() and scores.max() <= 1


def test_weights_are_of_every_part_and_none_is_negative(model):
    assert model.weights_.index.tolist() == model.parts
    assert {
        "als",
        "colour",
        "nearest colour",
        "noise",
        "popularity",
        "trend",
        "rating",
        "repeat",
    } <= set(model.parts)
    assert (model.weights_ >= 0).all(axis=None) and np.isfinite(model.offset_)
    assert (
        model.weights_.loc[["als", "cosine", "cooccurrence", "colour", "nearest colour"]]
        .sum()
        .min()
        > 0.5
    )


@pytest.mark.parametrize("user", ["u00", "u01"])
def test_new_products_are_reached_by_who_likes_their_kind(model, user):
    mine, other = (NEW[(int(user[1:]) + n) % 2] for n in (0, 1))
    scores = dict(zip(NEW, model.scores(user, NEW), strict=True))
    assert scores[mine] > scores[other]
    ids, _ = model.recommend(user, len(model))
    assert set(NEW) <= set(ids)
    assert model.recommend(user, 1, allowed=NEW)[0].tolist() == [mine]


def test_who_and_what_is_not_known_does_not_raise(model):
    popular = model.recommend(k=5)[0].tolist()
    assert model.recommend("stranger", 5)[0].tolist() == popular
    assert model.recommend(basket=["unheard of"], k=5)[0].tolist() == popular
    assert model.recommend(basket=[], k=5)[0].tolist() == popular
    scores = model.scores(["stranger", "u00"], ["unheard of", "p01", "n0"])
    assert scores.shape == (2, 3) and scores.dtype == np.float32 and scores[:, 0].tolist() == [0, 0]
    assert model.scores([], ["p01"]).shape == (0, 1) and model.scores("u00", []).shape == (0,)
    assert model.recommend([], 3)[0].shape == (0, 3)
    assert model.recommend("u00", allowed=["unheard of"])[0].tolist() == []
    assert "p00" not in model.recommend("hater", 26)[0]
    assert model.known("u00") and not model.known("stranger") and "hater" in model


def test_a_basket_and_a_vector_say_what_somebody_likes(model):
    for n in (0, 1):
        basket = [i for i in IDS if int(i[1:]) % 2 == n][:2]
        ids, _ = model.recommend(basket=basket, k=5)
        assert all(i in NEW or int(i[1:]) % 2 == n for i in ids) and not set(basket) & set(ids)
        ids, _ = model.recommend(basket=[NEW[n]], k=5)  # of a product that nobody has had
        assert all(int(i[1:]) % 2 == n for i in ids)
        ids, _ = model.recommend(vector={"colour": COLOURS[n]}, k=5)
        assert all(COLOURS[[*IDS, *NEW].index(i)].argmax() == n for i in ids)
    many, _ = model.recommend(basket=[["p00"], ["p01"], []], k=3)
    assert (
        many.shape == (3, 3)
        and many[0].tolist() == model.recommend(basket=["p00"], k=3)[0].tolist()
    )
    many, _ = model.recommend(vector={"colour": COLOURS[:2], "noise": np.ones((2, 3))}, k=3)
    assert many.shape == (2, 3)


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["u00", "u07", "hater", "stranger"]),
    st.integers(1, 30),
    st.booleans(),
    st.sets(st.sampled_from([*IDS, *NEW])),
    st.booleans(),
)
def test_lists_hold_what_they_promise(model, user, k, exclude_seen, allowed, as_mask):
    mask = [i in allowed for i in model.ids] if as_mask else sorted(allowed)
    ids, scores = model.recommend(
        user, k, exclude_seen=exclude_seen, allowed=np.array(mask) if as_mask else mask
    )
    seen = set(shop().query("user == @user")["id"]) if exclude_seen else set()
    assert len(ids) == len(set(ids)) == min(k, len(allowed - seen)) and set(ids) <= allowed - seen
    assert np.isfinite(scores).all() and (np.diff(scores) <= 0).all()
    np.testing.assert_allclose(scores, model.scores(user, ids), atol=1e-6)
    many, _ = model.recommend(
        [user, "u01"], k, exclude_seen=exclude_seen, allowed=mask, batch_size=1
    )
    assert many[0][: len(ids)].tolist() == ids.tolist() and all(
        i is None for i in many[0][len(ids) :]
    )


def test_the_same_seed_is_the_same_model_and_saved_it_stays(model, tmp_path, monkeypatch):
    users = [*model.users[:5], "stranger"]
    assert (fitted().scores(users) == model.scores(users)).all()
    model.save(tmp_path / "model")
    assert not [f for f in (tmp_path / "model").rglob("*") if f.suffix in (".pkl", ".pickle")]
    monkeypatch.setitem(sys.modules, "implicit", None)
    loaded = Blend.load(tmp_path / "model")
    assert (loaded.scores(users) == model.scores(users)).all() and loaded.ids == model.ids
    pd.testing.assert_frame_equal(loaded.weights_, model.weights_)
    vectors = {"colour": COLOURS[:1], "noise": np.zeros((1, 3))}
    loaded.add(["later"], vectors)
    assert (
        loaded.recommend("u00", 1, allowed=["later"])[0].tolist() == ["later"]
        and "later" not in model.ids
    )
    with pytest.raises(ValueError, match="'later'"):
        loaded.add(["later"], vectors)
    (tmp_path / "model" / "names.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="damaged"):
        Blend.load(tmp_path / "model")


def test_what_is_given_is_not_changed():
    history, ids, vectors = History(shop()), [*IDS, *NEW], COLOURS.copy()
    events = history.events.copy()
    model = Blend(SMALL, split=split_pairs).fit(history, ids, vectors)
    rows, scores = model.arrays["seen"].copy(), model.scores(["u00"])
    model.recommend("u00", 5)
    model.recommend(basket=["p00"], k=5)
    pd.testing.assert_frame_equal(history.events, events)
    assert ids == [*IDS, *NEW] and (vectors == COLOURS).all()
    assert (rows != model.arrays["seen"]).nnz == 0 and (model.scores(["u00"]) == scores).all()


def test_without_vectors_and_without_times():
    table = shop().drop(columns="time").query("event == 'purchase'")
    model = Blend([ItemKNN("cosine")], repeats=True).fit(History(table))
    assert model.parts == ["cosine", "popularity", "trend", "repeat"]
    assert len(model.recommend("u00", 30)[0]) == 24  # what was had may be had again
    assert len(model.recommend("u00", 30, exclude_seen=True)[0]) == 16
    with pytest.raises(ValueError, match="`vector` must be a dict"):
        model.recommend(vector=[1.0, 0])


def test_weights_can_be_given():
    history = History(shop())
    model = Blend([ItemKNN("cosine")], weights={"popularity": 1.0}).fit(history)
    order = model.recommend("u00", 30, exclude_seen=False)[1]
    assert (np.diff(order) <= 0).all()
    best = history.popularity()
    assert best[model.recommend("stranger", 1)[0][0]] == best.iloc[0]
    with pytest.raises(ValueError, match="`weights` must be .* received 'fame'"):
        Blend([ItemKNN("cosine")], weights={"fame": 1.0}).fit(history)
    with pytest.raises(ValueError, match="10 are needed"):
        Blend([ItemKNN("cosine")]).fit(History(shop().head(30)))


def test_contributions_add_up(model):
    ids = ["p01", "n0", "p10"]
    table = model.contributions("u00", ids)
    assert table.index.tolist() == ids and table.columns.tolist() == model.parts
    utilities = model.utilities(model.seen_rows(["u00"]), model.user_rows(["u00"]))[
        0, [model.ids.index(i) for i in ids]
    ]
    new = np.array([0, model.offset_, 0])
    np.testing.assert_allclose(table.sum(axis=1) + new, utilities, atol=1e-4)


def test_wrong_arguments_are_named(model):
    for wrong, message in [
        (lambda: Blend(("svd",)), "received 'svd'"),
        (lambda: Blend().scores("a"), "call `fit` or `load` first"),
        (lambda: Blend().fit(shop()), "`history` must be a History"),
        (lambda: Blend().fit(History(shop()), vectors=COLOURS), "`ids` must say"),
        (lambda: Blend().fit(History(shop()), IDS, COLOURS), "`vectors` must be finite"),
        (lambda: model.recommend("u00", 0), "`k` must be a positive integer"),
        (lambda: model.recommend("u00", basket=["p00"]), "one of `user`, `basket` and `vector`"),
        (lambda: model.recommend(basket="p00"), "received the string 'p00'"),
        (lambda: model.recommend(vector=COLOURS[0]), "`vector` must be a dict"),
        (lambda: model.recommend(vector={"colour": [1.0]}), "'colour' must be 2 finite numbers"),
        (lambda: model.recommend("u00", allowed=[True]), "a mask of 1 values for 26 products"),
        (lambda: model.add(["x"], {"colour": COLOURS[:1]}), "`vectors` must be given for"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            wrong()


# -- the pieces


def test_two_opinions_are_weighed_by_who_is_right():
    ids, truth = ["a", "b", "c", "d"], [["a"], ["b"]]
    good, bad = np.array([[9, 1, 2, 3], [10, 90, 20, 0]]), np.array([[0, 5, 5, 6], [0, 0, 9, 9]])
    assert blend_weights(good, bad, ids, truth, k=1).idxmax() == 0
    assert blend_weights(bad, good, ids, truth, k=1).loc[1.0] == 1
    hide = csr_matrix(([0.0], ([0], [0])), (2, 4))  # a stored 0 was seen too
    assert rank_scores(good, ids, 2, hide)[0].tolist() == [["d", "c"], ["b", "c"]]
    both = blend(good, bad, 0.25)
    expected = [
        0.75 * (g - g.mean()) / g.std() + 0.25 * (b - b.mean()) / b.std()
        for g, b in zip(good, bad, strict=True)
    ]
    np.testing.assert_allclose(both, expected, atol=1e-6)
    assert np.isfinite(blend(np.zeros((2, 4)), bad)).all()
    with pytest.raises(ValueError, match="`weight` must lie between 0 and 1"):
        blend(good, bad, 2)


# -- what it is made of


class Sequential(UserModel):
    "Knows what each user takes last."

    answers = {f"u{n:02d}": IDS[5 * n % 24] for n in range(40)}

    def learn(self, history, matrix):
        return {}

    def score_known(self, rows, users):
        found = np.zeros((rows.shape[0], self.placement.known), np.float32)
        for n, u in enumerate(users):
            if u < len(self.users) and self.answers:
                found[n, self.ids.index(self.answers[self.users[u]])] = 1
        return found


def test_a_network_of_sequences_is_a_part_where_there_is_order_and_stays_where_it_helps(
    monkeypatch, tmp_path
):
    table = shop().query("event == 'purchase'")[["user", "id"]]
    last = pd.DataFrame({"user": list(Sequential.answers), "id": list(Sequential.answers.values())})
    had = table["id"] != table["user"].map(Sequential.answers)
    history = History(pd.concat([table[had], last]))
    assert "sequential" not in Blend().fit(history).parts
    monkeypatch.setattr("prodrec.recommend.blend.ENOUGH_ORDER", 100)
    monkeypatch.setattr("prodrec.recommend.blend.Sequential", lambda **_: Sequential())
    model = Blend().fit(history)
    assert model.weights_.loc["sequential", "known"] > 0
    model.save(tmp_path / "blend")
    again = Blend.load(tmp_path / "blend")
    assert again.by_history and again.tried_.equals(model.tried_)
    monkeypatch.setattr(Sequential, "answers", {})
    useless = again.fit(history)
    assert "sequential" not in useless.parts and useless.tried_["chosen"].sum() == 1


def test_two_towers_are_a_part_where_there_are_pairs_and_vectors(monkeypatch, tmp_path):
    history = History(shop().query("event == 'purchase'"))
    vectors = np.eye(len(IDS), 6, dtype=np.float32) + 0.1
    monkeypatch.setattr("prodrec.recommend.blend.ENOUGH_PAIRS", 50)
    monkeypatch.setattr(
        "prodrec.recommend.blend.TwoTower", lambda **_: TwoTower(8, members=1, epochs=2)
    )
    assert "two-tower" not in [m.name for m in default_models(history, False, 0)]
    assert "two-tower" in [m.name for m in default_models(history, False, 0, content=True)]
    model = Blend().fit(history, IDS, vectors)
    assert ("two-tower" in model.parts) == ("two-tower" in [m.name for m in model.models])
    asked = Blend(weights={"two-tower": 1.0}).fit(history, IDS, vectors)
    asked.save(tmp_path / "blend")
    again = Blend.load(tmp_path / "blend")
    np.testing.assert_allclose(again.scores("u01"), asked.scores("u01"), atol=1e-5)
    unasked = Blend(weights={"als": 1.0}).fit(history, IDS, vectors)
    assert "two-tower" not in unasked.parts


# -- models and their former names


def test_any_user_model_is_a_part(tmp_path):
    class Alphabet(UserModel):
        def learn(self, history, matrix):
            return {}

        def score_known(self, rows, users):
            return np.tile(np.arange(self.placement.known, 0, -1, np.float32), (rows.shape[0], 1))

    model = Blend([Alphabet(), ItemKNN(), ItemKNN()], weights={"alphabet": 1.0}).fit(
        History(shop())
    )
    assert model.parts[:3] == ["alphabet", "cosine", "cosine 2"]
    assert model.recommend("u00", 2, exclude_seen=False)[0].tolist() == ["p00", "p01"]
    model.save(tmp_path / "model")
    again = UserModel.load(tmp_path / "model")
    assert type(again.models[0]) is Alphabet
    assert (again.scores("u00") == model.scores("u00")).all()


def test_names_of_models_work_and_warn():
    with pytest.warns(DeprecationWarning):
        model = Blend(methods=("als", "cosine"), options={"als": {"factors": 4}}, seed=5)
    assert (model.models[0].factors, model.models[0].seed) == (4, 5)
    assert model.models[0].regularization == 20.0 and model.models[1].similarity == "cosine"
    with pytest.warns(DeprecationWarning):
        assert Blend(("als",)).models[0].regularization == 20.0


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model = Blend(SMALL, split=split_pairs).fit(History(shop()))
    before = model.scores("u00")
    with pytest.raises(ValueError, match="10 are needed"):
        model.fit(History(shop().head(30)))
    assert (model.scores("u00") == before).all()


class Told:
    "A model of two known products and a new one, all equally likely before the offset."

    repeats, users = True, ["u0", "u1"]
    placement = SimpleNamespace(known=2, rows={"a": 0, "b": 1, "new": 2})

    def seen_rows(self, users):
        return csr_matrix((len(users), 3))

    def user_rows(self, users):
        return np.arange(len(users))

    def utilities(self, rows, users=None):
        return np.zeros((rows.shape[0], 3))


def test_the_offset_lets_new_products_be_expected_as_often_as_they_were_taken():
    often = new_offset(Told(), pd.Series([["new", "a"], ["new", "b"]], index=["u0", "u1"]))
    assert often == pytest.approx(np.log(2))  # half of what was taken was new, a third expected
    never = new_offset(Told(), pd.Series([["a"] * 9], index=["u0"]))
    assert never < 0 < often and new_offset(Told(), pd.Series([], dtype=object)) == 0


def test_the_offset_is_added_to_new_products_alone(model):
    rows, known = model.seen_rows(["u00"]), model.placement.known
    before = model.utilities(rows)
    other = copy(model)
    other.offset_ = model.offset_ + 2.5
    np.testing.assert_allclose(other.utilities(rows)[:, :known], before[:, :known], atol=1e-5)
    np.testing.assert_allclose(other.utilities(rows)[:, known:], before[:, known:] + 2.5, atol=1e-5)
