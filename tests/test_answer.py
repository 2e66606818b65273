"""What `recommend` promises beyond the plain ranking: variety, nothing twice, limits, people, and
that many are as one by one.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import SEEN, SIZE, TABLE, check, filters, history, picture, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodrec.core import ImageError
from prodrec.data.catalog import Catalog
from prodrec.recommend.answer import (
    TIES,
    WIDE,
    allowed_products,
    answer,
    candidates,
    is_enough,
    like_what,
    merge_candidates,
    predicted_values,
    reasons,
    rerank,
    scores,
    shortage,
    unknown_words,
)
from prodrec.recommend.collaborative import ItemKNN
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder, TfidfEmbedder
from prodrec.recommend.filters import where_mask
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.profiles import because_of, user_profile
from prodrec.recommend.query import (
    Query,
    Question,
    embed_query,
    read_question,
    read_questions,
)
from prodrec.recommend.ranking import rocchio
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.sparse import SearchEmbedder
from prodrec.recommend.user_models import UserModel

quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = [f"{i:03d}" for i in range(45)]


class Eyes:
    "Predicts one of two categories from the brightness of a picture."

    target, classes_ = "category", ["a", "b"]

    def predict_proba(self, pictures):
        dark = [
            np.asarray(p).mean() < 200 if not isinstance(p, bytes) else len(p) % 2 for p in pictures
        ]
        return np.array([[d, 1 - d] for d in dark], np.float32)


@pytest.fixture(scope="module")
def both():
    made = Recommender(
        image=ColorHistogram(SIZE),
        text=TfidfEmbedder(),
        classifier=Eyes(),
        collaborative=ItemKNN("cosine"),
    )
    return made.fit(shop(45), history())


def same(a, b):
    assert a.ids == b.ids and a.duplicates == b.duplicates
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)
    assert a.to_frame()["reason"].tolist() == b.to_frame()["reason"].tolist()


ids = st.lists(st.sampled_from(SEEN), min_size=1, max_size=3, unique=True)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "diversity": st.sampled_from([0.0, 0.2, 0.7, 1.0]),
        "collapse": st.sampled_from([False, True, 0.9, 0.7]),
        "positive": ids,
        "negative": ids,
        "weights": st.sampled_from(
            [{"image": 1.0}, {"text": 1.0}, {"image": 0.5, "text": 0.5, "history": 0.9}]
        ),
    },
)


# -- promises that hold whatever is asked


@settings(quick, max_examples=40)
@given(st.data(), wishes, filters, st.integers(1, 50))
def test_no_answer_breaks_a_promise(both, data, wish, where, k):
    query = {"id": data.draw(ids)} if data.draw(st.booleans()) else {"text": "red shirt"}
    query |= (
        {"user": data.draw(st.sampled_from(["u0", "u1", "u2", "stranger"]))}
        if data.draw(st.booleans())
        else {}
    )
    if wish.get("weights", {}).get("text", 0) == 0 and "text" in query:
        wish = {name: value for name, value in wish.items() if name != "weights"}
    try:
        hits = both.recommend(k, where=where, **query, **wish)
    except ValueError as e:
        assert "the query says nothing" in str(e)
        return
    everything = both.recommend(99, where=where, **query, **wish)
    hidden = {*query.get("id", []), *wish.get("positive", []), *wish.get("negative", [])}
    for user in [query["user"]] if query.get("user", "stranger") != "stranger" else []:
        events = both.profiles.history.events
        hidden |= set(
            events[(events["user"] == user) & events["event"].isin(["purchase", "dislike"])]["id"]
        )
    allowed = set(TABLE.index[where_mask(TABLE, where)]) - hidden
    assert len(set(hits.ids)) == len(hits) and set(hits.ids) <= allowed
    named = [i for several in everything.duplicates for i in several]
    assert sorted([*everything.ids, *named]) == sorted(allowed)
    assert len(hits) == min(k, len(everything))
    assert np.isfinite(hits.scores).all() and (np.abs(hits.scores) <= 1).all()
    parts = [c for c in ("image", "text", "history") if c in hits.to_frame()]
    np.testing.assert_allclose(hits.to_frame()[parts].sum(axis=1), hits.scores, atol=2e-6)
    assert all(hits.to_frame()["reason"])
    if not wish.get("diversity"):
        assert (np.diff(hits.scores) <= 0).all() and hits.ids == everything.ids[:k]


@quick
@given(st.lists(st.sampled_from(SEEN), min_size=1, max_size=6), wishes, st.data())
def test_many_at_once_are_as_one_by_one(both, several, wish, data):
    query = {"id": several} | (
        {"user": data.draw(st.sampled_from(["u0", "nobody"]))} if data.draw(st.booleans()) else {}
    )
    within = data.draw(st.sampled_from([None, "new"]))
    wish = {name: value for name, value in wish.items() if name not in ("weights", "negative")}
    found = both.recommend(4, each=True, within=within, **query, **wish)
    for i, hits in zip(several, found, strict=True):
        same(hits, both.recommend(4, within=within, **query | {"id": i}, **wish))


def test_one_search_for_each_filter_group(both, monkeypatch):
    calls, search = [], FaissIndex.search
    monkeypatch.setattr(
        FaissIndex,
        "search",
        lambda self, v, *a, **k: calls.append(len(v)) or search(self, v, *a, **k),
    )
    both.recommend(5, id=SEEN[:20], each=True)
    assert (
        calls[0] == 20 and len(calls) <= 2
    )  # and once more where others are worth as much as the last
    calls.clear()
    both.recommend(5, id=SEEN[:20], each=True, within="new")
    assert len(calls) <= 4 and {*TABLE.loc[SEEN[:20], "new"].value_counts()} <= {*calls}


# -- variety and duplicates


def test_variety_costs_likeness(both):
    plain, varied = (both.recommend(8, id="000", diversity=d) for d in (0.0, 0.9))
    assert plain.ids == both.recommend(8, id="000").ids and varied.ids[0] == plain.ids[0]
    assert varied.scores.mean() < plain.scores.mean()
    likeness = [
        both.similarity_matrix(h.ids).to_numpy()[np.triu_indices(8, 1)].mean()
        for h in (plain, varied)
    ]
    assert likeness[1] < likeness[0]


def test_what_is_the_same_is_shown_once():
    frame = shop(10).products
    copies = pd.concat(
        [frame, *(frame.set_axis([f"{i}-{n}" for i in frame.index], axis=0) for n in range(40))]
    )
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(Catalog(copies))
    hits = recommender.recommend(7, text="red shirt", collapse=True)
    assert len(hits) == 7
    for i, same in zip(hits.ids, hits.duplicates, strict=True):
        group = {i[:3], *(f"{i[:3]}-{n}" for n in range(40))}
        if i[:3] != "003":  # of what has neither picture nor words nothing is known to be the same
            assert {i, *same} == group
    once = recommender.recommend(
        99, text="red shirt", collapse=True, where={"title": frame["title"].dropna().tolist()}
    )
    assert (
        len(once) == 9
        and "also" in once._repr_html_()
        and once.to_frame()["duplicates"].str.len().all()
    )


def test_more_and_less(both):
    near, far = both.index.take(both.catalog.rows(["010", "024"]))
    hits = both.recommend(40, id="000", positive="010", negative="024", weights={"image": 1.0})
    assert not {"000", "010", "024"} & set(hits.ids)
    image = slice(0, 512)
    wanted = rocchio(
        both.index.take(both.catalog.rows("000"))[0, image], near[None, image], far[None, image]
    )
    np.testing.assert_allclose(
        hits.scores, both.index.take(both.catalog.rows(hits.ids))[:, image] @ wanted, atol=1e-5
    )
    alone = both.recommend(3, positive="010", weights={"image": 1.0})
    assert alone.ids == both.recommend(3, id="010", weights={"image": 1.0}).ids
    with pytest.raises(ValueError, match="the query is empty"):
        both.recommend(3, negative="000")


# -- limits


def test_within_a_column(both):
    for i in ("000", "001"):
        found = both.recommend(99, id=i, within="category")
        value = TABLE.loc[i, "category"]
        assert sorted(found.ids) == sorted(set(TABLE.index[TABLE["category"] == value]) - {i})
    assert set(both.recommend(99, id=["000", "001"], within="category").to_frame()["category"]) == {
        "a",
        "b",
    }
    with pytest.raises(ValueError, match="product '002' has no category"):
        both.recommend(id="002", within="category")
    with pytest.raises(ValueError, match="give `id`, or use `where`"):
        both.recommend(text="red", within="category")
    with pytest.raises(
        ValueError, match="`within` must be 'predicted' or a column, received 'colour'"
    ):
        both.recommend(id="000", within="colour")


def test_within_what_is_predicted(both):
    for query in (
        {"id": "000"},
        {"image": picture(3)},
        {"id": "001", "image": picture(4), "text": "red"},
    ):
        found = both.recommend(99, within="predicted", **query).to_frame()
        assert (
            found["category"].nunique() == 1 and found["reason"].str.contains("as predicted").all()
        )
    several = both.recommend(3, image=[picture(n) for n in range(6)], within="predicted", each=True)
    for n, hits in enumerate(several):
        same(hits, both.recommend(3, image=picture(n), within="predicted"))
    with pytest.raises(ValueError, match="needs a picture to look at"):
        both.recommend(text="red", within="predicted")
    with pytest.raises(ImageError, match="picture of product '003' is missing"):
        both.recommend(id=["000", "003"], within="predicted")
    with pytest.raises(ValueError, match="`within='predicted'` needs a classifier"):
        Recommender(image=ColorHistogram(SIZE)).fit(shop(5)).recommend(id="000", within="predicted")


def test_a_threshold_that_keeps_what_it_promises(both):
    words, label = {"text": 1.0}, TABLE["category"]
    chosen = both.suggest_min_score(precision=0.6, target="category", k=10, weights=words)
    named = [i for i in SEEN if i in both.catalog and not pd.isna(label[i]) and TABLE.title[i]]
    pairs = [
        (i, both.recommend(10, id=i, min_score=chosen, weights=words).ids)
        for i in named
        if both.index.take(both.catalog.rows(i))[0, -both.embedders["text"].dim :].any()
    ]
    right = [label[i] == label[j] for i, found in pairs for j in found]
    assert np.mean(right) >= 0.6 and len(right) < 10 * len(named)
    assert len(chosen.table) and chosen.figure().get_xlabel() == "min_score"
    elsewhere = both.suggest_min_score(shop(20, 100), precision=0.4, target="new")
    assert -1 <= elsewhere <= 1
    with pytest.raises(ValueError, match="`target` 'colour' is not in the catalogue"):
        both.suggest_min_score(target="colour")


# -- people


def test_a_blended_ranking_is_exact(both):
    "Whatever is looked at first, nothing better is missed."
    for user in ("u0", "u3", "u7"):
        for query in ({}, {"text": "red shirt"}, {"id": "004"}):
            for share in (0.1, 0.5, 0.99):
                weights = both.weights | {"history": share}
                all_of_them = both.recommend(99, user=user, weights=weights, **query)
                for k in (1, 3, 10):
                    few = both.recommend(k, user=user, weights=weights, **query)
                    assert few.ids == all_of_them.ids[:k]


def test_what_a_user_had_is_not_recommended(both):
    events = both.profiles.history.events
    hits = both.recommend(99, user="u0")
    own = set(events[events["user"] == "u0"]["id"])
    assert set(hits.ids) == set(IDS) - own and "001" in own
    assert {"image", "text", "history"} <= set(hits.to_frame())
    even = [int(i) % 2 == 0 for i in hits.ids[:5] if int(i) < 36]
    assert np.mean(even) > 0.5  # what people like u0 take
    assert set(hits.ids) >= {"040", "044"}  # taken by nobody
    assert both.recommend(99, user="u2", text="red").ids.count("000") == 1  # only looked at


def test_a_stranger_gets_what_is_popular(both):
    hits = both.recommend(5, user="stranger")
    counts = both.profiles.model.popularity().drop("gone")
    assert counts[hits.ids].tolist() == sorted(counts, reverse=True)[:5]
    assert hits.to_frame()["reason"].tolist() == ["popular"] * 5 and hits.scores[0] == 1
    same(both.recommend(5, user="stranger", id="000"), both.recommend(5, id="000"))
    several = both.recommend(3, user=["u0", "stranger", "u1"], each=True)
    for user, found in zip(["u0", "stranger", "u1"], several, strict=True):
        same(found, both.recommend(3, user=user))


def test_nobody_is_known():
    recommender = Recommender(text=TfidfEmbedder()).fit(shop(12))
    hits = recommender.recommend(4, user="anybody")
    assert (
        len(hits) == 4
        and not hits.scores.any()
        and set(hits.to_frame()["reason"]) == {"nobody is known yet"}
    )


def test_cold_products_are_recommended_at_once():
    recommender = Recommender(
        image=ColorHistogram(SIZE), text=TfidfEmbedder(), collaborative=ItemKNN("cosine")
    )
    recommender.fit(shop(36), history())
    liked = recommender.profiles.profile("u4")[0].liked.index[0]
    twin = Catalog(shop(36)[[liked]].products.set_axis(["brand new"], axis=0))
    recommender.add(twin)
    assert "brand new" in recommender.recommend(5, user="u4").ids
    assert recommender.recommend(1, id=liked).ids == ["brand new"]


def test_a_taste():
    rows = [
        ("a", "like", 1),
        ("a", "dislike", 1),
        ("b", "dislike", 1),
        ("b", "purchase", 1),
        ("c", "rating", 5),
    ]
    taste = user_profile(pd.DataFrame(rows, columns=["id", "event", "value"]))
    assert (
        taste.disliked == ["a", "b"]
        and taste.had == ["b", "c"]
        and taste.liked.to_dict() == {"c": 1.5}
    )


class Hybrid(UserModel):
    """A model that knows what products are like: who likes one likes all, in the order of their
    first number.
    """

    knows_content = True

    def learn(self, history, matrix):
        return {}

    def learn_content(self, arrays, vectors):
        return {"known": vectors["text"][:, 0]}

    def place_new(self, arrays, vectors):
        return {"new": vectors["text"][:, 0]}

    def score_rows(self, rows, users=None):
        return np.tile(np.append(self.arrays["known"], self.arrays["new"]), (rows.shape[0], 1))


def test_a_model_that_knows_what_products_are_like():
    recommender = Recommender(text=TfidfEmbedder(dim=4), collaborative=Hybrid()).fit(
        shop(20), history()
    )
    recommender.add(shop(5, 100))
    first = recommender.index.take()[:, 0]
    wanted = pd.Series(first, recommender.catalog.ids).sort_values(ascending=False, kind="stable")
    for user in ("u0", "stranger"):
        hits = recommender.recommend(99, user=user)
        assert list(hits.to_frame().columns[2:5]) == ["score", "history", "reason"]
        np.testing.assert_allclose(
            wanted[hits.ids].to_numpy(), np.sort(wanted[hits.ids])[::-1], atol=1e-6
        )


def test_wrong_wishes(both):
    for wrong in (-0.1, 1.5):
        with pytest.raises(ValueError, match="`diversity` must lie between 0 and 1"):
            both.recommend(id="000", diversity=wrong)
        with pytest.raises(ValueError, match="`collapse` must be True, False or a cosine"):
            both.recommend(id="000", collapse=wrong)
    with pytest.raises(ValueError, match="'history' from 0 to 1"):
        both.recommend(id="000", weights={"history": 2})
    with pytest.raises(TypeError, match="`history` must be a History"):
        Recommender(text=TfidfEmbedder()).fit(shop(5), history().events)


# -- all against all


@quick
@given(st.lists(st.sampled_from(IDS), min_size=1, max_size=9, unique=True))
def test_the_matrix_is_what_is_recommended(both, some):
    matrix = both.similarity_matrix(some)
    assert (
        matrix.index.tolist() == matrix.columns.tolist() == some
        and np.abs(matrix.to_numpy()).max() <= 1
    )
    for i in some:
        if i not in SEEN:
            assert not matrix.loc[i].any()
            continue
        scores = pd.Series(*[(h.scores, h.ids) for h in [both.recommend(99, id=i)]][0])
        others = [j for j in some if j != i]
        np.testing.assert_allclose(matrix.loc[i, others], scores[others], atol=1e-5)
        assert matrix.loc[i, i] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_matrix_in_a_file(both, tmp_path, dtype, monkeypatch):
    path = both.similarity_matrix(
        path=tmp_path / "new" / "matrix.parquet", batch_size=10, dtype=dtype
    )
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        10,
        10,
        10,
        10,
        5,
    ]
    table = file.read()
    assert table["id"].to_pylist() == both.catalog.ids
    written = np.stack(table["scores"].to_numpy())
    assert written.dtype == dtype
    np.testing.assert_allclose(
        written.astype(np.float32),
        both.similarity_matrix(),
        atol=1e-6 if dtype == "float32" else 1e-3,
    )
    monkeypatch.setattr("prodrec.recommend.similarity.product_queries", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        both.similarity_matrix(path=path)
    assert [p.name for p in path.parent.iterdir()] == ["matrix.parquet"] and pq.read_table(
        path
    ).num_rows == 45


def test_a_matrix_too_large_for_memory(both, monkeypatch):
    with pytest.raises(ValueError, match=r"20,000 products has 1\.5 GB: give a `path`"):
        both.similarity_matrix([f"{n}" for n in range(20_000)])
    with pytest.raises(ValueError, match="`dtype` must be"):
        both.similarity_matrix(dtype="int8")


# -- where two pictures are alike


def test_why(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((16, 16, 3), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, activation="relu"),
    ]
    network = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])
    recommender = Recommender(image=ImageEmbedder(network)).fit(shop(5))
    heat = recommender.explain("000", "001")
    assert (
        heat.shape == (16, 16) and heat.dtype == np.float32 and 0 <= heat.min() and heat.max() == 1
    )
    np.testing.assert_allclose(
        recommender.explain(recommender.catalog.open("000"), "001"), heat, atol=1e-5
    )
    assert recommender.explain_figure("000", "001").get_title() == "recommended"
    with pytest.raises(ImageError):
        recommender.explain("000", "003")
    with pytest.raises(ValueError, match="no network that looks at pictures"):
        Recommender(image=ColorHistogram(SIZE)).fit(shop(3)).explain("000", "001")


def test_plain_is_plain(both):
    "What is not asked for changes nothing."
    plain = both.recommend(9, id="001")
    same(
        plain,
        both.recommend(
            9, id="001", diversity=0.0, collapse=False, within=None, positive=[], negative=[]
        ),
    )
    check(
        plain,
        pd.Series(*[(h.scores, h.ids) for h in [both.recommend(99, id="001")]][0]),
        9,
        set(IDS) - {"001"},
    )


def test_a_score_that_is_just_enough_is_enough(both):
    hits = both.recommend(8, id="000")
    least = float(hits.scores[4])
    kept = both.recommend(8, id="000", min_score=least)
    assert kept.ids == hits.ids[: sum(s >= least for s in hits.scores)] and hits.ids[4] in kept.ids
    assert kept.scores[-1] == pytest.approx(least)
    above = both.recommend(8, id="000", min_score=np.nextafter(least, 1))
    assert hits.ids[4] not in above.ids


def test_reranking_by_hand():
    units = np.eye(4, dtype=np.float32)[[0, 0, 1, 2, 3]]
    rows, found = np.arange(5), np.array([0.9, 0.8, 0.5, 0.5, 0.25])
    take = units.__getitem__
    assert rerank(Query(text="a", k=9, min_score=0.5), take, rows, found)[0].tolist() == [
        0,
        1,
        2,
        3,
    ]
    rows_, kept, same = rerank(Query(text="a", k=2, collapse=True), take, rows, found)
    assert (rows_.tolist(), kept.tolist()) == ([0, 2], [0.9, 0.5])
    assert [s.tolist() for s in same] == [[1], []]


@pytest.mark.parametrize("bound, enough", [(0.4, True), (0.5, False), (0.6, False)])
def test_candidates_are_enough_where_nothing_better_can_come(bound, enough):
    query, found = Query(text="a", k=2, min_score=0.5), np.array([0.9, 0.5])
    assert is_enough(query, None, np.arange(2), found, bound, 10) == enough


# -- by hand


class Counted:
    "An index of one number a product, that notes how many were asked for."

    def __init__(self, numbers):
        self.numbers, self.pools = np.array(numbers, np.float32), []

    def take(self, rows):
        return self.numbers[rows, None]

    def search(self, vectors, k, allowed=None):
        self.pools.append((k, allowed is not None))
        scores = vectors @ self.numbers[None]
        scores = scores if allowed is None else np.where(allowed, scores, -np.inf)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return rows, np.take_along_axis(scores, rows, 1)


def asked(*, hidden=(), history=None, words=None, users=()) -> Question:
    made = Question([], [], [], [(u, False) for u in users], False)
    made.vector, made.hidden = np.ones(1, np.float32), np.array(hidden, int)
    made.history, made.words = history, words or {}
    return made


def test_what_nothing_unseen_can_beat():
    numbers = np.array([0.9, 0.8, 0.8, 0.5, 0.1, 0.0])
    shelf = SimpleNamespace(index=Counted(numbers))
    rows, everyone = np.array([0, 1, 2, 3]), np.ones(6, bool)

    def merged(question, allowed=everyone, everything=False):
        found = merge_candidates(shelf, question, rows, numbers[rows], allowed, everything)
        return found[0].tolist(), found[1].tolist(), found[2]

    assert merged(asked()) == ([0, 1, 2, 3], [0.9, 0.8, 0.8, 0.5], 0.5)
    assert merged(asked(hidden=[1])) == ([0, 2, 3], [0.9, 0.8, 0.5], 0.5)
    assert merged(asked(), everything=True)[2] == -np.inf
    added = np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.6])
    # the four best by content and the four with the largest additions; 0.5 + 0 bounds the rest
    found = merged(asked(history=added))
    assert found[0] == [0, 2, 1, 5, 3] and found[2] == 0.5
    assert found[1] == pytest.approx([0.9, 0.9, 0.8, 0.6, 0.5])
    without = merged(asked(history=added), np.arange(6) != 5)
    assert 5 not in without[0] and without[2] == 0.5
    assert merged(asked(words={"w": added}))[0] == found[0]


def test_how_many_candidates_are_asked_for():
    shelf = SimpleNamespace(index=Counted(np.linspace(1, 0, 300)))
    everyone = np.ones(300, bool)

    def pools(questions, allowed=everyone, want=3, **options):
        shelf.index.pools = []
        found = candidates(shelf, questions, allowed, want, **options)
        return [k for k, _ in shelf.index.pools], [len(rows) for rows, *_ in found]

    assert pools([asked()]) == ([11], [11])
    assert pools([asked(hidden=[0, 1])]) == ([13], [11])
    assert pools([asked(hidden=[0, 1]), asked()]) == ([13], [11, 13])
    never = {"enough": lambda *_: False}
    assert pools([asked()], **never) == ([11, 44, 176, 300], [300])
    assert pools([asked()], np.arange(300) < 20, **never) == ([11, 20], [20])
    assert shelf.index.pools[0][1] and pools([asked()]) and not shelf.index.pools[0][1]
    assert pools([asked(words={"w": np.zeros(300)})])[0] == [WIDE]
    assert pools([asked(words={"w": np.zeros(300)}), asked()])[0] == [WIDE]
    assert pools([asked()], np.zeros(300, bool)) == ([], [0])
    first = {"enough": lambda rows, *_: len(rows) > 11}
    assert pools([asked(), asked(hidden=[0, 1])], **first) == ([13, 52], [13, 50])
    assert pools([asked(), asked(hidden=[250])], **first)[0] == [12]  # both are enough at once


def test_equal_candidates_past_the_last_are_looked_for():
    query, units = Query(text="a", k=2), np.eye(3, dtype=np.float32).__getitem__
    rows, found = np.arange(3), np.array([0.9, 0.5, 0.5])
    assert not is_enough(query, units, rows, found, 0.5, 10)  # others may be worth 0.5 too
    assert not is_enough(query, units, rows, found, 0.5, TIES - 1)
    assert is_enough(query, units, rows, found, 0.5, TIES)
    assert is_enough(query, units, rows, found, 0.4, 10)
    assert is_enough(Query(text="a", k=3), units, rows, found, 0.4, 10)
    assert not is_enough(Query(text="a", k=4), units, rows, found, 0.4, 10)
    copies = np.eye(3, dtype=np.float32)[[0, 0, 1]].__getitem__
    once = {"text": "a", "collapse": True}
    assert is_enough(Query(k=2, **once), copies, rows, found, 0.4, 10)
    assert not is_enough(Query(k=3, **once), copies, rows, found, 0.4, 10)
    assert is_enough(Query(k=3, **once), units, rows, found, 0.4, 10)


def test_reranking_takes_variety_and_copies_by_hand():
    units = np.eye(4, dtype=np.float32)[[0, 0, 1, 2, 3]].__getitem__
    rows, found = np.array([0, 1, 2, 3, 4]), np.array([0.9, 0.8, 0.5, 0.4, 0.25])
    varied = rerank(Query(text="a", k=3, diversity=0.5), units, rows, found)
    assert varied[0].tolist() == [0, 2, 3] and [len(s) for s in varied[2]] == [0, 0, 0]
    assert rerank(Query(text="a", k=3), units, rows, found)[0].tolist() == [0, 1, 2]
    nothing = rerank(Query(text="a", k=3, diversity=0.5, min_score=1), units, rows, found)
    assert not len(nothing[0]) and not nothing[2]
    order = np.array([4, 2, 1])
    some = rerank(Query(text="a", k=2, collapse=True), units, order, found[:3])
    assert some[0].tolist() == [4, 2]


def test_the_reason_of_a_user_alone(both):
    shelf = both._look()

    def said(query):
        question = read_question(shelf, query, query.positions()[0])
        return question, like_what(shelf, question, shelf.rows(["040", "042"]))

    assert said(Query(text="red"))[1] is None and said(Query(user="nobody"))[1] is None
    assert said(Query(user="u1", text="red"))[1] is None
    question, told = said(Query(user="u1"))
    assert all(t.startswith(("because of ", "like ")) for t in told)
    question.popular = True
    plain = like_what(shelf, question, shelf.rows(["040", "042"]))
    liked = [i for i in question.liked.index if i in shelf.catalog]
    likeness = shelf.vectors(["040", "042"]) @ shelf.vectors(liked).T
    best = [liked[n] for n in likeness.argmax(1)]
    assert plain == [f"like {i}, which the user likes" for i in best]
    question, told = said(Query(user=["u1", "u3"]))
    assert all(t.startswith("like ") for t in told)  # two users: no model speaks for both


def test_what_a_filter_lets_through_and_says(both):
    shelf = both._look()
    allowed, few = allowed_products(shelf, Query(text="red"))
    assert allowed.all() and few == ""
    allowed, few = allowed_products(shelf, Query(text="red", exclude=["000", "zz"], positive="001"))
    assert [IDS[n] for n in np.flatnonzero(~allowed)] == ["000", "001"]
    mask = np.arange(45) < 5
    assert allowed_products(shelf, Query(text="red", k=5, where=mask))[1] == ""
    for where in ({"category": "bb"}, {"category": "b"}):
        few = allowed_products(shelf, Query(text="red", k=15, where=where))[1]
        assert bool(few) == (where["category"] == "bb")


def test_scores_are_told_by_space(both):
    shelf = both._look()
    query, rows = Query(text="red shirt"), np.arange(6)
    (question,) = read_questions(shelf, query, shelf.weights, embed_query(query, shelf.spaces))
    assert list(scores(shelf, question, rows)) == ["text"]
    question.history = np.linspace(0, 1, 45)
    parts = scores(shelf, question, rows)
    assert list(parts) == ["text", "history"]  # words say nothing of pictures
    part = shelf.parts["text"]
    own = shelf.index.take(rows)[:, part] @ question.vector[part]
    np.testing.assert_allclose(parts["text"], own, rtol=1e-5)
    question.words = {"image": np.arange(45.0)}
    assert scores(shelf, question, rows)["image"].tolist() == [0, 1, 2, 3, 4, 5]
    question.history = None
    assert list(scores(shelf, question, rows)) == ["image", "text"]


def test_nothing_is_said_of_a_filter_that_leaves_enough(both):
    where = {"category": ["b", "bb"]}
    said = [allowed_products(both._look(), Query(text="red", k=k, where=where))[1] for k in (1, 44)]
    assert said[0] == "" and "bb" in said[1]


def test_scores_that_differ_in_the_seventh_place_are_equal():
    numbers = np.array([0.5000001, 0.5000003, 0.5000002])
    shelf, rows = SimpleNamespace(index=Counted(numbers)), np.arange(3)
    found = merge_candidates(shelf, asked(), rows, numbers, np.ones(3, bool), True)
    assert found[0].tolist() == [0, 1, 2] and set(found[1].tolist()) == {0.5}


def test_a_text_without_a_known_word_is_named(both):
    shelf, query = both._look(), Query(text=["red", "zzzz", "qqqq"])
    seen = {"text": np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])}
    assert unknown_words(shelf, query, seen) == "no known word in 'zzzz', 'qqqq'"
    assert unknown_words(shelf, query, {"text": np.eye(3)}) == ""


def test_what_few_have_had_is_not_called_unknown(both):
    shelf = both._look()
    question = asked(history=np.array([0.0, 1.0]))
    question.popular, question.shares = True, {}
    parts = {"history": np.zeros(2)}
    said = reasons(shelf, question, np.array([0, 1]), parts)
    assert not any("nobody is known yet" in text for text in said)


def test_what_is_predicted_of_several_pictures_is_their_mean():
    class Judge:
        target, classes_ = "category", ["a", "b"]

        def predict_proba(self, pictures):
            return np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])[: len(pictures)]

    table = pd.DataFrame({"category": ["a", "b"]}, ["x", "y"])
    shelf = SimpleNamespace(classifier=Judge(), catalog=Catalog(table))
    both = [SimpleNamespace(pictures=[0, 1], ids=[]), SimpleNamespace(pictures=[2], ids=[])]
    assert predicted_values(shelf, both, [b"", b"", b""])[1] == [["a"], ["b"]]


def test_the_bound_counts_what_the_unseen_may_add():
    numbers = np.array([0.9, 0.8, 0.3, 0.2, 0.1, 0.0])
    shelf, rows = SimpleNamespace(index=Counted(numbers)), np.array([0, 1])
    added = np.array([0.2, 0.3, 0.1, 0.0, 0.0, 0.0])
    found = merge_candidates(shelf, asked(history=added), rows, numbers[rows], np.ones(6, bool), 0)
    assert found[2] == pytest.approx(0.8 + 0.2)  # no unseen product has more of either


@pytest.mark.parametrize("n, told", [(3, ""), (2, "products with a score of 0.5 or more: 2")])
def test_too_few_answers_are_explained(both, n, told):
    shelf, mask = both._look(), np.ones(45, bool)
    question = asked()
    assert shortage(shelf, Query(text="red", k=3, min_score=0.5), question, mask, n) == told
    assert shortage(shelf, Query(text="red", k=3), question, mask, n) == ""


def test_pictures_and_words_are_embedded_where_they_are_not_yet(both):
    shelf, query = both._look(), Query(text="red shirt", k=4)
    (alone,) = answer(shelf, query)
    (given,) = answer(shelf, query, embed_query(query, shelf.spaces))
    same(alone, given)
    (other,) = answer(shelf, query, embed_query(Query(text="blue mug"), shelf.spaces))
    assert other.scores.tolist() != alone.scores.tolist()  # what is given is taken


def test_what_one_product_shares_is_a_reason_and_what_two_share_is_not(both):
    shelf, rows = both._look(), np.arange(3, 6)

    def said(ids):
        (question,) = read_questions(shelf, Query(id=ids), shelf.weights, {})
        return reasons(shelf, question, rows, scores(shelf, question, rows))

    shared = shelf.attributes.shared(rows, 0)
    assert any(shared)
    for told, facts in zip(said(["000"]), shared, strict=True):
        assert all(fact in told for fact in facts)
    for told, facts in zip(said(["000", "001"]), shared, strict=True):
        assert not any(fact in told for fact in facts)


def test_a_text_whose_words_only_the_index_of_words_knows_is_known():
    catalog = Catalog(pd.DataFrame({"title": ["red mug", "blue mug", "green lamp"]}))
    made = Recommender({"words": SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",))})
    shelf, silent = made.fit(catalog)._look(), {"text": np.zeros((2, 3))}
    assert unknown_words(shelf, Query(text=["lamp", "mug"]), silent) == ""
    told = unknown_words(shelf, Query(text=["lamp", "zzzz"]), silent)
    assert told == "no known word in 'zzzz'"


def test_a_product_that_speaks_for_another_is_named_and_else_the_nearest(both):
    shelf, query, rows = both._look(), Query(user="u1"), np.arange(45)
    question = read_question(shelf, query, query.positions()[0])
    liked = question.profiles[0][0].liked.index
    speaks = because_of(shelf.profiles.model, liked, shelf.names[rows].tolist())
    assert None in speaks and any(speaks)
    for i, told in zip(speaks, like_what(shelf, question, rows), strict=True):
        assert told.startswith("like " if i is None else f"because of {i}, which the user ")


def test_as_many_matches_as_were_asked_for_are_enough(both):
    shelf, where = both._look(), {"category": ["b", "bb"]}
    n = int((TABLE["category"] == "b").sum())
    assert allowed_products(shelf, Query(text="red", k=n, where=where))[1] == ""
    assert "bb" in allowed_products(shelf, Query(text="red", k=n + 1, where=where))[1]
    query = Query(text="red", k=45, where={"category": "b"}, min_score=0.5)
    told = shortage(shelf, query, asked(), np.ones(45, bool), 40)
    assert told == "products with a score of 0.5 or more: 40"


def test_what_a_shortage_counts(both):
    shelf, mask = both._look(), np.ones(45, bool)
    mask[40:] = False
    question = asked(hidden=[0, 1, 2])
    question.ids = ["000"]  # a product is no answer to itself, which is nobody's doing
    wish = Query(id="000", k=45, where={"category": "b"})
    told = shortage(shelf, wish, question, mask, 37)
    filtered = "products that match the filter: 40"
    assert told == f"{filtered}; left out, since the user had or disliked them: 2"
    assert shortage(shelf, Query(id="000", k=40), question, mask, 37) == told.split("; ")[1]
    assert not shortage(shelf, wish, asked(), mask & False, 0)
