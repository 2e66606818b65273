"""What must not happen: too few under a filter, scores that are none, the query among its answers,
an unknown name that stops everything.
"""

import numpy as np
import pandas as pd
import pytest
from builders import SIZE, TABLE, filters, history, picture, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodrec import Catalog, Complements, History, ImageClassifier
from prodrec.apps.browser import Browser
from prodrec.recommend.collaborative import ItemKNN, Popularity
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder, TfidfEmbedder
from prodrec.recommend.filters import where_mask, where_note
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.reduction import PCAEmbedder

quick = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = [f"{i:03d}" for i in range(45)]


def blank(n):
    """Products of which the last has no picture, no words, and the one before it a picture that
    cannot be read.
    """
    frame = shop(n).products
    frame["title"] = [f"shirt {i}" for i in range(n - 1)] + [None]
    frame["image"] = [picture(i) for i in range(n - 2)] + [b"no picture", None]
    return Catalog(frame)


@pytest.fixture(scope="module")
def both():
    made = Recommender(
        image=ColorHistogram(SIZE), text=TfidfEmbedder(), collaborative=ItemKNN("cosine")
    )
    return made.fit(shop(45), history())


def check_scores(hits):
    assert np.isfinite(hits.scores).all() and (np.abs(hits.scores) <= 1).all()
    table = hits.to_frame()
    assert (
        table["reason"].all()
        and table.select_dtypes("number").notna().all().all()
        or "price" in table
    )


# -- as many as match


@pytest.fixture(scope="module")
def graph():
    "A recommender that searches through a graph."
    made = Recommender(
        image=ColorHistogram(SIZE),
        text=TfidfEmbedder(),
        collaborative=ItemKNN("cosine"),
        index=FaissIndex(approximate=True),
    )
    many = [shop(45).products, *(shop(45, 100 * n).products for n in range(1, 6))]
    made.fit(Catalog(pd.concat(many)), history())
    assert not made.index.exact
    return made


@quick
@given(
    filters,
    st.integers(1, 300),
    st.sampled_from(
        [{"id": "001"}, {"id": ["001", "101"], "user": "u1"}, {"text": "red shirt"}, {"user": "u2"}]
    ),
    st.sampled_from([{}, {"diversity": 0.5}, {"within": "new"}, {"collapse": True}]),
)
def test_under_any_filter_a_graph_gives_as_many_as_match(graph, where, k, query, wish):
    if "within" in wish and "id" not in query:
        return
    hits = graph.recommend(k, where=where, **query, **wish)
    mask, hidden = where_mask(graph.catalog.products, where), set(np.ravel(query.get("id", [])))
    if "within" in wish:
        mask &= (
            graph.catalog.products["new"]
            .isin(graph.catalog.products["new"][list(hidden)])
            .to_numpy()
        )
    if "user" in query:
        taste = graph.profiles.profile(query["user"])[0]
        hidden |= {*taste.had, *taste.disliked} | (
            set(taste.liked.index) if query == {"user": query["user"]} else set()
        )
    allowed = set(graph.catalog.products.index[mask]) - hidden
    assert len(set(hits.ids)) == len(hits) and set(hits.ids) <= allowed
    named = {i for several in hits.duplicates for i in several}
    assert len(hits) == min(k, len(allowed)) or (
        "collapse" in wish and {*hits.ids} | named == allowed
    )
    check_scores(hits)


@pytest.mark.parametrize("share", [0.5, 0.11, 0.09, 0.01])
def test_narrow_filters_over_what_was_replaced_and_removed(share):
    """The graph holds leftovers of removed products; none of them takes the place of one that
    matches.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 8)).astype(np.float32)
    index = FaissIndex(approximate=True).add(x)
    index.remove(np.arange(150)).replace(np.arange(50, 90), x[:40])
    where = rng.random(650) < share
    for k in (1, 7, 500):
        found, scores = index.search(x[:25], k, where)
        assert found.shape == (25, min(k, where.sum())) and np.isfinite(scores).all()
        assert where[found].all() and all(len({*row}) == len(row) for row in found)


def test_a_value_that_no_product_has_is_said(both):
    hits = both.recommend(3, id="000", where={"category": ["a", "bb"], "price": (900, None)})
    assert len(hits) == 0 and "no product has 'bb' in category: the nearest is 'b'" in hits.note
    assert "no product lies within (900, None) in price" in hits.note and hits.note in repr(hits)
    assert "no product has &#x27;bb&#x27;" in hits._repr_html_()
    assert "<b>" not in both.recommend(3, id="000", where={"category": "<b>"})._repr_html_()
    assert (
        both.recommend(3, id="000", where={"category": "a"}).note
        == both.recommend(3, id="000").note
        == ""
    )
    assert all(
        h.note
        for h in both.recommend(3, id=["000", "001"], where=lambda t: t["price"] > 900, each=True)
    )


@quick
@given(filters)
def test_a_note_is_true(where):
    note, mask = where_note(TABLE, where), where_mask(TABLE, where)
    assert note or mask.any()
    for column, wanted in where.items():
        alone = where_mask(TABLE, {column: wanted}).any()
        assert alone or column in note or wanted in ([], set())
    if not note:
        assert all(
            where_mask(TABLE, {c: [v]}).any()
            for c, w in where.items()
            if isinstance(w, list)
            for v in w
        )


# -- scores


@pytest.mark.parametrize("keep", ["float32", "float16"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_are_cosines_whatever_the_vectors_are_kept_in(keep, precision):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((16, 12, 3), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
    ]
    network = keras.Sequential([*layers, keras.layers.Dense(24, activation="relu")])
    eyes = ImageEmbedder(network, precision=precision, keep=keep)
    recommender = Recommender(image=eyes, text=TfidfEmbedder()).fit(blank(30))
    ids = recommender.catalog.ids
    lengths = np.linalg.norm(recommender.index.take()[:, : eyes.dim], axis=1)
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all() and not lengths[-2:].any()
    for query in (
        {"id": ids[0]},
        {"id": [ids[0], ids[-1]]},
        {"image": picture(0)},
        {"id": ids[-2]},
        {"positive": ids[3]},
    ):
        hits = recommender.recommend(99, **query)
        check_scores(hits)
        assert len(hits) == 30 - len(np.ravel(query.get("id", query.get("positive", []))))
    matrix = recommender.similarity_matrix()
    assert np.isfinite(matrix.to_numpy()).all() and np.abs(matrix.to_numpy()).max() <= 1
    assert not matrix.loc[ids[-1]].any() and not matrix[ids[-1]].any()
    _, scores = recommender.neighbours(ids[:-1], 5)
    assert np.isfinite(scores).all() and np.abs(scores).max() <= 1


def test_a_network_that_is_blind_says_so():
    "All zeros for every picture: nothing to compare by, rather than scores that are none."
    keras = pytest.importorskip("keras")
    layers = [
        keras.Input((16, 12, 3), dtype="uint8"),
        keras.layers.Rescaling(0.0),
        keras.layers.Flatten(),
    ]
    blind = ImageEmbedder(keras.Sequential([*layers, keras.layers.Dense(4, use_bias=False)]))
    recommender = Recommender(image=blind).fit(blank(6))
    assert not recommender.index.take().any()
    for query in ({"id": "000"}, {"image": picture(1)}, {"positive": "001"}):
        with pytest.raises(ValueError, match="says nothing"):
            recommender.recommend(**query)
    check_scores(recommender.recommend(3, user="anybody"))
    words = Recommender(image=blind, text=TfidfEmbedder()).fit(blank(6))
    check_scores(words.recommend(5, id="000", diversity=0.5, collapse=True))
    check_scores(words.recommend(5, id="000", positive="001", negative="002"))


def test_rounding_never_makes_a_score_above_one():
    "Vectors in many directions that are not quite of length 1, and the same product many times."
    frame = shop(40).products.assign(
        title=[f"shirt {i // 20} red blue green" for i in range(40)], image=picture(3)
    )
    recommender = Recommender(image=PCAEmbedder(ColorHistogram(SIZE), 3), text=TfidfEmbedder())
    with pytest.raises(ValueError, match="varies|no direction|fewer|empty|0"):
        recommender.fit(Catalog(frame)).recommend(5, id="000", weights={"image": 1.0})
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(Catalog(frame))
    for weights in (
        None,
        {"image": 0.3, "text": 0.1},
        {"image": 1e-3, "text": 77.7},
        {"text": 1.0},
    ):
        hits = recommender.recommend(39, id="000", weights=weights)
        check_scores(hits)
        assert hits.scores[0] == pytest.approx(1, abs=1e-5)
        several = recommender.recommend(
            9, id="000", text="shirt 0 red blue green", image=picture(3), weights=weights
        )
        check_scores(several)
    assert np.abs(recommender.neighbours()[1]).max() <= 1


# -- the query is no answer


users = st.sampled_from(["u0", "u1", "stranger"])
seen = st.sampled_from([i for i in IDS if i not in ("003", "038")])


@quick
@given(
    st.lists(seen, min_size=1, max_size=4, unique=True),
    st.lists(seen, max_size=2),
    st.lists(seen, max_size=2),
    st.none() | users,
    st.sampled_from(
        [
            {},
            {"collapse": 0.7},
            {"collapse": True, "diversity": 0.9},
            {"diversity": 1.0},
            {"exclude": "004"},
        ]
    ),
    st.booleans(),
)
def test_no_product_of_the_query_is_an_answer(both, ids, more, less, user, wish, each):
    query = {"id": ids, "positive": more, "negative": less} | (
        {} if user is None else {"user": user}
    )
    try:
        found = both.recommend(60, **query, **wish, each=each)
    except ValueError as e:
        assert "says nothing" in str(e)
        return
    for n, hits in enumerate(found if each else [found]):
        asked = {ids[n]} if each else set(ids)
        named = {i for several in hits.duplicates for i in several}
        assert not ({*hits.ids} | named) & (asked | {*more, *less, wish.get("exclude")})
        check_scores(hits)


# -- who and what is not known


def test_unknown_names_stop_nothing(both):
    plain = both.recommend(5, id="000")
    hits = both.recommend(
        5,
        id=["000", "sold out"],
        positive="gone",
        negative=["gone"],
        exclude=["never was"],
        user="stranger",
    )
    note = "passed over 2 of 3 products, not in the catalogue: sold out, gone"
    assert hits.ids == plain.ids and hits.note == note
    assert (
        both.recommend(5, id="sold out", text="red shirt").ids
        == both.recommend(5, text="red shirt").ids
    )
    assert both.recommend(3, id="sold out", user="u1").ids == both.recommend(3, user="u1").ids
    assert len(both.recommend(3, id="sold out", user="stranger")) == 3
    with pytest.raises(KeyError, match="'sold out'"):  # nothing is left of the question
        both.recommend(5, id="sold out")


def test_what_users_like_of_products_unknown_and_known_counts(tmp_path):
    made = Recommender(
        image=ColorHistogram(SIZE), text=TfidfEmbedder(), collaborative=ItemKNN("cosine")
    )
    made.fit(shop(45), history()).attach(f"sqlite:///{tmp_path / 'f.sqlite'}")
    for id in ("004", "006"):
        made.feedback("eve", id, "like")
    made.feedback("eve", "008", "purchase").feedback("eve", "010", "dislike")
    made.remove("006")
    for query, gone in (
        ({}, {"004", "008", "010"}),
        ({"text": "red"}, {"008", "010"}),
        ({"id": "012"}, {"008", "010", "012"}),
    ):
        for share in (0.1, 0.9, 1.0):
            hits = made.recommend(
                99, user="eve", **query, weights=made.weights | {"history": share}
            )
            assert set(hits.ids) == set(made.catalog.ids) - gone
            check_scores(hits)


def test_the_weights_of_a_history_count_at_the_first_fit():
    rows = [
        ("a", "000", "view"),
        ("a", "001", "purchase"),
        ("b", "000", "view"),
        ("b", "002", "purchase"),
    ]
    events = pd.DataFrame(rows, columns=["user", "id", "event"])
    made = Recommender(text=TfidfEmbedder(), collaborative=Popularity())
    made.fit(shop(9), History(events, {"view": 0.0}))
    assert made.profiles.model.popularity()["000"] == 0
    assert made.recommend(9, user="stranger").to_frame().set_index("id")["score"]["000"] == 0


# -- what goes together


def outfits():
    "Even products are bought with those that follow them; nobody looks at anything."
    rng, rows = np.random.default_rng(0), []
    for u in range(120):
        first = 2 * int(rng.integers(15))
        rows += [(f"p{u}", f"{first:03d}", pd.Timestamp("2024-01-01") + pd.Timedelta(days=u))]
        rows += [(f"p{u}", f"{first + 1:03d}", rows[-1][2] + pd.Timedelta(hours=1))]
    return History(pd.DataFrame(rows, columns=["user", "id", "time"]))


def dressed():
    catalog = shop(45)
    catalog = Catalog(
        catalog.products.assign(
            category=["shirt" if int(i) % 2 == 0 else "shoe" for i in catalog.ids]
        )
    )
    made = Recommender(
        image=ColorHistogram(SIZE), text=TfidfEmbedder(), complements=Complements(rank=4)
    )
    return made.fit(catalog, outfits())


def test_what_goes_with_a_product(tmp_path):
    made = dressed()
    hits = made.complementary("004", 5)
    assert (
        hits.ids[0] == "005"
        and set(hits.to_frame()["relation"]) == {"complement"}
        and len(hits) == 5
    )
    assert (made.catalog.products.loc[hits.ids, "category"] == "shoe").all()
    instead = made.complementary("004", 50, relation="substitute")
    assert (
        made.catalog.products.loc[instead.ids, "category"] == "shirt"
    ).all() and "004" not in instead.ids
    cheap = made.complementary("004", 50, where={"price": (None, 8)})
    shoes = made.catalog.products.query("category == 'shoe' and price <= 8").index
    assert (
        set(cheap.ids) == set(shoes) and made.complementary("004", where={"category": "sock"}).note
    )
    strange = made.complementary("unheard of", 3)
    assert (
        len(strange) == 3
        and "'unheard of' is not known" in strange.note
        and {*strange.to_frame()["relation"]} == {""}
    )
    made.save(tmp_path / "r")
    again = Recommender.load(tmp_path / "r")
    assert (
        again.complementary("004", 5).ids == hits.ids
        and again.complementary("004").figure() is not None
    )


def test_what_goes_together_keeps_in_step_with_the_catalogue():
    made = dressed()
    before = made.complementary("004", 5)
    made.remove(before.ids[0])
    assert made.complementary("004", 4).ids == before.ids[1:]
    cold = Catalog(made.catalog[[before.ids[1]]].products.set_axis(["cold"], axis=0))
    made.add(cold)
    assert "cold" in made.complementary("004", 60).ids
    assert (
        made.catalog.products.loc[
            made.complementary("cold", 60, relation="substitute").ids, "category"
        ]
        == "shoe"
    ).all()
    lamp = Catalog(made.catalog[[before.ids[2]]].products.assign(category="lamp"))
    made.update(lamp)
    assert before.ids[2] not in made.complementary("004", 60).ids
    assert made.complements.catalog is made.catalog


def test_without_complements_or_a_history_it_is_said(both):
    with pytest.raises(ValueError, match="give `complements` when it is made"):
        both.complementary("000")
    with pytest.raises(
        TypeError,
        match="`history` must be a History of what was bought together, received NoneType",
    ):
        Recommender(text=TfidfEmbedder(), complements=Complements()).fit(shop(9))


def test_the_browser_shows_what_goes_together_and_asks_once(monkeypatch):
    made, calls, real = dressed(), [], Complements.recommend
    monkeypatch.setattr(
        Complements, "recommend", lambda *a, **k: calls.append(a[1]) or real(*a, **k)
    )
    browser = Browser(made, id="004", k=4)
    assert [one["name"] for one in browser._view["lists"]] == [
        "Like it",
        "Goes with it",
    ] and calls == ["004"]
    browser.select(["001"])
    browser.select([])
    assert calls == ["004"]
    browser.steer(k=5)
    assert calls == ["004", "004"]
    assert [c["id"] for c in browser._view["lists"][1]["cards"]] == made.complementary("004", 5).ids
    browser.steer(where={"category": "sock"})
    assert "No product has 'sock'" in browser._view["lists"][0]["note"]


def test_of_every_product_there_is_something_true_to_say():
    made = dressed()
    lone = Catalog(
        made.catalog[["003"]]
        .products.assign(category=None, title=None, image=None)
        .set_axis(["lone"], axis=0)
    )
    made.add(lone)
    for i in made.catalog.ids:
        for relation in ("complement", "substitute"):
            hits = made.complementary(i, 60, relation=relation)
            assert (
                i not in hits.ids
                and np.isfinite(hits.scores).all()
                and {*hits.to_frame()["relation"]} <= {relation}
            )
            assert all(made.complements.relation(i, j) == relation for j in hits.ids)


def test_one_network_is_saved_once(tmp_path):
    keras = pytest.importorskip("keras")

    def tiny(size, classes):
        inputs = keras.Input((*size, 3), dtype="uint8")
        x = keras.layers.Dense(6)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs)))
        return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))

    catalog = Catalog(
        blank(20)[[f"{i:03d}" for i in range(18)]].products.assign(category=["a", "b"] * 9)
    )
    eyes = ImageClassifier(tiny, (16, 12)).fit(catalog, epochs=1)
    made = Recommender(image=eyes, text=TfidfEmbedder()).fit(catalog)
    made.save(tmp_path / "r")
    assert sorted(p.name for p in (tmp_path / "r").iterdir() if p.is_dir()) == [
        "catalog", "classifier", "index", "people", "text",
    ]  # fmt: skip
    again = Recommender.load(tmp_path / "r")
    for query in (
        {"image": picture(3)},
        {"image": picture(3), "within": "predicted"},
        {"id": "004"},
    ):
        np.testing.assert_allclose(
            again.recommend(9, **query).scores, made.recommend(9, **query).scores, atol=1e-5
        )
    again.save(tmp_path / "r")
    assert (
        Recommender.load(tmp_path / "r").recommend(3, id="004").ids
        == made.recommend(3, id="004").ids
    )
