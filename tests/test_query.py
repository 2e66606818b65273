"""A query: its arguments are checked where it is made, and nowhere later."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from builders import SIZE, history, picture, shop

from prodrec.data.catalog import Catalog
from prodrec.recommend.collaborative import ItemKNN
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.history import History
from prodrec.recommend.query import (
    Query,
    as_list,
    asked_words,
    check_crop,
    crop_picture,
    embed_query,
    mean_words,
    pass_over_unknown,
    query_pictures,
    read_question,
    read_questions,
)
from prodrec.recommend.ranking import NEAR_DUPLICATE
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.sparse import SearchEmbedder
from prodrec.stats import unit_rows


@pytest.fixture(scope="module")
def both():
    made = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder(), collaborative=ItemKNN())
    return made.fit(shop(45), history())


def test_items_become_lists():
    query = Query(id="000", image=picture(1), text=("a", "b"), user=7)
    assert query.items == {"id": ["000"], "image": [picture(1)], "text": ["a", "b"], "user": ["7"]}
    assert as_list(None) == [] and as_list({"a"}) == ["a"] and as_list(np.zeros(2)).__len__() == 1
    assert Query(text="a", collapse=True).collapse == NEAR_DUPLICATE
    assert Query(text="a", collapse=0.9).collapse == 0.9 and Query(text="a").collapse == 0
    assert (
        Query(text="a", k=np.int64(3), diversity=0.1).want == 100
        and Query(k=30, text="a").want == 30
    )


@pytest.mark.parametrize(
    "wrong, told",
    [
        (
            {},
            "the query is empty: give `id`, `image` or `text`, or `user`, `session` or `positive`",
        ),
        ({"negative": "000"}, "the query is empty"),
        ({"text": ["red", " "]}, "`text` is empty"),
        ({"text": "a", "k": 0}, "`k` must be a positive integer, received 0"),
        ({"text": "a", "k": "000"}, "a product is asked for by `id=`"),
        ({"text": "a", "min_score": 1.5}, "`min_score` must be between -1 and 1"),
        ({"text": "a", "diversity": -0.1}, "`diversity` must lie between 0 and 1"),
        ({"text": "a", "collapse": 2}, "`collapse` must be True, False or a cosine"),
        ({"text": "a", "crop": (0, 0, 1, 1)}, "`crop` is a part of a picture: give `image` too"),
        ({"image": b"", "crop": (0, 0, 1)}, r"`crop` must be \(left, top, right, bottom\)"),
        ({"image": b"", "crop": (0.6, 0, 0.5, 1)}, "left < right"),
        ({"image": b"", "crop": (0, 0, 1, 1.1)}, "fractions from 0 to 1"),
        ({"image": b"", "crop": "left"}, "received 'left'"),
    ],
    ids=str,
)
def test_what_is_refused_and_in_which_words(wrong, told):
    with pytest.raises(ValueError, match=told):
        Query(**wrong)


def test_lists_are_one_question_or_many():
    query = Query(id=["a", "b"], text="red")
    assert query.positions() == [{"id": [0, 1], "text": [0]}]
    assert Query(id=["a", "b"], text="red", each=True).positions() == [
        {"id": [0], "text": [0]},
        {"id": [1], "text": [0]},
    ]
    assert Query(positive="a", each=True).positions() == [{}]
    with pytest.raises(ValueError, match="must be equally long, received {'text': 3} beside 4"):
        Query(id=list("abcd"), text=list("abc"), each=True).positions()


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0.2, 0.1, 0.7, 0.9), (0.99, 0.99, 1, 1), (0, 0, 1e-9, 1e-9)]
)
def test_a_crop_is_a_part_of_the_picture(box):
    pixels = np.arange(40 * 30 * 3, dtype=np.uint32).reshape(40, 30, 3)
    part = crop_picture(pixels, box)
    assert part.size and np.isin(part, pixels).all()
    left, top, right, bottom = check_crop(box)
    assert (
        abs(part.shape[0] - 40 * (bottom - top)) <= 1
        and abs(part.shape[1] - 30 * (right - left)) <= 1
    )


def test_a_recommender_looks_at_the_part_alone(both):
    left, right = np.full((16, 6, 3), 90, np.uint8), np.zeros((16, 6, 3), np.uint8)
    photo = np.hstack([left, right])
    whole = both.recommend(5, image=photo)
    for box, half in (((0, 0, 0.5, 1), left), ((0.5, 0, 1, 1), right)):
        hits = both.recommend(5, image=photo, crop=box)
        np.testing.assert_allclose(hits.scores, both.recommend(5, image=half).scores, atol=1e-6)
    assert whole.scores[0] != pytest.approx(hits.scores[0])
    assert query_pictures(Query(image=photo, crop=(0, 0, 0.5, 1)))[0].shape == (16, 6, 3)


def test_a_question_says_what_it_is_made_of(both):
    shelf = both._look()
    query = Query(id=["000", "001"], text="red shirt", user="u0", each=True)
    questions = read_questions(shelf, query, shelf.weights, embed_query(query, shelf.spaces))
    assert [q.ids for q in questions] == [["000"], ["001"]]
    for question in questions:
        assert sum(question.shares.values()) == pytest.approx(0.5)  # history has the other half
        assert question.history.max() <= 0.5 and len(question.profiles) == 1
        rows = shelf.rows(
            [*question.ids, *question.profiles[0][0].had, *question.profiles[0][0].disliked]
        )
        assert set(question.hidden) == set(rows)
    alone = Query(user="u0")
    question = read_questions(shelf, alone, shelf.weights, {})[0]
    assert question.of_user_alone and {*shelf.rows(question.liked.index)} <= {*question.hidden}


def test_unknown_products_are_named(both):
    query, note = pass_over_unknown(Query(id=["000", "x"], negative="y"), both.catalog)
    assert query.id == ["000"] and query.negative == [] and note.endswith("x, y")
    same, note = pass_over_unknown(Query(id="000"), both.catalog)
    assert same.id == ["000"] and note == ""
    with pytest.raises(KeyError, match="'x'"):
        pass_over_unknown(Query(positive="x"), both.catalog)
    with pytest.raises(KeyError, match="'x'"):
        pass_over_unknown(Query(id=["000", "x"], text="a", each=True), both.catalog)


def asked(shelf, **options) -> np.ndarray:
    query = Query(**options)
    found = read_questions(shelf, query, shelf.weights, embed_query(query, shelf.spaces))[0]
    return unit_rows(found.vector[None])[0]


def test_examples_draw_a_question_towards_them_or_push_it_away(both):
    shelf = both._look()
    example = unit_rows(shelf.vectors(["008"]))[0]
    alone = asked(shelf, id="000") @ example
    assert asked(shelf, id="000", positive="008") @ example > alone + 0.05
    assert asked(shelf, id="000", negative="008") @ example < alone - 0.01
    text = asked(shelf, text="red shirt") @ example
    assert asked(shelf, text="red shirt", negative="008") @ example < text


def test_a_product_that_a_user_dislikes_pushes_the_question_away():
    events = pd.DataFrame({"user": "u", "id": ["000", "008"], "event": ["like", "dislike"]})
    fans = pd.DataFrame({"user": "v", "id": ["000"], "event": ["like"]})
    made = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(
        shop(45), History(pd.concat([events, fans]))
    )
    shelf = made._look()
    shelf.profiles.model = None  # the vectors alone
    hated = unit_rows(shelf.vectors(["008"]))[0]
    own, other = asked(shelf, user="u", text="red"), asked(shelf, user="v", text="red")
    assert own @ hated < other @ hated - 0.01


def test_examples_add_and_take_away_words():
    catalog = Catalog(pd.DataFrame({"title": ["red mug", "blue mug", "red lamp", "green lamp"]}))
    made = Recommender({"words": SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",))})
    shelf = made.fit(catalog)._look()
    (index,) = shelf.words.values()
    ids = catalog.ids

    def weights(**options) -> dict[str, float]:
        query = Query(**options)
        question = read_question(shelf, query, query.positions()[0])
        row = asked_words(shelf, query, question)["words"].toarray()[0]
        return dict(zip(index.columns, row.tolist(), strict=True))

    alone = weights(id=ids[0])
    nearer, farther = (weights(id=ids[0], **{way: ids[2]}) for way in ("positive", "negative"))
    assert alone["lamp"] == 0 and alone["mug"] > 0
    assert nearer["lamp"] > 0 > farther["lamp"]
    assert nearer["mug"] == pytest.approx(0.75 * nearer["lamp"] / 0.75**2, rel=0.5)
    assert abs(farther["lamp"]) < nearer["lamp"]


def test_mean_words_by_hand():
    rows = sp.csr_matrix([[1.0, 0, 3], [0, 0, 0], [0, 2, 1]])
    np.testing.assert_allclose(mean_words(rows).toarray(), [[0.5, 1, 2]])
    weighed = mean_words(rows, np.array([3, 9, 1]))
    np.testing.assert_allclose(weighed.toarray(), [[0.75, 0.5, 2.5]])
    assert mean_words(rows[1]).nnz == 0


def test_the_ends_of_each_range_are_allowed():
    for options in ({"k": 1}, {"min_score": -1}, {"min_score": 1}, {"diversity": 1},
                    {"diversity": 0}, {"collapse": 1}, {"collapse": 0.0}):  # fmt: skip
        Query(text="a", **options)
    assert Query(text="a", diversity=0.1, k=10).want == 100
    assert Query(text="a", diversity=0.1, k=11).want == 110
    assert Query(text="a", diversity=0.1, k=1).want == 100


def test_sessions_are_read_in_order_and_answered_as_baskets(both):
    shelf = both._look()
    ids = both.catalog.ids
    query = Query(session=[ids[0], "sold out", ids[1]])
    kept, note = pass_over_unknown(query, both.catalog)
    assert kept.session == [[ids[0], ids[1]]] and "sold out" in note
    found = read_question(shelf, kept, {"session": [0]})
    assert found.liked.index.tolist() == ids[:2] and found.of_user_alone
    assert set(shelf.rows(ids[:2])) == set(found.hidden)
    with pytest.raises(TypeError, match="`session` must be a list of ids"):
        Query(session="000")
    with pytest.raises(ValueError, match="`session` or `positive`"):
        Query(session=[])
