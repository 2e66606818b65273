"""The checks of parts of somebody's own pass what keeps a contract and name what breaks it."""

import numpy as np
import pytest
from builders import shop

from prodrec.recommend.collaborative import ALS, ItemKNN, Popularity
from prodrec.recommend.contracts import check_embedder, check_index, check_user_model
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.linear import EASE
from prodrec.recommend.markov import Markov
from prodrec.recommend.user_models import UserModel


@pytest.fixture(autouse=True)
def forget():
    "Leave no changed class in the registry."
    yield
    for family in (FaissIndex, TfidfEmbedder, UserModel):
        family._classes.pop("Changed", None)


@pytest.mark.parametrize("approximate", [None, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_index_passes(approximate, dtype):
    check_index(lambda: FaissIndex(approximate, dtype))


def changed_index(**methods):
    return type("Changed", (FaissIndex,), methods | {"__module__": __name__})


def none_of_the_filter(self, vectors, k=5, allowed=None):
    return FaissIndex.search(self, vectors, k)


def worst(self, vectors, k=5, allowed=None):
    rows, scores = FaissIndex.search(self, vectors, 10_000, allowed)
    k = min(k, rows.shape[1])
    return rows[:, ::-1][:, :k], scores[:, ::-1][:, :k]


def halved(self, vectors, k=5, allowed=None):
    rows, scores = FaissIndex.search(self, vectors, k, allowed)
    return rows, scores / 2


def short(self, vectors, k=5, allowed=None):
    rows, scores = FaissIndex.search(self, vectors, k, allowed)
    return rows.astype(np.int32), scores


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ({"search": none_of_the_filter}, "with a mask that allows 3 rows"),
        ({"search": worst}, "the best, best first"),
        ({"search": halved}, "inner products of its rows"),
        ({"search": short}, "rows int64, received int32"),
        ({"add": lambda self, v: FaissIndex.add(self, v) and None}, "`add` must return the index"),
        ({"remove": lambda self, rows: self}, "`remove` of a row .* IndexError"),
        ({"replace": lambda self, rows, v: self}, "in order|must raise IndexError"),
        ({"take": lambda self, rows=None: FaissIndex.take(self)}, "`take` of a row .* IndexError"),
        ({"empty": lambda self: self}, "an empty index has no rows"),
        ({"_read": classmethod(lambda cls, *args: FaissIndex())}, "comes back as FaissIndex"),
    ],
)
def test_an_index_that_breaks_a_promise_is_told_which(methods, told):
    with pytest.raises(AssertionError, match=told):
        check_index(changed_index(**methods))


@pytest.mark.parametrize("make", [Popularity, ItemKNN, Markov, EASE, lambda: ALS(4, iterations=2)])
def test_every_user_model_passes(make):
    check_user_model(make)


class Fashionable(UserModel):
    "The same for everybody, as somebody outside the package would write it."

    def learn(self, history, matrix):
        return {"count": np.asarray(matrix.sum(0)).ravel()}

    def score_known(self, rows, users):
        return np.tile(self.arrays["count"].astype(np.float32), (rows.shape[0], 1))


def test_a_model_that_is_not_personal_passes():
    check_user_model(Fashionable)


def lost(self, history, matrix):
    self.count = 1
    return {}


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (
            {"learn": lost, "score_known": lambda s, r, u: np.full((r.shape[0], 12), s.count)},
            "lost what `learn` set on `self`",
        ),
        (
            {"score_known": lambda s, r, u: np.random.default_rng().random((r.shape[0], 12))},
            "the same alone and together",
        ),
        (
            {"recommend": lambda s, u, k, **o: UserModel.recommend(s, u, k, exclude_seen=False)},
            "must rank all unseen",
        ),
        ({"similar": lambda s, ids, k: (s.ids, [0])}, "leave out the product itself"),
        ({"fit": lambda s, *a: UserModel.fit(s, *a) and None}, "`fit` must return the model"),
    ],
)
def test_a_user_model_that_breaks_a_promise_is_told_which(methods, told):
    changed = type("Changed", (Fashionable,), methods | {"__module__": __name__})
    with pytest.raises(AssertionError, match=told):
        check_user_model(changed)


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ({"modalities": frozenset({"sound"})}, "`modalities` must be of image and text"),
        ({"dim": 3}, "must return an array"),
        (
            {"embed": lambda s, x, **o: TfidfEmbedder.embed(s, x, **o).astype(float)},
            "float32, received float64",
        ),
        ({"embed": lambda s, x, **o: 2 * TfidfEmbedder.embed(s, x, **o)}, "length 1 or 0"),
    ],
)
def test_an_embedder_that_breaks_a_promise_is_told_which(methods, told):
    check_embedder(TfidfEmbedder(), shop(20))
    changed = type("Changed", (TfidfEmbedder,), methods | {"__module__": __name__})
    with pytest.raises(AssertionError, match=told):
        check_embedder(changed(), shop(20))
