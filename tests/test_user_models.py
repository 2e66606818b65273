"""The promises of the contract, kept by every user model of prodrec and by one of a test."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from builders import checkerboard, events
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from prodrec.recommend.blend import Blend
from prodrec.recommend.collaborative import ALS, BPR, FactorModel, ItemKNN, Popularity
from prodrec.recommend.history import History
from prodrec.recommend.linear import EASE, SLIM
from prodrec.recommend.markov import Markov
from prodrec.recommend.sequential import Sequential
from prodrec.recommend.two_tower import TwoTower
from prodrec.recommend.user_models import UserModel


class Together(UserModel):
    "A model of somebody else: how often two products were taken by the same user."

    def __init__(self, power=1.0):
        self.power = power

    def learn(self, history, matrix):
        taken = (matrix > 0).astype(np.float32)
        return {"pairs": (taken.T @ taken).power(self.power).toarray()}

    def score_known(self, rows, users):
        return (rows @ self.arrays["pairs"]).astype(np.float32)

    def settings(self):
        return {"power": self.power}


MODELS = {
    "popularity": lambda factors: Popularity(),
    "cosine": lambda factors: ItemKNN(neighbours=50),
    "cooccurrence": lambda factors: ItemKNN("cooccurrence"),
    "als": lambda factors: ALS(factors, seed=3),
    "bpr": lambda factors: BPR(factors, seed=3),
    "ease": lambda factors: EASE(1.0),
    "slim": lambda factors: SLIM(l2=1.0, l1=0.01),
    "markov": lambda factors: Markov(),
    "sequential": lambda factors: Sequential(8, epochs=0),  # the training has tests of its own
    "two-tower": lambda factors: TwoTower(8, members=1, epochs=0),
    "blend": lambda factors: Blend([ItemKNN()], weights={"cosine": 1.0}),
    "together": lambda factors: Together(1.5),
}
METHODS = tuple(MODELS)
IMPERSONAL = ("popularity",)  # models that are the same for everybody
PERSONAL = [m for m in METHODS if m not in (*IMPERSONAL, "sequential", "two-tower")]
IMPLICIT = ["als", "bpr", "cosine", "cooccurrence", "blend"]


def made(method, factors=128):
    return MODELS[method](factors)


def test_every_registered_model_is_here():
    bases = {UserModel, FactorModel}
    classes = [c for homes in UserModel._classes.values() for c in homes.values()]
    known = {c for c in classes if c not in bases and not c.__name__.startswith("_")}
    assert {c for c in known if c.__module__.startswith("prodrec.") or c is Together} == {
        type(made(m)) for m in METHODS
    }


@settings(deadline=None, max_examples=40)
@given(events(), st.sampled_from(METHODS), st.integers(1, 12), st.booleans(), st.data())
def test_lists_hold_what_they_promise(table, method, k, exclude_seen, data):
    history = History(table)
    if not history.matrix().nnz:
        with pytest.raises(ValueError, match="nothing to learn from"):
            made(method).fit(history)
        return
    model = made(method, 3).fit(history)
    allowed = data.draw(st.sets(st.sampled_from(model.ids)))
    mask = data.draw(st.sampled_from([None, sorted(allowed), [i in allowed for i in model.ids]]))
    users = [*model.users, "nobody"]
    many, many_scores = model.recommend(
        users, k, exclude_seen=exclude_seen, allowed=mask, batch_size=2
    )
    for row, user in enumerate(users):
        ids, scores = model.recommend(user, k, exclude_seen=exclude_seen, allowed=mask)
        seen = set(table["id"][table["user"] == user]) if exclude_seen else set()
        matching = (set(model.ids) if mask is None else allowed) - seen
        assert len(ids) == len(set(ids)) == min(k, len(matching)) and set(ids) <= matching
        assert np.isfinite(scores).all() and (np.diff(scores) <= 0).all()
        assert len(many[row]) == min(k, len(model.ids if mask is None else allowed))
        assert many[row][: len(ids)].tolist() == ids.tolist() and all(
            i is None for i in many[row][len(ids) :]
        )
        np.testing.assert_allclose(many_scores[row][: len(ids)], scores, rtol=1e-5, atol=1e-6)
    alike, _ = model.similar(model.ids[0], k)
    assert len(alike) == min(k, len(model) - 1) and model.ids[0] not in alike


@pytest.mark.parametrize("method", PERSONAL)
def test_the_checkerboard(method):
    model = made(method, 2).fit(checkerboard())
    for user in model.users:
        ids, _ = model.recommend(user, k=1)
        assert ids.tolist() == [f"p{user}"]
        colour = [f"p{p:02d}" for p in range(20) if p % 2 == int(user) % 2]
        assert sorted(model.recommend(user, 10, exclude_seen=False)[0]) == colour
        assert sorted(model.similar(f"p{user}", 9)[0]) == sorted(set(colour) - {f"p{user}"})
    baskets, _ = model.recommend(basket=[["p00", "p02"], ["p01"]], k=8)
    assert sorted(baskets[0]) == [f"p{p:02d}" for p in range(4, 20, 2)]
    assert set(baskets[1]) <= {f"p{p:02d}" for p in range(3, 20, 2)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pairs", ["ax", "ax ay", "ax bx", "ax by"])
def test_the_smallest_shops(method, pairs):
    model = made(method).fit(
        History(pd.DataFrame([list(p) for p in pairs.split()], columns=["user", "id"]))
    )
    for user in ("a", "b", "nobody"):
        ids, scores = model.recommend(user, exclude_seen=False)
        assert sorted(ids) == model.ids and np.isfinite(scores).all()
    assert len(model.recommend(basket=["x"])[0]) == len(model) - 1


@pytest.mark.parametrize("method", METHODS)
def test_who_is_not_known_gets_what_is_popular(method):
    table = pd.DataFrame(
        [(f"{u}", f"p{p}") for p in range(6) for u in range(p + 2)], columns=["user", "id"]
    )
    model = made(method, 4).fit(History(table))
    most = ["p5", "p4", "p3"]
    assert "stranger" not in model and "0" in model
    ids, scores = model.recommend("stranger", k=3)
    assert ids.tolist() == most
    if method != "blend":  # which has a scale of its own
        np.testing.assert_allclose(scores, [7 / 7, 6 / 7, 5 / 7], rtol=1e-6)
    assert model.recommend(basket=[], k=3)[0].tolist() == most
    assert model.recommend(basket=["unheard of"], k=3)[0].tolist() == most
    assert model.similar("unheard of", 3)[0].tolist() == most
    assert model.recommend("stranger", 3, allowed=["p0", "p1", "unheard of"])[0].tolist() == [
        "p1",
        "p0",
    ]
    assert model.recommend([], 3)[0].shape == (0, 3)
    assert model.recommend("stranger", allowed=[])[0].tolist() == []


@pytest.mark.parametrize("method", METHODS)
def test_what_was_disliked_is_seen_but_not_liked(method):
    table = pd.DataFrame(
        {
            "user": ["a", "b", "b"],
            "id": ["x", "x", "y"],
            "event": ["dislike", "purchase", "purchase"],
        }
    )
    model = made(method, 2).fit(History(table))
    assert model.recommend("a")[0].tolist() == ["y"]
    assert model.popularity().to_dict() == {"x": 1, "y": 1}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_is_the_same_model_and_saved_it_stays(method, tmp_path, monkeypatch):
    history = checkerboard(30)
    model, twin = (made(method, 6).fit(history) for _ in range(2))
    users = [*model.users, "nobody"]
    assert (model.scores(users) == twin.scores(users)).all()
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "implicit", None)  # what is loaded must do without it
    loaded = UserModel.load(tmp_path / "model")
    assert (loaded.scores(users) == model.scores(users)).all()
    assert (
        loaded.recommend(basket=["p01"], k=5)[0].tolist()
        == model.recommend(basket=["p01"], k=5)[0].tolist()
    )
    assert type(loaded) is type(model) and repr(loaded) == repr(model)
    assert not [f for f in (tmp_path / "model").rglob("*") if f.suffix in (".pkl", ".pickle")]
    names = json.loads((tmp_path / "model" / "names.json").read_text(encoding="utf-8"))
    (tmp_path / "model" / "names.json").write_text(
        json.dumps(names | {"ids": names["ids"][::-1]}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match="damaged"):
        UserModel.load(tmp_path / "model")


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_missing_extra_is_named_when_it_is_needed(method, monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "implicit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(ImportError, match=r'pip install "prodrec\[history\]"'):
        made(method).fit(checkerboard(4))


# -- new products


COLOURS = np.eye(2, dtype=np.float32)[[n % 2 for n in range(20)]]
PRODUCTS = [f"p{p:02d}" for p in range(20)]


@pytest.mark.parametrize("method", PERSONAL)
def test_products_that_nobody_had_are_recommended_to_those_who_like_their_kind(method, tmp_path):
    history, ids = checkerboard(hole=False), ["new even", *PRODUCTS, "new odd"]
    vectors = {"colour": np.vstack([[1, 0], COLOURS, [0, 1]])}
    model = made(method, 2).fit(history, ids, vectors)
    assert model.ids == [*PRODUCTS, "new even", "new odd"] and model.spaces == ["colour"]
    model.save(tmp_path / "model")
    model = UserModel.load(tmp_path / "model").add(["later odd"], {"colour": [[0, 1]]})
    for user in model.users:
        kind, other = ("odd", "even") if int(user) % 2 else ("even", "odd")
        new = [i for i in model.ids if i.endswith(kind)]
        scores = dict(zip(model.ids, model.scores(user), strict=True))
        assert min(scores[i] for i in new) > scores[f"new {other}"]
        assert set(model.recommend(user, 99)[0]) == set(model.ids) - set(
            PRODUCTS[int(user) % 2 :: 2]
        )
    odd = {"later odd", "new odd", *PRODUCTS[1::2]}
    assert model.recommend(basket=["new odd"], k=1)[0][0] in odd
    assert set(model.similar("p01", 5)[0]) <= odd
    assert model.popularity()[["new odd", "later odd"]].tolist() == [0, 0]
    if method != "blend":  # where new products borrow what is popular too
        assert "later odd" not in model.recommend("stranger", len(PRODUCTS))[0]


@pytest.mark.parametrize("method", METHODS)
def test_add_and_update_leave_the_copy_as_it_was(method):
    from copy import copy

    model = made(method, 2).fit(checkerboard(), PRODUCTS, COLOURS)
    model.add(["new"], [[1, 0]])
    before, scores = copy(model), model.scores(["00", "01"])
    changed = copy(model).update(["new", "p03"], [[0, 1], [1, 0]])
    later = copy(model).add(["later"], [[0, 1]])
    assert (model.scores(["00", "01"]) == scores).all() and before.ids == model.ids
    assert later.ids == [*model.ids, "later"]
    if method in ("sequential", "two-tower"):  # untrained here: any direction
        assert changed.scores("00", ["new"]) != model.scores("00", ["new"])
    elif method not in IMPERSONAL:
        assert changed.scores("00", ["new"]) < model.scores("00", ["new"])
    for wrong, error in [
        (lambda: model.add(["p00"], [[1, 0]]), "'p00'"),
        (lambda: model.add(["a"], [[np.nan, 0]]), "`vectors` must be finite"),
        (lambda: model.add(["a"]), "`vectors` must be given for"),
        (lambda: model.update(["gone"], [[1, 0]]), "'gone' is not known"),
    ]:
        with pytest.raises((ValueError, KeyError), match=error):
            wrong()


@pytest.mark.parametrize("method", METHODS)
def test_without_vectors_a_new_product_waits_for_the_next_fit(method):
    model = made(method, 2).fit(checkerboard(), [*PRODUCTS, "new"]).add(["later"])
    ids, scores = model.recommend("00", 99)
    assert set(ids[-2:]) <= {"new", "later"} | set(PRODUCTS) and np.isfinite(scores).all()
    assert {"new", "later"} <= set(ids)


# -- arguments


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        ALS().recommend("a")
    model = Popularity().fit(checkerboard(4))
    for wrong, message in [
        (lambda: model.recommend("00", k=0), "`k` must be a positive integer, received 0"),
        (lambda: model.recommend([7]), "`user` must be a string or a list of strings, received 7"),
        (lambda: model.recommend(basket="p00"), "received the string 'p00'"),
        (lambda: model.recommend("00", basket=["p00"]), "one of `user` and `basket`"),
        (lambda: model.recommend("00", allowed=[True]), "a mask of 1 values for 4 products"),
        (lambda: model.recommend("00", filter=[True]), "'filter' is no argument"),
        (lambda: model.add(["x"], np.ones((1, 2))), r"`vectors` must be given for \[\]"),
        (lambda: Popularity().fit(pd.DataFrame()), "`history` must be a History"),
        (lambda: UserModel().fit(checkerboard(4)), "define `learn`"),
    ]:
        with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
            wrong()


def test_the_former_name_of_a_mask_warns():
    model = Popularity().fit(checkerboard(4))
    with pytest.warns(DeprecationWarning, match="`allowed`"):
        assert model.recommend("00", where=["p01"])[0].tolist() == ["p01"]


def test_a_constructor_of_ones_own_must_say_how_it_is_saved(tmp_path):
    class Forgetful(Popularity):
        def __init__(self, wish):
            self.wish = wish

    with pytest.raises(TypeError, match="define `settings`"):
        Forgetful(1).fit(checkerboard(4)).save(tmp_path / "model")
    UserModel._classes.pop("Forgetful")


def test_a_model_says_what_it_is():
    model = ALS(4).fit(checkerboard(4))
    assert repr(model).startswith("ALS(factors=4") and "users=4" in repr(model)
    assert "products" in model._repr_html_() and "call `fit`" in repr(ALS())


# -- what a model returns


class Returning(UserModel):
    "A model that returns what a test tells it to."

    def __init__(self, learned=None, scores=None):
        self.learned, self.told = learned or {}, scores

    def learn(self, history, matrix):
        assert matrix.shape == (len(history.users), len(history.ids))
        return self.learned

    def score_known(self, rows, users):
        return np.ones(rows.shape) if self.told is None else self.told

    def settings(self):
        return {"learned": self.learned}


@pytest.fixture(autouse=True, scope="module")
def forget():
    yield
    for name in ("Returning", "Newest", "Oldest"):
        UserModel._classes.pop(name)


@pytest.mark.parametrize(
    "scores, received",
    [
        (np.ones((1, 3)), r"received shape \(1, 3\)"),
        (np.ones(4), r"received shape \(4,\)"),
        (np.full((1, 4), np.nan), "received NaN"),
        (object(), "received object"),
    ],
)
def test_wrong_scores_are_refused(scores, received):
    model = Returning(scores=scores).fit(checkerboard(4))
    with pytest.raises(
        ValueError, match=r"`Returning.score_known` must .* \(1, 4\), .*" + received
    ):
        model.recommend("00")


@pytest.mark.parametrize(
    "learned, error",
    [
        ({"seen": np.ones(1)}, "`Returning.learn` returned an array 'seen'"),
        ({"borrow": np.ones(1)}, "none of seen, popularity, borrow"),
        ({"arrays": np.ones(1)}, "'arrays'"),
        ({"../up": np.ones(1)}, "letters, digits"),
        ({"names": {"a": 1}}, "received dict for 'names'"),
        ({"names": np.array(["a"])}, "received ndarray for 'names'"),
        ([1], "must return a dict from names to arrays, received list"),
    ],
)
def test_wrong_arrays_are_refused_when_the_model_is_fitted(learned, error):
    with pytest.raises((ValueError, TypeError), match=error):
        Returning(learned).fit(checkerboard(4))


def test_a_model_that_comes_back_unfitted_is_refused(tmp_path):
    class Halfway(Together):
        @classmethod
        def _read(cls, folder, meta):
            return cls(**meta["settings"])

    from prodrec.recommend.profiles import Profiles

    Profiles(Halfway(2.0)).fit(checkerboard(4)).save(tmp_path / "profiles")
    with pytest.raises(ValueError, match="`Halfway._read` must end with `.restore"):
        Profiles.load(tmp_path / "profiles")
    UserModel._classes.pop("Halfway")


def test_no_model_loses_the_order_of_what_users_had():
    rows = csr_matrix(([1.0, 1, 1], [5, 3, 9], [0, 3]), (1, len(PRODUCTS)))
    for method in METHODS:
        model = made(method, 2).fit(checkerboard(), PRODUCTS, COLOURS)
        given = rows.copy()
        given.resize(1, len(model))
        model.score_rows(given)
        assert given.indices.tolist() == [5, 3, 9], method


# -- strangers, and what is said


class Newest(UserModel):
    "What was first taken last, for strangers too."

    answers_strangers, says = True, "new"

    def learn(self, history, matrix):
        return {"first": np.arange(matrix.shape[1], dtype=np.float32)}

    def score_known(self, rows, users):
        return np.tile(self.arrays["first"], (rows.shape[0], 1))


class Oldest(Newest):
    answers_strangers = False

    def score_known(self, rows, users):
        return -super().score_known(rows, users)


@pytest.fixture
def skewed():
    pairs = [(f"{u}", f"p{p}") for p in range(6) for u in range(8 - p)]
    return History(pd.DataFrame(pairs, columns=["user", "id"]))  # the oldest is the most popular


def test_a_model_that_answers_strangers_is_asked(skewed):
    assert Newest().fit(skewed).recommend("stranger", 3)[0].tolist() == ["p5", "p4", "p3"]
    for model in (Oldest(), Popularity()):
        assert model.fit(skewed).recommend("stranger", 1)[0].tolist() == ["p0"]
    for part, first in ((Newest(), "p5"), (Oldest(), "p0")):
        blend = Blend([part], weights={part.name: 1.0}).fit(skewed)
        assert blend.recommend("stranger", 1)[0].tolist() == [first]
        assert blend.answers_strangers is part.answers_strangers


def test_a_recommender_asks_the_model_for_strangers_and_says_why(skewed):
    from builders import shop

    from prodrec import Recommender, TfidfEmbedder

    catalog, events = shop(20), skewed.events.copy()
    events["id"] = [catalog.ids[int(i[1:])] for i in events["id"]]
    for model, first, why in ((Newest(), 5, "new"), (Oldest(), 0, "popular")):
        shop_ = Recommender(text=TfidfEmbedder(), collaborative=model)
        hits = shop_.fit(catalog, History(events)).recommend(user="stranger", k=3).to_frame()
        assert hits.id.iloc[0] == catalog.ids[first]
        assert hits.reason.iloc[0] == why, hits.reason.iloc[0]
    hits = shop_.recommend(user="0", k=3).to_frame()
    assert any("new" in reason for reason in hits.reason)


def test_a_class_in_the_place_of_a_model_is_refused_at_once():
    from prodrec import Recommender, TfidfEmbedder

    for wrong, told in ((Newest, r"an instance, Newest\(\)"), ("als", "an instance, e.g.")):
        with pytest.raises(TypeError, match=f"`collaborative` must be {told}"):
            Recommender(text=TfidfEmbedder(), collaborative=wrong)


def test_settings_that_json_cannot_hold_are_named(tmp_path):
    model = Together(np.int64(2)).fit(checkerboard(4))
    with pytest.raises(TypeError, match="`Together.settings` must .* received int64 for 'power'"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_long_setting_is_shown_in_short():
    text = repr(Together({f"p{n}": n for n in range(300)}))
    assert len(text) < 120 and "…" in text
