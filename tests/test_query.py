"""A query: its arguments are checked where it is made, and nowhere later."""

from types import SimpleNamespace

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
    Question,
    Shelf,
    as_list,
    asked_words,
    check_crop,
    crop_picture,
    direction,
    embed_query,
    mean_words,
    pass_over_unknown,
    query_pictures,
    query_words,
    read_question,
    read_questions,
    unknown_note,
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
        Query(text="a", k=np.int64(3), diversity=0.1).want == 256
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
    for others in ({"text": "red"}, {"image": picture(1)}, {"user": "u0"}, {"positive": "001"}):
        query, note = pass_over_unknown(Query(id="x", **others), both.catalog)
        assert query.id == [] and note.endswith("not in the catalogue: x")
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
    assert [Query(text="a", diversity=0.1, k=k).want for k in (1, 200, 201)] == [256, 256, 402]


# -- by hand


@pytest.mark.parametrize(
    "box",
    [(0.5, 0, 0.5, 1), (0, 0.5, 1, 0.5), (-0.1, 0, 1, 1), (0, -0.1, 1, 1), (0, 0, 1.1, 1),
     (0, 0.6, 1, 0.5)],
)  # fmt: skip
def test_boxes_that_enclose_nothing(box):
    with pytest.raises(ValueError, match="`crop` must be"):
        check_crop(box)


def test_the_pixels_of_a_crop():
    pixels = np.arange(10 * 20).reshape(10, 20)
    assert np.array_equal(crop_picture(pixels, (0.25, 0.5, 0.5, 0.75)), pixels[5:8, 5:10])
    assert np.array_equal(crop_picture(pixels, (0, 0, 1, 1)), pixels)
    tiny = crop_picture(pixels, (0.999, 0.999, 1, 1))
    assert tiny.tolist() == [[pixels[9, 19]]]
    thin = crop_picture(pixels, (0.5, 0.5, 0.5 + 1e-9, 0.5 + 1e-9))
    assert thin.tolist() == [[pixels[5, 10]]]


@pytest.mark.parametrize(
    "wrong",
    [{"min_score": 1.01}, {"min_score": -1.01}, {"diversity": 1.01}, {"collapse": 1.01},
     {"collapse": -0.01}, {"k": -1}, {"k": 1.0}],
    ids=str,
)  # fmt: skip
def test_numbers_past_the_ends_of_their_range(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must"):
        Query(text="a", **wrong)


def test_what_a_query_is_where_nothing_is_said():
    query = Query(text="a")
    assert (query.k, query.diversity, query.collapse, query.want) == (5, 0.0, 0.0, 5)
    assert not query.each and query.min_score is None and query.where is None
    assert Query(positive="a").items == {} and Query(positive="a").positive == ["a"]
    assert Query(id="x", user="u", each=True).positions() == [{"id": [0], "user": [0]}]
    both = Query(id=["a", "b"], user=["u", "v"], text="t").positions()
    assert both == [{"id": [0, 1], "text": [0], "user": [0, 1]}]


def test_pictures_are_read_only_where_they_are_looked_at_twice():
    data = picture(1)
    assert query_pictures(Query(image=data)) == [data]
    assert query_pictures(Query(image=data, within="category")) == [data]
    (read,) = query_pictures(Query(image=data, within="predicted"))
    assert read.shape == (16, 12, 3)
    (part,) = query_pictures(Query(image=data, within="predicted", crop=(0, 0, 1, 0.5)))
    assert part.shape == (8, 12, 3)


def shelf_of(n: int, columns=("title", "kind")) -> Shelf:
    table = pd.DataFrame({c: [f"{c} {i % 3}" for i in range(n)] for c in columns})
    made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(Catalog(table))
    return made._look()


def test_columns_are_looked_at_again_when_the_table_doubles_or_changes():
    before = shelf_of(16)
    assert before.attributes.columns == ["kind"]
    before.attributes.columns = ["title"]  # to see whether it is taken over
    for n, kept in ((31, True), (32, False), (9, True), (8, False)):
        after = shelf_of(n).like(before)
        assert after.attributes.columns == (["title"] if kept else ["kind"]), n
    wider = shelf_of(16, ("title", "kind", "brand")).like(before)
    assert wider.attributes.columns == ["kind", "brand"]
    assert shelf_of(16).like(shelf_of(16)).attributes.columns == ["kind"]  # which knew nothing
    grandchild = shelf_of(16).like(shelf_of(16).like(before))  # it never looked itself
    assert grandchild.attributes.columns == ["title"]


def test_what_users_and_words_add_is_added_up():
    question = Question([], [], [], [], False)
    assert question.added is None and question.liked.empty
    question.words = {"a": np.array([1.0, 2.0]), "b": np.array([0.5, 0.0])}
    assert question.added.tolist() == [1.5, 2.0]
    question.history = np.array([10.0, 20.0])
    assert question.added.tolist() == [11.5, 22.0]
    question.words = {}
    assert question.added.tolist() == [10.0, 20.0]


def test_several_users_count_alike_and_what_they_had_is_hidden(both):
    shelf = both._look()

    def read(**options):
        query = Query(**options)
        return read_question(shelf, query, query.positions()[0])

    one, two, together = read(user="u0"), read(user="u3"), read(user=["u0", "u3"])
    np.testing.assert_allclose(together.history, (one.history + two.history) / 2, rtol=1e-5)
    assert set(together.hidden) == set(one.hidden) | set(two.hidden) and len(one.hidden)
    profile = shelf.profiles.profile("u0")[0]
    gone = [*profile.had, *profile.disliked]
    assert "001" in profile.disliked
    assert one.of_user_alone and not read(user="u0", text="red").of_user_alone
    assert set(one.hidden) == set(shelf.rows([*gone, *one.liked.index]))
    with_words = read(user="u0", text="red", id="044")
    assert set(with_words.hidden) == set(shelf.rows([*gone, "044"]))
    assert read(text="red").history is None and not len(read(text="red").hidden)


def spaces_question(shelf, **options):
    query = Query(**options)
    return read_question(shelf, query, query.positions()[0])


def test_the_direction_of_a_question_by_hand(both):
    shelf = both._look()
    items, near, far = (shelf.vectors(ids) for ids in (["000", "001"], ["002"], ["004"]))
    question = spaces_question(shelf, id=["000", "001"])
    found = direction(shelf, question, items, near, far)
    for part in shelf.parts.values():
        start = items[:, part].mean(0)
        start = start / np.linalg.norm(start)
        moved = start + 0.75 * near[0, part] - 0.15 * far[0, part]
        np.testing.assert_allclose(found[part], moved / np.linalg.norm(moved), atol=1e-6)
    assert not direction(
        shelf, spaces_question(shelf, text="x"), items[:0], near[:0], far[:0]
    ).any()


def test_what_a_user_likes_is_weighed_by_its_worth():
    events = [
        ("u", "000", "view"),
        ("u", "008", "purchase"),
        ("u", "999", "like"),
        ("v", "001", "like"),
    ]
    table = pd.DataFrame(events, columns=["user", "id", "event"])
    made = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(
        shop(45), History(table)
    )
    shelf = made._look()
    question, none = spaces_question(shelf, user="u"), np.zeros((0, shelf.spaces.dim), np.float32)
    liked = question.liked[["000", "008"]]
    assert liked["000"] != liked["008"]
    found = direction(shelf, question, none, none, none)
    mean = np.average(shelf.vectors(["000", "008"]), axis=0, weights=liked.to_numpy())
    for part in shelf.parts.values():
        np.testing.assert_allclose(found[part], unit_rows(mean[None, part])[0], atol=1e-6)


@pytest.fixture(scope="module")
def in_words():
    titles = ["red mug", "blue mug", "red lamp", "green lamp", "old chair"]
    catalog = Catalog(pd.DataFrame({"title": titles}))
    events = pd.DataFrame(
        {"user": ["u", "u"], "id": catalog.ids[:2], "event": ["like", "purchase"]}
    )
    made = Recommender({"words": SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",))})
    return made.fit(catalog, History(events))._look()


def test_the_words_of_a_question_by_hand(in_words):
    (index,) = in_words.words.values()
    rows = index.of_products(np.arange(5)).toarray()

    def said(**options) -> np.ndarray:
        query = Query(**options)
        question = spaces_question(in_words, **options)
        return asked_words(in_words, query, question)["words"].toarray()[0]

    np.testing.assert_allclose(said(id=["0", "4"]), (rows[0] + rows[4]) / 2, atol=1e-6)
    for options, moved in (
        ({"positive": "2"}, 0.75 * rows[2]),
        ({"negative": "2"}, -0.15 * rows[2]),
        ({"positive": ["2", "3"], "negative": "4"}, 0.375 * (rows[2] + rows[3]) - 0.15 * rows[4]),
    ):
        expected = rows[0] + moved
        expected = expected / max(1.0, np.abs(expected).sum())
        np.testing.assert_allclose(said(id="0", **options), expected, atol=1e-6)
    with_words = said(id="0", text="chair")
    assert with_words @ rows[4] > 0 and with_words @ rows[0] > 0


def test_the_words_of_a_user_are_asked_only_where_nothing_else_is(in_words):
    (index,) = in_words.words.values()
    rows = index.of_products(np.arange(5)).toarray()

    def said(history=None, **options) -> np.ndarray:
        query, question = Query(**options), spaces_question(in_words, **options)
        question.history = history
        return asked_words(in_words, query, question)["words"].toarray()[0]

    liked = spaces_question(in_words, user="u").liked
    weights = liked.to_numpy() / liked.sum()
    expected = weights @ rows[[int(i) for i in liked.index]]
    assert len(liked) == 2
    np.testing.assert_allclose(said(user="u"), expected, atol=1e-6)
    assert not said(user="u", history=np.zeros(5)).any()  # choices of users say it already
    assert not said(user="nobody").any()
    np.testing.assert_allclose(said(user="u", id="4"), rows[4], atol=1e-6)


def test_shares_of_a_question(both):
    shelf = both._look()

    def read(**options):
        query = Query(**options)
        return read_questions(shelf, query, shelf.weights, embed_query(query, shelf.spaces))[0]

    text = read(text="red shirt")
    assert sum(text.shares.values()) == pytest.approx(1) and text.shares["image"] == 0
    assert text.history is None and not text.popular
    assert np.linalg.norm(text.vector[shelf.parts["text"]]) == pytest.approx(1, abs=1e-5)
    mixed = read(id="000")
    assert mixed.shares == pytest.approx({"image": 0.7, "text": 0.3})
    for name, part in shelf.parts.items():
        length = np.linalg.norm(mixed.vector[part])
        assert length == pytest.approx(mixed.shares[name], abs=1e-5)
    with_user = read(id="000", user="u0")
    alone = spaces_question(shelf, id="000", user="u0")
    assert with_user.shares == pytest.approx({"image": 0.35, "text": 0.15})
    np.testing.assert_allclose(with_user.history, 0.5 * alone.history, rtol=1e-5)
    stranger = read(user="nobody")
    assert stranger.popular and stranger.history is not None
    assert not read(user="u0").popular
    with pytest.raises(ValueError, match="says nothing that can be compared"):
        read(text="zzzz")


def test_words_that_are_known_only_by_themselves_are_no_silence(in_words):
    def read(**options):
        query = Query(**options)
        made = embed_query(query, in_words.spaces)
        return read_questions(in_words, query, in_words.weights, made)[0]

    question = read(text="chair")
    (share,) = question.shares.values()
    (index,) = in_words.words.values()
    exact = in_words.spaces.word_shares["words"]
    scores = index.scores(index.of_texts(["chair"]))[0]
    assert share == 1 and 0 < exact <= 1
    np.testing.assert_allclose(question.words["words"], exact * scores, rtol=1e-5)
    assert int(np.argmax(question.added)) == 4 and not question.popular


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


def test_a_question_with_pictures_tells_their_number(both):
    pictures = [picture(1), picture(2)]
    assert "image=2 pictures" in query_words(Query(image=pictures))
    assert "image=1 picture" in query_words(Query(image=pictures[:1]))


def test_a_shelf_keeps_the_profiles_that_it_is_given(both):
    shelf = both._look()
    own = Shelf(shelf.catalog, shelf.index, shelf.spaces, shelf.profiles)
    assert own.profiles is shelf.profiles
    assert Shelf(shelf.catalog, shelf.index, shelf.spaces).profiles is not shelf.profiles


def test_five_unknown_names_are_told():
    names = list("abcdef")
    assert unknown_note(names[:5], 9).endswith(": a, b, c, d, e")
    assert unknown_note(names, 9).endswith(": a, b, c, d, e, …")


def test_words_that_nobody_knows_say_nothing(in_words):
    query = Query(text="zzzz")
    with pytest.raises(ValueError, match="says nothing"):
        read_questions(in_words, query, in_words.weights, embed_query(query, in_words.spaces))


def test_a_question_in_words():
    mask = np.ones(3, bool)
    asked = Query(image=["a.jpg", "b.jpg"], text="red mug", where=mask, k=5)
    told = {"image=2 pictures", "text='red mug'", "k=5", "where=a mask or a function"}
    assert set(query_words(asked)) == told
    plain = Query(id="1", where={"colour": "red"})
    assert set(query_words(plain)) == {"id='1'", f"k={plain.k}", "where={'colour': 'red'}"}
    (long,) = [w for w in query_words(Query(text="x" * 90)) if w.startswith("text")]
    assert long == "text='" + "x" * 68 + "…"
    assert "id=['1', '2']" in query_words(Query(id=["1", "2"]))


def test_a_model_that_knows_content_has_said_what_a_user_likes(both):
    shelf = both._look()
    made = SimpleNamespace(
        profiles=SimpleNamespace(knows_content=True),
        **{name: getattr(shelf, name) for name in ("vectors", "spaces", "catalog", "parts")},
    )
    none = np.zeros((0, shelf.spaces.dim), np.float32)
    profile = SimpleNamespace(disliked=["004"])
    liked = pd.Series({"000": 1.0})

    def found(items, history, knows=True):
        made.profiles.knows_content = knows
        asked = SimpleNamespace(history=history, profiles=[(profile, 1.0)], liked=liked)
        return direction(made, asked, items, none, none)

    spoken, items = np.zeros(45), shelf.vectors(["001"])
    assert not found(none, spoken).any()
    away = found(none, spoken, knows=False)
    assert away.any() and np.array_equal(away, found(none, None))
    pushed = found(items, spoken)  # a product is asked for: what is disliked still counts
    assert np.array_equal(pushed, found(items, spoken, knows=False))
    plain = direction(shelf, spaces_question(shelf, id="001"), items, none, none)
    assert not np.allclose(pushed, plain)


def test_a_shelf_takes_weights_and_a_question_hides_nothing_by_itself(both):
    shelf = both._look()
    made = Shelf(shelf.catalog, shelf.index, shelf.spaces, weights={"image": 3.0, "text": 0.5})
    assert made.weights == {"image": 3.0, "text": 0.5}
    assert Question([], [], [], [], False).hidden.shape == (0,)


def test_what_a_user_looked_at_is_hidden_only_where_it_is_the_question():
    events = pd.DataFrame({"user": "u", "id": ["000", "008"], "event": ["view", "purchase"]})
    made = Recommender(text=TfidfEmbedder()).fit(shop(45), History(events))
    shelf = made._look()

    def hidden(**options) -> list[str]:
        return [shelf.names[n] for n in spaces_question(shelf, user="u", **options).hidden]

    assert hidden() == ["000", "008"] and hidden(text="red") == ["008"]


def test_words_and_vectors_share_the_score_of_a_space(in_words):
    query = Query(text="red mug")
    (question,) = read_questions(
        in_words, query, in_words.weights, embed_query(query, in_words.spaces)
    )
    exact = in_words.spaces.word_shares["words"]
    assert 0 < exact < 1
    assert np.linalg.norm(question.vector) == pytest.approx(1 - exact, abs=1e-5)


def test_what_is_said_without_examples_stays_as_it_is():
    catalog = Catalog(pd.DataFrame({"title": ["ear rings", "earrings", "blue mug"]}))
    made = Recommender({"words": SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",))})
    shelf = made.fit(catalog)._look()
    (index,) = shelf.words.values()
    plain = index.of_texts(["ear rings"]).toarray()
    assert plain.sum() > 1  # both spellings
    query = Query(text="ear rings")
    asked = asked_words(shelf, query, spaces_question(shelf, text="ear rings"))
    np.testing.assert_allclose(asked["words"].toarray(), plain, rtol=1e-6)
