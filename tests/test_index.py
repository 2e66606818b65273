"""Every index against a table of vectors that is searched by brute force, after any sequence of
changes.

`INDEXES` lists the implementations of the contract; another one is added there and passes the same
tests.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading

import faiss
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from vectors import vector_server

from prodrec.core import save_folder
from prodrec.recommend.index import (
    FaissIndex,
    Index,
    check_rows,
    check_search,
    check_vectors,
    index_bytes,
)
from prodrec.recommend.pgvector import PgVectorIndex
from prodrec.recommend.quantized import QuantizedIndex
from prodrec.stats import unit_rows

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# few values, so that ties and zero vectors come up all the time; products and sums of these are
# exact in float32 and in float16
values = st.integers(-4, 4).map(lambda v: v / 2)


class TableIndex(Index):
    "The contract in numpy, as somebody outside the package would write it."

    def __init__(self):
        self.table = None

    @property
    def dim(self):
        return None if self.table is None else self.table.shape[1]

    def __len__(self):
        return 0 if self.table is None else len(self.table)

    def empty(self):
        return TableIndex()

    def add(self, vectors):
        vectors = check_vectors(vectors, self.dim)
        if self.table is not None or vectors.size:
            old = vectors[:0] if self.table is None else self.table
            self.table = np.concatenate([old, vectors])
        return self

    def replace(self, rows, vectors):
        rows = check_rows(rows, len(self), unique=True)
        vectors = check_vectors(vectors, self.dim, len(rows))
        if len(rows):
            self.table[rows] = vectors
        return self

    def remove(self, rows):
        rows = check_rows(rows, len(self), unique=True)
        if len(rows):
            self.table = np.delete(self.table, rows, axis=0)
        return self

    def take(self, rows=None):
        rows = range(len(self)) if rows is None else check_rows(rows, len(self))
        return np.empty((0, 0), np.float32) if self.table is None else self.table[list(rows)]

    def search(self, vectors, k=5, allowed=None):
        vectors = check_vectors(vectors, self.dim)
        k, allowed = check_search(k, allowed, len(self))
        if not k:
            return np.empty((len(vectors), 0), np.int64), np.empty((len(vectors), 0), np.float32)
        scores = vectors @ self.table.T
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return rows, np.take_along_axis(scores, rows, axis=1)

    def _write(self, folder):
        np.save(folder / "table.npy", self.take())
        return {"dim": self.dim}

    @classmethod
    def _read(cls, folder, meta):
        new = cls()
        table = np.load(folder / "table.npy", allow_pickle=False)
        new.table = None if meta["dim"] is None else table
        return new


INDEXES = {
    "faiss": FaissIndex,
    "faiss_float16": lambda: FaissIndex(dtype="float16"),
    "graph": lambda: FaissIndex(approximate=True),
    "graph_float16": lambda: FaissIndex(approximate=True, dtype="float16"),
    "table": TableIndex,
    "codes": lambda: QuantizedIndex(many=1),
    "pgvector": lambda: PgVectorIndex(vector_server().url, "exact", approximate=False),
}
CHANGED = INDEXES | {
    "pgvector_graph": lambda: PgVectorIndex(vector_server().url, "graph", approximate=True),
}


@pytest.fixture(params=INDEXES)
def make(request):
    return INDEXES[request.param]


@pytest.fixture(params=[name for name in INDEXES if name != "pgvector"])
def make_here(request):
    "Those that answer in microseconds; for the other `any_sequence_of_changes` makes the examples."
    return INDEXES[request.param]


# -- what every index promises


class Model(RuleBasedStateMachine):
    "An index beside a list of vectors."

    make = None

    @initialize(dim=st.integers(1, 6))
    def begin(self, dim):
        self.dim, self.index, self.truth = dim, type(self).make(), np.empty((0, dim), np.float32)

    def vectors(self, data, n):
        return data.draw(arrays(np.float32, (n, self.dim), elements=values))

    def some_rows(self, data):
        rows = st.integers(0, len(self.truth) - 1)
        return data.draw(st.lists(rows, unique=True, max_size=8)) if len(self.truth) else []

    @rule(data=st.data(), n=st.integers(1, 12))
    def add(self, data, n):
        vectors = self.vectors(data, n)
        assert self.index.add(vectors) is self.index
        self.truth = np.concatenate([self.truth, vectors])

    @rule(data=st.data())
    def replace(self, data):
        rows = self.some_rows(data)
        vectors = self.vectors(data, len(rows))
        assert self.index.replace(rows, vectors) is self.index
        self.truth[rows] = vectors

    @rule(data=st.data())
    def remove(self, data):
        rows = self.some_rows(data)
        assert self.index.remove(rows) is self.index
        self.truth = np.delete(self.truth, np.array(rows, int), axis=0)

    @rule(beyond=st.integers(0, 3))
    def no_such_row(self, beyond):
        wrong = [len(self.truth) + beyond]
        calls = (self.index.remove, self.index.take)
        for call in (*calls, lambda rows: self.index.replace(rows, np.ones((1, self.dim)))):
            with pytest.raises(IndexError):
                call(wrong)

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "truth") and self.index.dim is not None:
            assert len(self.index) == len(self.truth)
            stored = self.index.take()
            assert stored.dtype == np.float32
            np.testing.assert_array_equal(stored, self.truth)
            np.testing.assert_array_equal(
                self.index.take(range(len(stored))[::-1]), self.truth[::-1]
            )

    @rule(data=st.data(), n=st.integers(1, 3), k=st.integers(1, 60))
    def search(self, data, n, k):
        queries, m = self.vectors(data, n), len(self.truth)
        allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=m, max_size=m))
        found, scores = self.index.search(queries, k, allowed)
        chosen = np.arange(m)[... if allowed is None else np.array(allowed, bool)]
        assert found.shape == scores.shape == (n, min(k, len(chosen)))
        assert found.dtype == np.int64 and scores.dtype == np.float32
        for row, row_scores, query in zip(found, scores, queries, strict=True):
            exact = self.truth @ query
            assert len({*row}) == len(row) and {*row} <= {*chosen.tolist()}
            assert exact[row].tolist() == row_scores.tolist()
            if self.index.exact:
                assert row_scores.tolist() == sorted(exact[chosen], reverse=True)[: len(row)]


for _name, _make in CHANGED.items():
    _model = type(f"Model_{_name}", (Model,), {"make": staticmethod(_make)})
    _often = 6 if "pgvector" in _name else 20  # a server answers in milliseconds, not in micro
    _model.TestCase.settings = settings(max_examples=_often, stateful_step_count=20, deadline=None)
    globals()[f"Test_any_sequence_of_changes_{_name}"] = _model.TestCase


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("n", [3, 70])
def test_the_answer_is_that_of_brute_force(make, share, n):
    "Few and many queries, narrow and wide filters: FAISS has another way for each."
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 17)).astype(np.float32)
    queries = rng.normal(size=(n, 17)).astype(np.float32)
    index = make().add(vectors).remove(range(0, 3000, 3))
    stored, mask = index.take(), rng.random(2000) < share
    scores = np.where(mask, queries.astype(float) @ stored.T.astype(float), -np.inf)
    found, found_scores = index.search(queries, 15, mask)
    best = np.argsort(-scores, axis=1)[:, :15]
    assert mask[found].all() and found.shape == (n, 15)
    own = np.take_along_axis(scores, found, axis=1)
    np.testing.assert_allclose(found_scores, own, atol=1e-2)
    hits = np.mean([len({*a} & {*b}) / 15 for a, b in zip(found, best, strict=True)])
    assert hits > (0.999 if index.exact else 0.9)


@quick
@given(data=st.data(), dim=st.integers(1, 5))
def test_vectors_come_in_any_form(make_here, data, dim):
    make = make_here
    n = data.draw(st.integers(1, 6))
    x = data.draw(arrays(np.float64, (n, dim), elements=values))
    forms = [x, x.tolist(), np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]]
    forms += [x.astype(np.float16), [*x], pd.DataFrame(x), np.concatenate([x, x])[:n][::-1][::-1]]
    for form in forms:
        index = make().add(form)
        assert index.dim == dim
        np.testing.assert_array_equal(index.take(), x.astype(np.float32))
        np.testing.assert_array_equal(index.take(range(n)[::-1]), x[::-1].astype(np.float32))
        found, scores = index.search(form, n)
        np.testing.assert_array_equal(np.sort(scores), np.sort(x @ x.T))
        assert all(sorted(row) == list(range(n)) for row in found)
    one = make().add(x[0])
    assert len(one) == 1 and one.search(x[0].tolist(), 1)[0].tolist() == [[0]]


def test_what_comes_back_is_ones_own(make):
    index = make().add([[1, 2], [3, 4]])
    index.take()[:] = 9
    index.take([0])[:] = 9
    x = np.array([[5, 6]], np.float32)
    index.add(x)
    x[:] = 9
    assert index.take().tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ([[1, 2, 3]], r"`vectors` must be \(n, 2\), received \(1, 3\)"),
        ([[1, np.nan]], "NaN, infinity or numbers too large to multiply in 1 rows"),
        ([[1, np.inf], [1, 2]], "NaN, infinity or numbers too large to multiply in 1 rows"),
        ([[1e20, 1e20]], "too large"),
        ([[[1, 2]]], "must be"),
        ([["x", "y"]], "could not convert"),
    ],
)
def test_wrong_vectors_change_nothing(make, vectors, says):
    index = make().add([[1, 2], [3, 4]])
    for call in (index.add, lambda v: index.replace(range(len(v)), v)):
        with pytest.raises(ValueError, match=says):
            call(vectors)
        assert index.take().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ([0, 2], IndexError, "`rows` names row 2, and the index has 2 rows"),
        ([-1], IndexError, "`rows` names row -1"),
        ([1, 1], ValueError, "`rows` names the same row twice"),
        (["0"], TypeError, "`rows` must be a list of integers"),
        ([0.0], TypeError, "`rows` must be a list of integers"),
        ([True, False], TypeError, "`rows` must be a list of integers"),
    ],
)
def test_wrong_rows_change_nothing(make, rows, error, says):
    index = make().add([[1, 2], [3, 4]])
    for call in (index.remove, lambda r: index.replace(r, np.ones((len(r), 2)))):
        with pytest.raises(error, match=says):
            call(rows)
        assert index.take().tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="2 rows for 1 products"):
        index.replace([0], [[1, 2], [3, 4]])


def test_wrong_searches(make):
    index = make().add([[1, 2], [3, 4]])
    for k in (0, -1, 1.5, "3", None, True):
        with pytest.raises(ValueError, match="`k` must be a positive integer"):
            index.search([[1, 1]], k)
    for wrong in (np.ones(3, bool), ["z"], [0], np.ones((2, 2), bool), []):
        with pytest.raises(ValueError, match="`allowed` must be a mask of 2 booleans"):
            index.search([[1, 1]], 1, wrong)
    with pytest.raises(ValueError, match="NaN"):
        index.search([[np.nan, 1]], 1)
    with pytest.raises(ValueError, match="must be"):
        index.search([[1, 1, 1]], 1)


def test_nothing_to_find(make):
    index = make()
    assert index.dim is None and len(index) == 0 and index.take().shape[0] == 0
    for allowed in (None, [], np.zeros(0, bool)):
        found, scores = index.search([[1, 1], [2, 2]], 3, allowed)
        assert found.shape == scores.shape == (2, 0)
    index.add([[0, 0]])
    assert index.search(np.empty((0, 2)), 3)[0].shape[0] == 0
    assert index.search([[0, 0]], 3)[0].tolist() == [[0]]
    assert index.remove([0]).search([[1, 1]], 3)[0].shape == (1, 0)
    assert len(index) == 0 and index.add([1, 2]).take().tolist() == [[1, 2]]


def test_nothing_added_changes_nothing(make):
    assert make().add([]).remove([]).replace([], []).dim is None
    index = make().add([[1, 0, 0]])
    assert len(index.add([]).replace([], []).remove([])) == 1


def test_an_empty_one_has_the_same_settings(make):
    index = make().add([[1, 0]])
    other = index.empty()
    assert type(other) is type(index) and len(other) == 0 and other.exact == index.exact
    assert other.add([[1, 2, 3]]).dim == 3 and index.dim == 2  # they share nothing


@quick
@given(n=st.integers(0, 10), dim=st.integers(1, 4), data=st.data())
def test_save_and_load(make_here, tmp_path, n, dim, data):
    make = make_here
    vectors = data.draw(arrays(np.float32, (n, dim), elements=values))
    index = make().add(vectors)
    index.save(tmp_path / "i")
    back = Index.load(tmp_path / "i")
    assert type(back) is type(index) and (len(back), back.dim) == (n, index.dim)
    np.testing.assert_array_equal(back.take(), index.take())
    query = np.ones((1, dim))
    for a, b in zip(index.search(query, 4), back.search(query, 4), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(back.add(query).remove([n])) == n


def test_saving_never_replaces_what_is_not_ours(make, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="files that prodrec did not save"):
        make().save(tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    for _ in range(2):
        make().add([[1, 2]]).save(tmp_path / "own")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "own"]


def test_it_says_what_it_is(make):
    index = make().add(np.ones((1200, 4)))
    assert "1,200 vectors of 4 numbers" in repr(index) and "1,200 vectors" in index._repr_html_()
    assert ("approximate" in repr(index)) is not index.exact
    assert "0 vectors" in repr(make())


# -- FAISS


def unit(n, dim, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_contract_alone_is_no_index():
    with pytest.raises(TypeError, match="abstract"):
        Index()


def test_float16_is_half_the_size_and_nearly_the_same():
    x = unit(2000, 24)
    exact, half = FaissIndex().add(x), FaissIndex(dtype="float16").add(x)
    np.testing.assert_allclose(half.take(), x, rtol=1e-3, atol=1e-6)
    for allowed in (None, np.arange(2000) % 2 == 0, np.arange(2000) < 30):
        a, b = exact.search(x[:40], 10, allowed), half.search(x[:40], 10, allowed)
        np.testing.assert_allclose(a[1], b[1], atol=2e-3)
        assert np.mean([len({*p} & {*q}) for p, q in zip(a[0], b[0], strict=True)]) > 9.8
    with pytest.raises(ValueError, match="'float16' takes numbers up to 65,504"):
        half.add(np.full((1, 24), 1e5))
    assert len(half) == 2000 and "MB, float16, exact" in repr(half)
    assert index_bytes(2000, 24) == 2 * index_bytes(2000, 24, "float16") == 2000 * 24 * 4


def test_a_graph_finds_nearly_all_and_under_any_filter_as_many_as_match():
    x = unit(3000, 16)
    exact, graph = FaissIndex().add(x), FaissIndex(approximate=True).add(x)
    assert exact.exact and not graph.exact
    rng = np.random.default_rng(0)
    for share in (1.0, 0.5, 0.15, 0.05, 0.002, 0.0):
        allowed = rng.random(3000) < share
        a, b = exact.search(x[:50], 10, allowed), graph.search(x[:50], 10, allowed)
        assert b[0].shape == a[0].shape == (50, min(10, allowed.sum()))
        assert all(len(set(row)) == len(row) for row in b[0]) and allowed[b[0]].all()
        if allowed.any():
            both = zip(a[0], b[0], strict=True)
            assert np.mean([len({*p} & {*q}) / len(p) for p, q in both]) > 0.98
    everything = graph.search(x[:2], 3000)[0]
    assert all(sorted(row) == list(range(3000)) for row in everything)


def test_what_is_removed_from_a_graph_makes_room_at_last():
    x = unit(500, 8)
    graph = FaissIndex(approximate=True).add(x)
    graph.remove(range(100))
    assert graph._store.ntotal == 500 and len(graph) == 400
    graph.remove(range(100))
    assert graph._store.ntotal == len(graph) == 300
    np.testing.assert_array_equal(graph.take(), x[200:])
    for n in range(5):  # each replaces all vectors: leftovers do not pile up
        graph.replace(range(300), np.roll(x[200:], n, axis=0))
        assert graph._store.ntotal <= 600
        np.testing.assert_array_equal(graph.take(), np.roll(x[200:], n, axis=0))


def test_a_large_index_becomes_approximate_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("prodrec.recommend.index.MANY", 800)
    x = unit(150, 8)
    grown, told = FaissIndex().add(x[:99]), FaissIndex(approximate=False).add(x)
    assert grown.exact and told.exact
    grown.add(x[99:])
    assert not grown.exact and len(grown) == 150
    np.testing.assert_array_equal(grown.take(), x)
    np.testing.assert_array_equal(grown.search(x, 3)[0], told.search(x, 3)[0])


@pytest.mark.parametrize("approximate", [None, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_kind_is_saved_with_what_it_left_behind(tmp_path, approximate, dtype):
    x = unit(300, 8).astype(dtype).astype(np.float32)
    index = FaissIndex(approximate, dtype).add(x)
    index.remove([3, 7]).replace([0], x[3]).add(x[4])
    index.save(tmp_path / "i")
    back = Index.load(tmp_path / "i")
    same = ("dtype", "approximate", "exact", "dim")
    assert [getattr(back, n) for n in same] == [getattr(index, n) for n in same]
    np.testing.assert_array_equal(back.take(), index.take())
    for allowed in (None, np.isin(np.arange(299), [0, 4, 298])):
        for a, b in zip(
            index.search(x[:9], 5, allowed), back.search(x[:9], 5, allowed), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    back.remove([0]).add(x[:1])
    assert back.search(x[:1], 1)[0].tolist() == [[298]]


def test_an_add_that_was_interrupted_leaves_nothing_to_be_found():
    for approximate in (False, True):
        index = FaissIndex(approximate).add([[1, 0], [0, 1]])
        index._append(np.float32([[5, 5]]))  # as far as it came
        assert len(index) == 2 and index.search([[1, 1]], 5)[0].shape == (1, 2)
        index.add([[2, 2]])
        assert index.search([[1, 1]], 1)[0].tolist() == [[2]]
        assert len(index.remove([0])) == 2
        np.testing.assert_array_equal(index.take(), [[0, 1], [2, 2]])
        assert index.search([[1, 1]], 1)[0].tolist() == [[1]]


def test_wrong_options():
    for wrong in ("yes", 2, "hnsw"):
        with pytest.raises(ValueError, match="`approximate` must be"):
            FaissIndex(approximate=wrong)
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float16"):
        FaissIndex(dtype="int8")


def test_what_is_no_saved_index(tmp_path):
    FaissIndex().add([[1, 2], [3, 4]]).save(tmp_path / "i")
    for file in ("vectors.faiss", "slots.npy"):
        whole = (tmp_path / "i" / file).read_bytes()
        changed = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
        for bad in (whole[:-1], b"", whole + b"x", changed):
            (tmp_path / "i" / file).write_bytes(bad)
            with pytest.raises(ValueError, match=f"is damaged: {file}"):
                Index.load(tmp_path / "i")
        (tmp_path / "i" / file).unlink()
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "i")
        (tmp_path / "i" / file).write_bytes(whole)
    assert len(Index.load(tmp_path / "i")) == 2
    manifest = tmp_path / "i" / "manifest.json"
    for bad in ("", "{", "[]", "null", json.dumps({"kind": "Index"})):
        manifest.write_text(bad)
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "i")
    with save_folder(tmp_path / "other", "Catalog"):
        pass
    with pytest.raises(ValueError, match="holds a saved Catalog, not an Index"):
        Index.load(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no manifest.json"):
        Index.load(tmp_path)


def test_parts_that_do_not_belong_together(tmp_path):
    FaissIndex().add([[1, 2], [3, 4]]).save(tmp_path / "i")
    vectors = (tmp_path / "i" / "vectors.faiss").read_bytes()
    FaissIndex().add(np.ones((2, 8))).save(tmp_path / "wide")
    wide = (tmp_path / "wide" / "vectors.faiss").read_bytes()
    for data, slots in [
        (b"nonsense", [0, 1]),
        (wide, [0, 1]),
        (vectors, [0, 2]),
        (vectors, [0]),
        (vectors, [1, 1]),
        (vectors, [-1, 0]),
    ]:
        with save_folder(tmp_path / "j", "Index", state={"dim": 2, "n": 2}) as folder:
            (folder / "vectors.faiss").write_bytes(data)
            np.save(folder / "slots.npy", slots)
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "j")


@pytest.mark.parametrize("approximate", [None, True])
def test_the_index_of_the_first_version_loads(tmp_path, approximate):
    "It wrote its settings directly into the manifest, and the places of the rows beside its ids."
    index = FaissIndex(approximate).add(unit(90, 4)).remove([3])
    index.save(tmp_path / "new")
    how = {"dim": 4, "n": 89, "approximate": approximate, "dtype": "float32"}
    with save_folder(tmp_path / "old", "Index", **how) as folder:
        (folder / "vectors.faiss").write_bytes((tmp_path / "new" / "vectors.faiss").read_bytes())
        table = pd.DataFrame({"id": [f"{n}" for n in range(89)], "slot": index._slots})
        table.to_parquet(folder / "ids.parquet")
    manifest = json.loads((tmp_path / "old" / "manifest.json").read_text())
    del manifest["format"]
    (tmp_path / "old" / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_array_equal(Index.load(tmp_path / "old").take(), index.take())


# -- threads and processes


@pytest.mark.parametrize("approximate", [None, True])
def test_searches_while_it_changes_are_consistent(approximate):
    x = unit(600, 16)
    index, wrong, stop = FaissIndex(approximate).add(x[:400]), [], threading.Event()

    def ask(seed):
        rng = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                n = int(rng.integers(400))
                rows, scores = index.search(x[n], 5)
                if rows[0, 0] != n or abs(scores[0, 0] - 1) > 1e-3 or not np.isfinite(scores).all():
                    wrong.append((n, rows, scores))
                if not np.array_equal(index.take([n])[0], x[n]):
                    wrong.append(n)
        except Exception as e:
            wrong.append(e)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for t in threads:
        t.start()
    for _ in range(60):
        index.add(x[400:])
        index.replace(range(400, 600), x[400:][::-1])
        index.remove(range(400, 600))
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and len(index) == 400


FORKED = """
    import os, signal, threading
    import numpy as np
    from prodrec.recommend.index import FaissIndex

    x = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
    index = FaissIndex(approximate={approximate}).add(x[:{n}])
    index.search(x[:500], 10)  # starts the threads of OpenMP

    def child():
        signal.alarm(60)
        assert index.search(x[:500], 10)[0].shape == (500, 10)
        index.add(x[:200]).remove(range(100))
        index.search(x[:500], 10)
        os._exit(0)

    reading, go = threading.Event(), threading.Event()

    def hold():
        with index._lock.reading():
            reading.set()
            go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    reading.wait()  # the child inherits a lock that another thread holds
    process = os.fork()
    if not process:
        try:
            child()
        finally:
            os._exit(3)
    status = os.waitpid(process, 0)[1]
    go.set()
    assert os.waitstatus_to_exitcode(status) == 0, status
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(("approximate", "n"), [(None, 20_000), (True, 2_000)])
def test_a_forked_process_searches_and_changes_it(approximate, n):
    program = textwrap.dedent(FORKED.format(approximate=approximate, n=n))
    env = {**os.environ, "OMP_NUM_THREADS": "4"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=env)


def test_it_needs_neither_keras_nor_tensorflow():
    program = """
        import sys
        from prodrec.recommend.index import FaissIndex

        FaissIndex().add([[1, 0]]).search([1, 0])
        loaded = {m.split(".")[0] for m in sys.modules} & {"keras", "tensorflow", "torch"}
        assert not loaded, loaded
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_the_graph_does_not_reach_is_searched_for_exactly(dtype, monkeypatch):
    "Whatever the graph comes back with, an answer has as many rows as match, and the right ones."
    draw = np.random.default_rng(0)
    vectors = unit_rows(draw.normal(size=(300, 8)).astype(np.float32))
    index = FaissIndex(approximate=True, dtype=dtype).add(vectors)
    exact = FaissIndex(approximate=False, dtype=dtype).add(vectors)
    allowed = draw.random(300) < 0.6
    real, lost = faiss.IndexHNSW.search, []

    def forgetful(self, *args, **options):
        scores, slots = real(self, *args, **options)
        slots[:, 3:] = -1  # as where the graph is cut in two
        lost.append(len(slots))
        return scores, slots

    monkeypatch.setattr(faiss.IndexHNSW, "search", forgetful)
    for mask in (None, allowed):
        rows, scores = index.search(vectors[:5], 9, mask)
        expected = exact.search(vectors[:5], 9, mask)
        np.testing.assert_array_equal(rows, expected[0])
        np.testing.assert_allclose(scores, expected[1], atol=1e-3)
    assert lost == [5, 5]
    narrow = np.arange(300) < 6  # so few that the graph is not asked
    np.testing.assert_array_equal(
        index.search(vectors[:5], 9, narrow)[0], exact.search(vectors[:5], 9, narrow)[0]
    )
    assert lost == [5, 5]
