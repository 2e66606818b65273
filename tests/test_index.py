"""The index against a table of vectors that is searched by brute force, after any sequence of changes."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from prodrec.core import save_folder
from prodrec.recommend.index import Index

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# few values, so that ties and zero vectors come up all the time; products and sums of these are exact in float32
values = st.integers(-4, 4).map(lambda v: v / 2)
names = st.sampled_from([f"{i:03d}" for i in range(40)] + ["1", "01", "é", "鞋", " a", "a/b", "None", ""])


class Model(RuleBasedStateMachine):
    "The index beside a dict from id to vector."

    approximate = None

    @initialize(dim=st.integers(1, 6), dtype=st.sampled_from(["float32", "float16"]))
    def begin(self, dim, dtype):
        self.dim, self.index, self.truth = dim, Index(dim, self.approximate, dtype), {}

    def vectors(self, data, n):
        return data.draw(arrays(np.float32, (n, self.dim), elements=values))

    @rule(data=st.data(), ids=st.lists(names, min_size=1, max_size=12, unique=True))
    def add(self, data, ids):
        vectors = self.vectors(data, len(ids))
        if set(ids) & set(self.truth):
            with pytest.raises(ValueError, match="`update` replaces them"):
                self.index.add(ids, vectors)
        else:
            assert self.index.add(ids, vectors) is self.index
            self.truth |= dict(zip(ids, vectors, strict=True))

    @rule(data=st.data(), ids=st.lists(names, min_size=1, max_size=8, unique=True))
    def update(self, data, ids):
        vectors = self.vectors(data, len(ids))
        self.index.update(ids, vectors)
        self.truth |= dict(zip(ids, vectors, strict=True))

    @rule(data=st.data())
    def remove(self, data):
        if self.truth:
            ids = data.draw(st.lists(st.sampled_from(sorted(self.truth)), unique=True, max_size=8))
            self.index.remove(ids)
            for i in ids:
                del self.truth[i]

    @rule(ids=st.lists(names, min_size=1, max_size=3, unique=True))
    def remove_unknown(self, ids):
        if set(ids) - set(self.truth):
            with pytest.raises(KeyError):
                self.index.remove(ids)

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "truth"):
            assert self.index.ids == list(self.truth) and len(self.index) == len(self.truth)
            stored = np.array(list(self.truth.values()), np.float32).reshape(-1, self.dim)
            np.testing.assert_array_equal(self.index.vectors(), stored)
            assert all(i in self.index for i in self.truth) and "nobody" not in self.index

    @rule(data=st.data(), n=st.integers(1, 3), k=st.integers(1, 60), least=st.none() | values)
    def search(self, data, n, k, least):
        queries, ids = self.vectors(data, n), list(self.truth)
        allowed = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
        chosen = [i for i, a in zip(ids, allowed, strict=True) if a]
        where = data.draw(st.sampled_from([None, np.array(allowed, bool), allowed if ids else None, chosen]))
        chosen = ids if where is None else chosen
        found, scores = self.index.search(queries, k, where, least)
        assert found.shape == scores.shape == (n, min(k, len(chosen))) and scores.dtype == np.float32
        for row, row_scores, query in zip(found, scores, queries, strict=True):
            exact = {i: float(self.truth[i] @ query) for i in chosen}
            best = sorted(exact.values(), reverse=True)[: len(row)]
            kept = [s for s in best if least is None or s >= least]
            hits = [i for i in row if i is not None]
            assert len(set(hits)) == len(hits) and set(hits) <= set(chosen)
            if self.approximate:
                assert [exact[i] for i in hits] == row_scores[: len(hits)].tolist()
                continue
            assert len(hits) == len(kept)
            assert [exact[i] for i in hits] == row_scores[: len(hits)].tolist() == kept
            assert list(row[len(hits) :]) == [None] * (len(row) - len(hits)) and np.isnan(row_scores[len(hits) :]).all()


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_any_sequence_of_changes = Model.TestCase


class GraphModel(Model):
    "The same with a graph: what comes back is as much, allowed, scored rightly; that it is the best is not promised."

    approximate = True


GraphModel.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
test_any_sequence_of_changes_with_a_graph = GraphModel.TestCase


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_many_vectors_and_queries(share):
    "Enough for FAISS to choose its other ways: blocks of queries, and a small index for few that are allowed."
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(3000, 17)).astype(np.float32), rng.normal(size=(70, 17)).astype(np.float32)
    mask = rng.random(3000) < share
    index = Index(17).add([f"{i}" for i in range(3000)], vectors)
    index.remove([f"{i}" for i in range(0, 3000, 3)])
    mask[::3] = False
    exact = np.where(mask, queries.astype(float) @ vectors.T.astype(float), -np.inf)
    left = np.arange(3000) % 3 > 0
    found, scores = index.search(queries, 15, mask[left])
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :15], atol=1e-5)
    assert (found.astype(int) == np.argsort(-exact, axis=1)[:, :15]).all()


@quick
@given(st.data(), st.integers(1, 5))
def test_vectors_come_in_any_form(data, dim):
    n = data.draw(st.integers(1, 6))
    x = data.draw(arrays(np.float64, (n, dim), elements=values))
    ids = [f"{i}" for i in range(n)]
    forms = [x, x.tolist(), np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x.astype(np.float16), [*x]]
    forms += [pd.DataFrame(x), np.concatenate([x, x])[: len(x)][::-1][::-1]]
    for form in forms:
        index = Index(dim).add(ids, form)
        np.testing.assert_array_equal(index.vectors(), x.astype(np.float32))
        np.testing.assert_array_equal(index.vectors(ids[::-1]), x[::-1].astype(np.float32))
        found, scores = index.search(form, n)
        np.testing.assert_array_equal(np.sort(scores), np.sort(x @ x.T))
        assert all(sorted(row) == ids for row in found)
    one = Index(dim).add("a", x[0])
    assert one.ids == ["a"] and one.search(x[0].tolist(), 1)[0].tolist() == [["a"]]


def test_what_comes_back_is_ones_own():
    index = Index(2).add(["a", "b"], [[1, 2], [3, 4]])
    index.vectors()[:] = 9
    index.vectors(["a"])[:] = 9
    x = np.array([[5, 6]], np.float32)
    index.add(["c"], x)
    x[:] = 9
    assert index.vectors().tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("ids", "vectors", "error", "says"),
    [
        (["c"], [[1, 2, 3]], ValueError, r"`vectors` must be \(n, 2\), received \(1, 3\)"),
        (["c", "d"], [[1, 2]], ValueError, "1 rows for 2 ids"),
        (["c"], [[1, np.nan]], ValueError, "NaN, infinity or numbers too large to multiply in 1 rows"),
        (["c", "a"], [[1, np.inf], [1, 2]], ValueError, "NaN, infinity or numbers too large to multiply in 1 rows"),
        (["c"], [[[1, 2]]], ValueError, "must be"),
        ([3], [[1, 2]], TypeError, "`ids` must be strings, received 3"),
        ([None], [[1, 2]], TypeError, "must be strings"),
        (["c", "c"], [[1, 2], [3, 4]], ValueError, "the same id twice"),
        (["c"], [["x", "y"]], ValueError, "could not convert"),
    ],
)
def test_wrong_vectors_change_nothing(ids, vectors, error, says):
    index = Index(2).add(["a", "b"], [[1, 2], [3, 4]])
    for call in (index.add, index.update):
        with pytest.raises(error, match=says):
            call(ids, vectors)
        assert index.ids == ["a", "b"] and index.vectors().tolist() == [[1, 2], [3, 4]]


def test_a_failing_add_adds_none():
    index = Index(2).add(["a", "b"], [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="1 ids that are in the index, e.g. 'b'"):
        index.add(["c", "b"], [[5, 6], [7, 8]])
    with pytest.raises(KeyError, match="'z'"):
        index.remove(["a", "z"])
    with pytest.raises(KeyError, match="'z'"):
        index.vectors(["a", "z"])
    assert index.ids == ["a", "b"] and len(index.search([[1, 1]], 5)[0][0]) == 2


def test_wrong_searches():
    index = Index(2).add(["a", "b"], [[1, 2], [3, 4]])
    for k in (0, -1, 1.5, "3", None):
        with pytest.raises(ValueError, match="`k` must be a positive integer"):
            index.search([[1, 1]], k)
    with pytest.raises(ValueError, match="a mask of 3 values for 2 products"):
        index.search([[1, 1]], 1, np.ones(3, bool))
    with pytest.raises(KeyError, match="'z'"):
        index.search([[1, 1]], 1, ["z"])
    with pytest.raises(ValueError, match="NaN"):
        index.search([[np.nan, 1]], 1)
    with pytest.raises(ValueError, match="must be"):
        index.search([[1, 1, 1]], 1)
    for dim in (0, -1, 1.0, "2", None):
        with pytest.raises(ValueError, match="`dim` must be a positive integer"):
            Index(dim)


def test_nothing_to_find():
    index = Index(2)
    for where in (None, [], np.zeros(0, bool)):
        found, scores = index.search([[1, 1], [2, 2]], 3, where)
        assert found.shape == scores.shape == (2, 0)
    index.add(["a"], [[0, 0]])
    assert index.search(np.empty((0, 2)), 3)[0].shape[0] == 0
    assert index.search([[0, 0]], 3)[0].tolist() == [["a"]]
    assert index.search([[1, 1]], 3, min_score=0.0)[0].tolist() == [["a"]]
    assert index.search([[1, 1]], 3, min_score=0.1)[0].tolist() == [[None]]
    assert index.remove(["a"]).search([[1, 1]], 3)[0].shape == (1, 0)


@quick
@given(st.lists(names, max_size=10, unique=True), st.integers(1, 4), st.data())
def test_save_and_load(tmp_path, ids, dim, data):
    vectors = data.draw(arrays(np.float32, (len(ids), dim), elements=st.floats(-1e6, 1e6, width=32)))
    index = Index(dim).update(ids, vectors)
    index.save(tmp_path / "i")
    back = Index.load(tmp_path / "i")
    assert back.ids == ids and back.dim == dim and len(back) == len(ids)
    np.testing.assert_array_equal(back.vectors(), vectors)
    query = np.ones((1, dim))
    for a, b in zip(index.search(query, 4), back.search(query, 4), strict=True):
        np.testing.assert_array_equal(a, b)
    back.add(["new"], query).remove(["new"])
    assert back.ids == ids


def test_what_is_no_saved_index(tmp_path):
    index = Index(2).add(["a", "b"], [[1, 2], [3, 4]])
    index.save(tmp_path / "i")
    for file in ("vectors.faiss", "ids.parquet"):
        whole = (tmp_path / "i" / file).read_bytes()
        for bad in (whole[:-1], b"", whole + b"x", whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]):
            (tmp_path / "i" / file).write_bytes(bad)
            with pytest.raises(ValueError, match=f"is damaged: {file}"):
                Index.load(tmp_path / "i")
        (tmp_path / "i" / file).unlink()
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "i")
        (tmp_path / "i" / file).write_bytes(whole)
    assert Index.load(tmp_path / "i").ids == ["a", "b"]
    manifest = tmp_path / "i" / "manifest.json"
    for bad in ("", "{", "[]", "null", json.dumps({"kind": "Index"})):
        manifest.write_text(bad)
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "i")
    with save_folder(tmp_path / "other", "Catalog"):
        pass
    with pytest.raises(ValueError, match="holds a saved Catalog, not a Index"):
        Index.load(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no manifest.json"):
        Index.load(tmp_path)


def test_saving_never_replaces_what_is_not_ours(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="files that prodrec did not save"):
        Index(2).save(tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    for _ in range(2):
        Index(2).add(["a"], [[1, 2]]).save(tmp_path / "own")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "own"]


def test_nothing_added_changes_nothing():
    index = Index(3).add(["a"], [[1, 0, 0]])
    assert index.add([], []).update([], []).ids == ["a"]


def test_numbers_too_large_to_multiply_are_refused():
    index = Index(2).add(["a"], [[1, 0]])
    with pytest.raises(ValueError, match="too large"):
        index.add(["b"], [[1e20, 1e20]])
    assert index.ids == ["a"]


def unit(n, dim, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_float16_is_half_the_size_and_nearly_the_same():
    x = unit(2000, 24)
    ids = [f"{i}" for i in range(2000)]
    exact, half = Index(24).add(ids, x), Index(24, dtype="float16").add(ids, x)
    np.testing.assert_allclose(half.vectors(), x, rtol=1e-3, atol=1e-6)
    for where in (None, np.arange(2000) % 2 == 0, np.arange(2000) < 30):
        a, b = exact.search(x[:40], 10, where), half.search(x[:40], 10, where)
        np.testing.assert_allclose(a[1], b[1], atol=2e-3)
        assert np.mean([len({*p} & {*q}) for p, q in zip(a[0], b[0], strict=True)]) > 9.8
    with pytest.raises(ValueError, match="'float16' takes numbers up to 65,504"):
        half.add(["new"], np.full((1, 24), 1e5))
    assert len(half) == 2000 and "MB, float16, exact" in repr(half)


def test_a_graph_finds_nearly_all_and_under_any_filter_as_many_as_match():
    x = unit(3000, 16)
    ids = [f"{i}" for i in range(3000)]
    exact, graph = Index(16).add(ids, x), Index(16, approximate=True).add(ids, x)
    assert exact.exact and not graph.exact
    rng = np.random.default_rng(0)
    for share in (1.0, 0.5, 0.15, 0.05, 0.002, 0.0):
        where = rng.random(3000) < share
        a, b = exact.search(x[:50], 10, where), graph.search(x[:50], 10, where)
        assert b[0].shape == a[0].shape == (50, min(10, where.sum()))
        assert all(len(set(row)) == len(row) for row in b[0]) and set(b[0].ravel()) <= set(np.array(ids)[where])
        if where.any():
            assert np.mean([len({*p} & {*q}) / len(p) for p, q in zip(a[0], b[0], strict=True)]) > 0.98
    everything = graph.search(x[:2], 3000)[0]
    assert all(set(row) == set(ids) for row in everything)


def test_what_is_removed_from_a_graph_makes_room_at_last():
    x = unit(500, 8)
    graph = Index(8, approximate=True).add([f"{i}" for i in range(500)], x)
    graph.remove([f"{i}" for i in range(100)])
    assert graph._faiss.ntotal == 500 and len(graph) == 400
    graph.remove([f"{i}" for i in range(100, 200)])
    assert graph._faiss.ntotal == len(graph) == 300
    np.testing.assert_array_equal(graph.vectors(), x[200:])
    for n in range(5):  # each replaces all vectors: leftovers do not pile up
        graph.update(graph.ids, np.roll(x[200:], n, axis=0))
        assert graph._faiss.ntotal <= 600
        np.testing.assert_array_equal(graph.vectors(), np.roll(x[200:], n, axis=0))


def test_a_large_index_becomes_approximate_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("prodrec.recommend.index.MANY", 800)
    x, ids = unit(150, 8), [f"{i}" for i in range(150)]
    grown, told = Index(8).add(ids[:99], x[:99]), Index(8, approximate=False).add(ids, x)
    assert grown.exact and told.exact
    grown.add(ids[99:], x[99:])
    assert not grown.exact and grown.ids == ids
    np.testing.assert_array_equal(grown.vectors(), x)
    np.testing.assert_array_equal(grown.search(x, 3)[0], told.search(x, 3)[0])


@pytest.mark.parametrize("approximate", [None, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_kind_is_saved_with_what_it_left_behind(tmp_path, approximate, dtype):
    x = unit(300, 8).astype(dtype).astype(np.float32)
    index = Index(8, approximate, dtype).add([f"{i}" for i in range(300)], x)
    index.remove(["3", "7"]).update(["0", "new"], x[3:5])
    index.save(tmp_path / "i")
    back = Index.load(tmp_path / "i")
    assert (back.ids, back.dtype, back.approximate, back.exact) == (index.ids, dtype, approximate, index.exact)
    np.testing.assert_array_equal(back.vectors(), index.vectors())
    for where in (None, ["0", "new", "5"]):
        for a, b in zip(index.search(x[:9], 5, where), back.search(x[:9], 5, where), strict=True):
            np.testing.assert_array_equal(a, b)
    back.remove(["0"]).add(["0"], x[:1])
    assert back.search(x[:1], 1)[0].tolist() == [["0"]]


def test_an_add_that_was_interrupted_leaves_nothing_to_be_found(monkeypatch):
    for approximate in (False, True):
        index = Index(2, approximate).add(["a", "b"], [[1, 0], [0, 1]])
        index._append(np.float32([[5, 5]]))  # as far as it came
        assert len(index) == 2 and index.search([[1, 1]], 5)[0].shape == (1, 2)
        index.add(["c"], [[2, 2]])
        assert index.search([[1, 1]], 1)[0].tolist() == [["c"]]
        assert index.remove(["a"]).ids == ["b", "c"]
        np.testing.assert_array_equal(index.vectors(), [[0, 1], [2, 2]])


def test_wrong_options():
    for wrong in ("yes", 2, "hnsw"):
        with pytest.raises(ValueError, match="`approximate` must be"):
            Index(2, approximate=wrong)
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float16"):
        Index(2, dtype="int8")


def test_parts_that_do_not_belong_together(tmp_path):
    Index(2).add(["a", "b"], [[1, 2], [3, 4]]).save(tmp_path / "i")
    vectors = (tmp_path / "i" / "vectors.faiss").read_bytes()
    table = pd.DataFrame({"id": ["a", "b"], "slot": [0, 1]})
    for data, bad in [(b"nonsense", table), (vectors, table.assign(slot=[0, 2])), (vectors, table.iloc[:1])]:
        with save_folder(tmp_path / "j", "Index", dim=2, n=2) as folder:
            (folder / "vectors.faiss").write_bytes(data)
            bad.to_parquet(folder / "ids.parquet")
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "j")
