"""Recommendations against brute force: a weighted mean of cosines, computed from what the
embedders say.
"""

import datetime
import threading
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from builders import SEEN, SIZE, TABLE, WORDS, check, filters, picture, shop
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from prodrec.core import ImageError
from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder, TfidfEmbedder
from prodrec.recommend.filters import where_mask
from prodrec.recommend.index import FaissIndex, Index
from prodrec.recommend.metrics import precision_at_k, precision_row, random_hits, relevant
from prodrec.recommend.recommender import Hits, Recommender

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def both():
    return Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(45))


def unit(v):
    length = np.linalg.norm(v)
    return v / length if length > 0 else v


def brute(recommender, weights, ids=(), images=(), texts=()):
    "The score of every product, from the embedders alone."
    catalog, total, score = recommender.catalog, 0.0, 0.0
    for kind, asked in (("image", images), ("text", texts)):
        if kind in recommender.embedders:
            embedder = recommender.embedders[kind]
            products = embedder.embed(catalog, missing="zero").astype(float)
            at = [catalog.ids.index(i) for i in ids]
            given = (
                embedder.embed(list(asked)).astype(float)
                if asked
                else np.zeros((0, products.shape[1]))
            )
            query = unit(np.concatenate([products[at], given]).sum(0))
            if query.any() and weights.get(kind, 0):
                total += weights[kind]
                score = score + weights[kind] * (products @ query)
    return None if not total else pd.Series(score / total, index=catalog.ids)


some = st.lists(st.sampled_from(SEEN), max_size=4, unique=True)
weight = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]) | st.floats(1e-3, 100)


@quick
@given(
    some,
    st.lists(st.integers(0, 20), max_size=3),
    st.lists(
        st.lists(st.sampled_from([*WORDS, "unknownword"]), min_size=1, max_size=3).map(" ".join),
        max_size=3,
    ),
    st.integers(1, 60),
    st.none() | st.dictionaries(st.sampled_from(["image", "text"]), weight, min_size=1),
    st.lists(st.sampled_from(SEEN), max_size=5),
    st.none() | st.sampled_from([0.1, 0.5, 0.9]),
)
def test_any_query_is_what_brute_force_finds(both, ids, images, texts, k, weights, exclude, least):
    images = [picture(n) for n in images]
    query = {"id": ids or None, "image": images or None, "text": texts or None}
    asked = dict(query, weights=weights, exclude=exclude, min_score=least)
    wanted = brute(
        both, {"image": 0.7, "text": 0.3} if weights is None else weights, ids, images, texts
    )
    if wanted is None:
        with pytest.raises(ValueError, match="the query (is empty|says nothing)"):
            both.recommend(k, **asked)
        return
    if least is not None:
        assume((wanted - least).abs().min() > 1e-5)
    check(
        both.recommend(k, **asked),
        wanted,
        k,
        set(both.catalog.ids) - set(ids) - set(exclude),
        least,
    )


@quick
@given(
    st.lists(st.sampled_from(SEEN), min_size=1, max_size=6),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
)
def test_each_is_one_by_one(both, ids, k, with_text, with_image):
    query = {"id": ids}
    query |= {"text": "red shirt"} if with_text else {}
    query |= {"image": [picture(n) for n in range(len(ids))]} if with_image else {}
    found = both.recommend(k, each=True, **query)
    assert len(found) == len(ids)
    for n, hits in enumerate(found):
        alone = {name: q[n] if isinstance(q, list) else q for name, q in query.items()}
        one = both.recommend(k, **alone)
        np.testing.assert_allclose(hits.scores, one.scores, atol=1e-6)
        images = [alone["image"]] if with_image else []
        scores = brute(both, both.weights, [ids[n]], images, ["red shirt"] if with_text else [])
        check(hits, scores, k, set(both.catalog.ids) - {ids[n]})


def test_each_with_one_for_all(both):
    found = both.recommend(3, image=picture(1), text=["red", "blue", "鞋"], each=True)
    for hits, text in zip(found, ["red", "blue", "鞋"], strict=True):
        np.testing.assert_allclose(
            hits.scores, both.recommend(3, image=picture(1), text=text).scores, atol=1e-6
        )
    assert len(both.recommend(3, id="000", each=True)) == 1
    with pytest.raises(ValueError, match="must be equally long"):
        both.recommend(3, id=["000", "001"], text=["a", "b", "c"], each=True)


@quick
@given(
    st.lists(st.sampled_from(SEEN), min_size=1, max_size=8),
    st.integers(1, 60),
    st.sampled_from([None, 0.2, 1.0]),
)
def test_neighbours_are_recommendations(both, ids, k, share):
    weights = None if share is None else {"image": share, "text": 1.01 - share}
    found, scores = both.neighbours(ids, k, weights)
    assert found.shape == scores.shape == (len(ids), min(k, 44))
    for i, row, row_scores in zip(ids, found, scores, strict=True):
        assert i not in row and len(set(row)) == len(row)
        np.testing.assert_allclose(
            row_scores, both.recommend(k, id=i, weights=weights).scores, atol=2e-6
        )
        np.testing.assert_allclose(
            row_scores, brute(both, weights or both.weights, [i])[list(row)], atol=2e-6
        )


def test_products_that_say_nothing(both):
    nothing = sorted(set(both.catalog.ids) - set(SEEN))
    assert nothing == ["003", "038"]
    with pytest.raises(ValueError, match="the query says nothing that can be compared"):
        both.recommend(id="003")
    with pytest.warns(UserWarning, match="2 of 45 products have neither .* neighbours: 003, 038"):
        ids, scores = both.neighbours(k=5)
    rows = [both.catalog.ids.index(i) for i in nothing]
    assert (ids[rows] == None).all() and np.isnan(scores[rows]).all()  # noqa: E711
    rest = [n for n in range(45) if n not in rows]
    some = [both.catalog.ids[n] for n in rest]
    alone = both.neighbours(some, 5)
    np.testing.assert_array_equal(ids[rest], alone[0])
    np.testing.assert_allclose(scores[rest], alone[1], atol=1e-6)
    hits = both.recommend(99, id="000")
    assert len(hits) == 44 and set(nothing) < set(hits.ids)
    assert both.recommend(99, id=["000", "003"]).scores.max() <= 1 + 1e-6
    no_picture, no_words = (
        both.recommend(5, id="008").to_frame(),
        both.recommend(5, id="010").to_frame(),
    )
    assert "image" not in no_picture and "text" in no_picture
    assert "text" not in no_words and "image" in no_words
    assert no_words["score"].iloc[0] > 0.5  # the weight of what is missing counts for nothing


def test_ties_never_push_the_query_in_or_another_out():
    "Thirty products that are the same in everything but their id."
    frame = shop(1).products.iloc[[0] * 30].set_axis([f"{i}" for i in range(30)], axis=0)
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(Catalog(frame))
    for k in (1, 5, 28, 29, 30, 99):
        found, scores = recommender.neighbours(k=k)
        assert found.shape == (30, min(k, 29))
        for n, row in enumerate(found):
            assert str(n) not in row and len(set(row)) == len(row)
        np.testing.assert_allclose(scores, 1, atol=1e-6)
        for n in (0, 7, 29):
            hits = recommender.recommend(k, id=f"{n}")
            assert f"{n}" not in hits.ids and len(set(hits.ids)) == len(hits) == min(k, 29)


def test_one_product():
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(1))
    assert len(recommender.recommend(id="000")) == 0 and "none" in repr(
        recommender.recommend(id="000")
    )
    assert (
        recommender.recommend(text="red").ids
        == ["000"]
        == recommender.recommend(image=picture(3)).ids
    )
    assert recommender.neighbours()[0].shape == (1, 0)
    empty = recommender.recommend(id="000")
    assert list(empty.to_frame()["id"]) == [] and "No product" in empty._repr_html_()


def test_parts_alone():
    catalog = shop(20)
    images, texts = (
        Recommender(image=ColorHistogram(SIZE)).fit(catalog),
        Recommender(text=TfidfEmbedder()).fit(catalog),
    )
    check(
        images.recommend(6, id="001"),
        brute(images, {"image": 1}, ["001"]),
        6,
        set(catalog.ids) - {"001"},
    )
    check(texts.recommend(6, text="red"), brute(texts, {"text": 1}, texts=["red"]), 6, catalog.ids)
    with pytest.raises(ValueError, match="this Recommender has no text embedder"):
        images.recommend(text="red")
    with pytest.raises(ValueError, match="this Recommender has no image embedder"):
        texts.recommend(image=picture(0))


def test_a_catalogue_without_pictures_or_without_words():
    products = shop(12).products
    for e in (ColorHistogram(SIZE), ImageEmbedder("mobilenetv2", (32, 32), weights=None)):
        words = Recommender(image=e, text=TfidfEmbedder()).fit(Catalog(products.assign(image=None)))
        assert len(words.recommend(3, text="red")) == 3 and not words.index.take()[:, : e.dim].any()
    with pytest.raises(ValueError, match="`catalog` has no words in title, description"):
        Recommender(text=TfidfEmbedder()).fit(Catalog(products.drop(columns="title")))


def test_wrong_queries(both):
    with pytest.raises(ValueError, match="`text` is empty"):
        both.recommend(text=" ")
    with pytest.raises(ValueError, match="`min_score` must be between -1 and 1"):
        both.recommend(id="000", min_score=2)
    for query in ({}, {"id": []}, {"text": []}, {"text": "?!"}, {"text": "nowordofthis"}):
        with pytest.raises(ValueError, match="the query"):
            both.recommend(**query)
    for query in (
        {"id": "zzz"},
        {"id": ["zzz", "yyy"]},
        {"positive": "zzz"},
        {"id": ["000", "zzz"], "each": True},
    ):
        with pytest.raises((KeyError, ValueError), match="'zzz'|the query is empty"):
            both.recommend(**query)
    for wrong in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match="`k` must be a positive integer"):
            both.recommend(wrong, id="000")
    for weights in ({"image": -1}, {"colour": 1}, {"text": np.nan}, {"text": np.inf}):
        with pytest.raises(ValueError, match="`weights` takes 'image' and 'text', each 0 or more"):
            both.recommend(id="000", weights=weights)
    for image in (b"junk", "/no/such/file.png"):
        with pytest.raises(ImageError):
            both.recommend(image=image)
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        Recommender(text=TfidfEmbedder()).recommend(text="red")
    with pytest.raises(ValueError, match="give `image`, `text` or both"):
        Recommender([])
    with pytest.raises(TypeError, match="`image` must be an embedder of kind 'image'"):
        Recommender(image=TfidfEmbedder())


# -- filters


@quick
@given(filters, st.integers(1, 50))
def test_filtered_recommendations(both, where, k):
    mask = where_mask(TABLE, where)
    allowed = set(TABLE.index[mask]) - {"001"}
    check(both.recommend(k, id="001", where=where), brute(both, both.weights, ["001"]), k, allowed)


def test_pages_of_a_varied_answer_do_not_overlap(both):
    whole = both.recommend(30, text="red", diversity=0.6).ids
    pages = [both.recommend(k, text="red", diversity=0.6).ids for k in (10, 20)]
    assert pages[0] == whole[:10] and pages[1] == whole[:20]


def test_a_short_answer_says_why(both):
    few = both.recommend(20, id="001", where={"price": (None, 3)})
    assert f"products that match the filter: {where_mask(TABLE, {'price': (None, 3)}).sum()}" in (
        few.note
    )
    assert "a score of 0.99 or more: " in both.recommend(5, id="001", min_score=0.99).note
    assert both.recommend(5, id="001").note == ""
    assert both.recommend(3, id="001", text="xyzzy").note == "no known word in 'xyzzy'"


# -- growing, shrinking, keeping


@settings(quick, max_examples=12)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=6))
def test_catalogue_and_index_keep_step(changes):
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(15))
    present, fresh = [f"{i:03d}" for i in range(15)], 100
    for add, n in changes:
        if add:
            recommender.add(shop(n + 1, fresh))
            present += [f"{i:03d}" for i in range(fresh, fresh + n + 1)]
            fresh += n + 1
        elif n < len(present):
            gone = present[n :: n + 2]
            recommender.remove(gone)
            present = [i for i in present if i not in gone]
        assert recommender.catalog.ids == present and len(recommender.index) == len(present)
    wanted = np.hstack(
        [e.embed(recommender.catalog, missing="zero") for e in recommender.embedders.values()]
    )
    np.testing.assert_allclose(recommender.index.take(), wanted, atol=1e-6)
    check(
        recommender.recommend(5, text="red"),
        brute(recommender, recommender.weights, texts=["red"]),
        5,
        present,
    )


def test_a_failing_change_changes_nothing(monkeypatch):
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(10))
    before, vectors = recommender.catalog.ids, recommender.index.take()

    def unchanged():
        np.testing.assert_array_equal(recommender.index.take(), vectors)
        return recommender.catalog.ids == before and len(recommender.index) == len(before)

    with pytest.raises(ValueError, match="in the recommender already"):
        recommender.add(shop(3, 8))
    assert unchanged()
    for ids, error in (
        (["001", "zz"], KeyError),
        (before, ValueError),
        (["001", "001"], ValueError),
    ):
        with pytest.raises(error):
            recommender.remove(ids)
        assert unchanged()
    with monkeypatch.context() as m:
        m.setattr(
            TfidfEmbedder,
            "embed",
            lambda *a, **k: np.full((3, recommender.embedders["text"].dim), np.nan),
        )
        with pytest.raises(ValueError, match="NaN"):
            recommender.add(shop(3, 20))
        m.setattr(TfidfEmbedder, "embed", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recommender.add(shop(3, 20))
    assert unchanged()
    recommender.remove("001")
    assert "001" not in recommender.catalog and len(recommender.catalog) == len(recommender.index)


@pytest.mark.parametrize("images", [False, True])
def test_save_and_load(both, tmp_path, images):
    both.save(tmp_path / "r", images=images)
    back = Recommender.load(tmp_path / "r")
    assert back.weights == both.weights and back.catalog.ids == both.catalog.ids
    np.testing.assert_array_equal(back.index.take(), both.index.take())
    for query in (
        {"id": "001"},
        {"text": "red größe"},
        {"image": picture(4), "text": "鞋"},
        {"id": ["001", "002"]},
    ):
        a, b = both.recommend(9, **query), back.recommend(9, **query)
        assert a.ids == b.ids and a.to_frame().equals(b.to_frame())
    pd.testing.assert_frame_equal(
        back.catalog.products.drop(columns="image"), both.catalog.products.drop(columns="image")
    )
    assert back.catalog.open("001") == both.catalog.open("001")
    back.add(shop(3, 100)).save(tmp_path / "r")
    assert len(Recommender.load(tmp_path / "r").index) == 48


def test_searches_while_products_come_and_go():
    recommender = Recommender(text=TfidfEmbedder()).fit(shop(30))
    new, wrong, stop = shop(20, 100), [], threading.Event()

    def ask():
        try:
            while not stop.is_set():
                hits = recommender.recommend(5, id="001", exclude=["002"])
                title = hits.to_frame().title.notna()  # looked up in the same state
                if len(hits) != 5 or len(title) != 5 or {"001", "002"} & {*hits.ids}:
                    wrong.append(hits)
        except Exception as e:
            wrong.append(e)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(15):
        recommender.add(new).update(new)
        recommender.remove(new.ids)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and len(recommender.catalog) == 30


class Listed(Index):
    "An index of somebody's own, a list of vectors."

    def __init__(self):
        self.rows = []

    @property
    def dim(self):
        return len(self.rows[0]) if self.rows else None

    def __len__(self):
        return len(self.rows)

    def empty(self):
        return Listed()

    def add(self, vectors):
        self.rows += [*np.asarray(vectors, np.float32)]
        return self

    def replace(self, rows, vectors):
        for n, v in zip(rows, vectors, strict=True):
            self.rows[n] = v
        return self

    def remove(self, rows):
        self.rows = [v for n, v in enumerate(self.rows) if n not in {*rows}]
        return self

    def take(self, rows=None):
        chosen = range(len(self)) if rows is None else rows
        return np.array([self.rows[n] for n in chosen], np.float32).reshape(-1, self.dim)

    def search(self, vectors, k=5, allowed=None):
        scores = np.atleast_2d(vectors) @ self.take().T
        scores[:, ~(np.ones(len(self), bool) if allowed is None else allowed)] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, np.isfinite(scores[0]).sum())]
        return rows, np.take_along_axis(scores, rows, axis=1)

    def _write(self, folder):
        np.save(folder / "rows.npy", self.take())

    @classmethod
    def _read(cls, folder, meta):
        return cls().add(np.load(folder / "rows.npy"))


def test_an_index_of_ones_own(tmp_path):
    given = Listed()
    recommender = Recommender(text=TfidfEmbedder(), index=given).fit(shop(30))
    ours = Recommender(text=TfidfEmbedder()).fit(shop(30))
    assert type(recommender.index) is Listed and len(given) == 0
    for r in (recommender, ours):
        r.add(shop(5, 100)).update(shop(3, 101)).remove(["003", "104"])
    recommender.save(tmp_path / "r")
    for r in (recommender, Recommender.load(tmp_path / "r")):
        assert type(r.index) is Listed
        assert r.recommend(5, text="red shirt").ids == ours.recommend(5, text="red shirt").ids
    for wrong in ("faiss", FaissIndex, FaissIndex().add([[1, 0]])):
        with pytest.raises(TypeError, match="`index` must be an empty Index"):
            Recommender(text=TfidfEmbedder(), index=wrong)


def test_a_recommender_that_was_damaged(tmp_path):
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder(dim=4)).fit(shop(10))
    recommender.save(tmp_path / "r")
    files = [p for p in (tmp_path / "r").rglob("*") if p.is_file()]
    assert len(files) > 8
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[:-2])
        with pytest.raises(ValueError, match="is damaged"):
            Recommender.load(tmp_path / "r")
        path.unlink()
        with pytest.raises((ValueError, FileNotFoundError), match=r"is damaged|no manifest\.json"):
            Recommender.load(tmp_path / "r")
        path.write_bytes(whole)
    assert len(Recommender.load(tmp_path / "r").index) == 10
    assert Catalog.load(tmp_path / "r").ids == recommender.catalog.ids  # found inside
    with pytest.raises(ValueError, match="holds a saved Index, not a Recommender"):
        Recommender.load(tmp_path / "r" / "index")


# -- what is shown


def test_unicode_and_html():
    products = shop(6).products.assign(
        title=[f"{EVIL} 鞋 größe {n}" for n in range(6)], category=EVIL
    )
    recommender = Recommender(text=TfidfEmbedder()).fit(Catalog(products))
    hits = recommender.recommend(4, text="鞋 größe")
    assert (
        len(hits) == 4
        and "größe" in repr(hits)
        and hits.to_frame()["title"].str.contains("鞋").all()
    )
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attributes):
            tags.append(tag)

    for shown in (hits, recommender.recommend(4, id="000")):
        Tags().feed(shown._repr_html_())
        assert "<script" not in shown._repr_html_()
    assert set(tags) <= {"table", "tr", "td", "img", "i", "br", "small"}
    strange = Hits(["000"], [1.0], {}, [EVIL], recommender.catalog)
    assert "<script" not in strange._repr_html_()


def test_columns_of_every_kind_are_compared_for_reasons():
    products = shop(12).products.assign(
        category=pd.Categorical(["x", "y"] * 6),
        brand=pd.array(["b", None] * 6, dtype="string"),
        colour=["red", "red", "blue"] * 4,
        tags=[["t"]] * 12,
        sold=[datetime.date(2024, 1, 1)] * 12,
        title="shirt",
    )
    table = (
        Recommender(text=TfidfEmbedder()).fit(Catalog(products)).recommend(11, id="000").to_frame()
    )
    for row in table.itertuples():
        assert ("category" in row.reason) == (int(row.id) % 2 == 0)
        assert ("colour" in row.reason) == (int(row.id) % 3 != 2)


# -- metrics


@quick
@given(st.data(), st.integers(1, 6), st.integers(1, 7), st.integers(1, 9))
def test_precision_is_a_count(data, n, m, k):
    labels = pd.Series(
        data.draw(st.lists(st.sampled_from("abc"), min_size=5, max_size=5)), index=list("vwxyz")
    )
    cell = st.sampled_from(["v", "w", "x", "y", "z", "gone", None])
    found = np.array(
        data.draw(st.lists(st.lists(cell, min_size=m, max_size=m), min_size=n, max_size=n)), object
    )
    truth = np.array(data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n)), object)
    wanted = [
        [i in labels.index and labels[i] == t for i in row]
        for row, t in zip(found, truth, strict=True)
    ]
    hits = relevant(found, labels, truth)
    assert hits.dtype == bool and hits.tolist() == wanted
    precision = [sum(row[:k]) / k for row in wanted]
    assert precision_at_k(hits, k).tolist() == pytest.approx(precision, abs=1e-12)
    row = precision_row("x", hits, k, seed=1).loc["x"]
    assert (
        row[f"precision@{k}"] == pytest.approx(np.mean(precision), abs=1e-12)
        and row["queries"] == n
    )
    assert row["low"] - 1e-12 <= row[f"precision@{k}"] <= row["high"] + 1e-12 or n < 5


def test_random_recommendations_are_as_good_as_the_shares():
    labels = pd.Series(["a"] * 30 + ["b"] * 10, index=[f"{i}" for i in range(40)])
    hits = random_hits(np.repeat("0", 4000), labels, 5, seed=0)
    assert hits.shape == (4000, 5) and hits.mean() == pytest.approx(
        29 / 39, abs=0.02
    )  # itself is not drawn
    alone = pd.Series(["a", "b", "b"], index=list("xyz"))
    assert (
        not random_hits(np.array(["x"] * 50), alone, 5).any()
        and random_hits(np.array(["y"] * 99), alone, 5).any()
    )
    np.testing.assert_array_equal(hits, random_hits(np.repeat("0", 4000), labels, 5, seed=0))


def test_metrics_refuse_wrong_shapes():
    labels = pd.Series(["a"], index=["x"])
    with pytest.raises(ValueError, match="`recommended` must be"):
        relevant(np.array(["x"]), labels, np.array(["a"]))
    with pytest.raises(ValueError, match="`hits` must be"):
        precision_at_k(np.array([True]))
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        precision_at_k(np.array([[True]]), 0)


def test_no_queries_have_no_neighbours():
    ids, scores = Recommender(text=TfidfEmbedder()).fit(shop(12)).neighbours([], k=3)
    assert ids.shape == scores.shape == (0, 3)


def test_random_hits_names_what_it_does_not_know():
    labels = pd.Series({"a": "mug", "b": "lamp"})
    with pytest.raises(KeyError, match="'c'"):
        random_hits(["a", "c"], labels)
    with pytest.raises(ValueError, match="one product"):
        random_hits(["a"], labels[:1])
