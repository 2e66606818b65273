"""The words as they are: exact scores, misspellings, changes, and their part in a recommender."""

import numpy as np
import pandas as pd
import pytest
from builders import shop
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import encoder_folder

from prodrec.data.catalog import Catalog
from prodrec.models import transformer
from prodrec.recommend import sentences, sparse
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.recommender import Recommender, describe
from prodrec.recommend.sparse import (
    SearchEmbedder,
    Spelling,
    WordIndex,
    bm25,
    idf,
    terms,
    typing_errors,
    written_apart,
)

TITLES = ["Red Lace Top", "Lace Top in Blue", "Red Top", "Red Dress with Lace", "Apple iPhone 6"]
TITLES += [
    "Apple iPhone 7",
    "Running Shoes for Men",
    "Mens T-shirt",
    "Tshirts, pack of 2",
    "Ear Rings",
]


def catalog_of(titles, start=0):
    ids = [f"p{n:03d}" for n in range(start, start + len(titles))]
    return Catalog(pd.DataFrame({"title": pd.Series(titles, ids, dtype=object)}))


@pytest.fixture(scope="module")
def index():
    return WordIndex(("title",)).fit(catalog_of(TITLES))


def best(index, text, k=1):
    return [TITLES[n] for n in index.search(text, k)[0][0]]


def test_all_the_words_asked_for_come_first(index):
    assert best(index, "red lace top") == ["Red Lace Top"]
    assert best(index, "top, of red lace please") == ["Red Lace Top"]
    assert best(index, "iphone 6") == [TITLES[4]] and best(index, "iphone 7") == [TITLES[5]]
    scores = index.search("red lace top", len(TITLES))[1][0]
    assert scores[0] == pytest.approx(1) and scores[1] < 0.95 and (np.diff(scores) <= 0).all()


@pytest.mark.parametrize(
    "asked, wanted",
    [
        ("runing shose", "Running Shoes for Men"),
        ("irphone 6", "Apple iPhone 6"),
        ("iphoen 7", "Apple iPhone 7"),
        ("drress", "Red Dress with Lace"),
        ("earrings", "Ear Rings"),
    ],
)
def test_misspelled_and_joined_words(index, asked, wanted):
    assert best(index, asked) == [wanted]


def test_one_garment_in_two_spellings(index):
    assert set(best(index, "tshirt", 2)) == set(best(index, "t-shirt", 2)) == set(TITLES[7:9])
    assert written_apart([["t", "shirt"], ["tshirt"], ["1", "2"], ["12"]]) == {"tshirt"}
    assert terms("T-shirts", {"tshirt"}) == ["t", "shirt", "tshirt"]


def test_scores_are_the_sum_of_the_formula(index):
    "By hand: no cap is reached, every word is in a title of known length."
    long = "red lace top for women with long sleeves and a wide collar in cotton"
    made = WordIndex(("title",)).fit(catalog_of([*TITLES, long]))
    found = made.scores(made.of_texts(["red lace"]))[0][-1]
    lengths = [len(terms(t, made.joined)) for t in [*TITLES, long]]
    mean = np.mean([len(terms(t)) for t in [*TITLES, long]])
    m = min(1, 1.4 / (1 + 0.4 * (0.7 + 0.3 * lengths[-1] / mean)))
    assert found == pytest.approx(m**3, abs=1e-5) and m < 1  # both words have it, weights sum to 1
    assert bm25(made.matrix * 0 + made.matrix, 1.0).max() <= 1
    assert idf(np.array([0, 1, 10]), 10).tolist() == sorted(idf(np.array([0, 1, 10]), 10))[::-1]


@settings(max_examples=60, deadline=None)
@given(st.text("abcd", max_size=6), st.text("abcd", max_size=6))
def test_typing_errors_are_a_distance(a, b):
    d = typing_errors(a, b)
    assert d == typing_errors(b, a) and (d == 0) == (a == b)
    assert abs(len(a) - len(b)) <= d <= max(len(a), len(b))
    assert typing_errors(a + "x", b + "x") <= d and typing_errors(a, a + b) == len(b)


def test_typing_errors_of_known_pairs():
    assert typing_errors("kitten", "sitting") == 3 and typing_errors("teh", "the") == 1
    near = Spelling(["shirt", "skirt", "short", "shirts", "watch"])
    assert [word for word, _ in near.similar("shrit")][:1] == ["shirt"]
    assert near.similar("sh") == near.similar("xyzzy") == near.similar("size42") == []


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_changes_give_what_a_new_index_gives(data):
    "Rows come, change and go; scores of words that stay equal those of an index made afresh."
    words = st.lists(st.sampled_from("red blue lace top dress zeta".split()), max_size=4)
    titles = data.draw(st.lists(words.map(" ".join), min_size=2, max_size=6))
    made = WordIndex(("title",)).fit(catalog_of(titles))
    for step in range(3):
        what = data.draw(st.sampled_from(["add", "replace", "remove"]))
        new = data.draw(words.map(" ".join))
        row = data.draw(st.integers(0, len(titles) - 1))
        if what == "add":
            titles = [*titles, new]
            made.add(catalog_of([new], 50 + step))
        elif what == "replace":
            titles = [*titles[:row], new, *titles[row + 1 :]]
            made.replace([row], catalog_of([new], row))
        elif len(titles) > 1:
            titles = titles[:row] + titles[row + 1 :]
            made.remove([row])
    fresh = WordIndex(("title",)).fit(catalog_of(titles))
    fresh.means = made.means  # what is long was said at `fit`
    fresh._keep(fresh._rows(catalog_of(titles)))
    for text in ("red lace", "blue zeta top", "dress"):
        ours, theirs = (i.scores(i.of_texts([text]))[0] for i in (made, fresh))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_mask_and_k(index):
    allowed = np.array([n % 2 == 1 for n in range(len(TITLES))])
    rows, scores = index.search(["red lace top", "nothing known"], 99, allowed)
    assert rows.shape == (2, 5) and allowed[rows].all() and not scores[1].any()
    assert index.of_texts([""]).nnz == 0
    with pytest.raises(ValueError, match="not fitted"):
        WordIndex().search("red")


def test_products_ask_for_their_like(index):
    own = index.scores(index.of_products([0, 6]))
    assert own.argmax(axis=1).tolist() == [0, 6]
    assert own.max(axis=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    strange = index.of_catalog(catalog_of(["zzz qqq", "red"]))
    assert strange.getnnz(axis=1).tolist() == [0, 1]


def test_half_an_answer_counts_much_less_than_a_whole_one(index):
    "Two of three words are worth less than a third, so the encoder decides among such titles."
    scores = index.search("red lace top", 4)[1][0]
    assert scores[0] == pytest.approx(1) and scores[1] < 0.4
    apart = index.scores(-index.of_texts(["red lace top"]))  # away from it
    assert apart.min() == pytest.approx(-1)


MISSPELLED = ["Black perfume 50 ml"] * 40 + ["Rose perfum", "Leather wallet", "Wall clock at home"]
MISSPELLED += ["Warm sandals"] * 30 + [
    "San Marino",
    "Del Barco",
    "The watch",
    "Wac clock",
    "Nail polish",
]


@pytest.mark.parametrize(
    "asked, wanted",
    [
        ("wallat", ["wallet"]),  # not "wall" and "at"
        ("wacthes", ["watch"]),  # not "wac" and "the"
        ("sandels", ["sandal"]),  # not "san" and "del"
        ("nailpolish", ["nail", "polish"]),
        ("50ml", ["50", "ml"]),
        ("mldel", []),  # two letters are no word that somebody forgot a space after
        ("clock50", ["clock", "50"]),
        ("perfume", ["perfume"]),
        ("wallet", ["wallet"]),
        ("clockk", ["clock"]),
    ],
)
def test_what_an_unknown_word_stands_for(asked, wanted):
    made = WordIndex(("title",)).fit(catalog_of(MISSPELLED))
    names = {column: term for term, column in made.columns.items()}
    assert sorted(names[c] for c in made.of_texts([asked]).indices) == sorted(wanted)


CUPS = ["Zwei Tassen aus Ton", "Vier Teller", "Lange Hosen", "Red Glass", "Grass Green Shoes"]


@pytest.mark.parametrize(
    "asked, wanted",
    [
        ("Tasse", ["tassen"]),  # its English stem is "tass", two letters away
        ("Hose", ["hosen"]),
        ("Tassen", ["tassen"]),
        ("glasse", ["glass"]),  # what a stem stands for comes first
        ("grases", ["grass"]),
        ("Mütze", []),
    ],
)
def test_a_stem_that_means_nothing_gives_way_to_the_word_as_written(asked, wanted):
    made = WordIndex(("title",)).fit(catalog_of(CUPS))
    names = {column: term for term, column in made.columns.items()}
    assert sorted(names[c] for c in made.of_texts([asked]).indices) == wanted
    if wanted:
        assert made.search(asked, 1)[1][0, 0] > 0


def test_a_rare_misspelling_among_the_products_does_not_hide_the_usual_word():
    made = WordIndex(("title",)).fit(catalog_of(MISSPELLED))
    rows = made.search("perfum", 41)[0][0]
    assert MISSPELLED[rows[0]] == "Rose perfum"
    assert all("perfume" in MISSPELLED[n] for n in rows[1:])


def test_saved_and_loaded(index, tmp_path):
    index.save(tmp_path / "words")
    again = WordIndex.load(tmp_path / "words")
    assert repr(again) == repr(index)
    for text in ("red lace top", "runing shose", "tshirt"):
        np.testing.assert_array_equal(again.search(text, 5)[1], index.search(text, 5)[1])


# -- in a recommender


def brute(recommender, text, share):
    "Score every product from the embedder and the index alone."
    dense = recommender.spaces["text"].embed([text])[0] @ recommender.index.take().T
    words = recommender.words["text"]
    return (1 - share) * dense + share * words.scores(words.of_texts([text]))[0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_fused_score_is_exact_through_changes(share, tmp_path):
    products = catalog_of(TITLES)
    both = SearchEmbedder(TfidfEmbedder(4, ("title",)), ("title",), share)
    made = Recommender(text=both).fit(products)
    made.add(catalog_of(["Green lace gown", "Red lace"], 20)).remove("p001")
    made.update(catalog_of(["Blue lace top"], 2))
    made.save(tmp_path / "saved")
    for one in (made, Recommender.load(tmp_path / "saved")):
        for text in ("red lace top", "gown of lace", "iphone 7"):
            hits = one.recommend(5, text=text).to_frame()
            if share:
                wanted = np.sort(brute(one, text, share))[::-1][:5]
            else:
                wanted = np.sort(one.spaces["text"].embed([text]) @ one.index.take().T)[0, ::-1][:5]
            np.testing.assert_allclose(hits["score"], wanted, atol=1e-4)


def test_words_find_what_the_encoder_lost():
    "A folded encoder cannot tell the products apart, their words can."
    titles = [f"shirt {n} of cotton" for n in range(60)]
    dense = TfidfEmbedder(1, ("title",))
    made = Recommender(text=SearchEmbedder(dense, ("title",))).fit(catalog_of(titles))
    assert all(made.recommend(1, text=f"shirt {n}").ids == [f"p{n:03d}"] for n in (7, 31, 59))


def test_pictures_and_filters_beside_words():
    products = shop(40)
    made = Recommender(image=ColorHistogram((8, 8)), text=SearchEmbedder(TfidfEmbedder()))
    made.fit(products)
    hits = made.recommend(5, id="002", where={"category": "a"}).to_frame()
    assert set(hits["category"]) == {"a"} and len(hits) == 5 and "text" in hits
    np.testing.assert_allclose(hits["image"] + hits["text"], hits["score"], atol=1e-4)
    ids, scores = made.neighbours(["002"], 5)
    everything = made.recommend(5, id="002").to_frame()
    np.testing.assert_allclose(scores[0], everything["score"], atol=1e-4)
    matrix = made.similarity_matrix(["002", *everything.id])
    np.testing.assert_allclose(matrix.loc["002", everything.id], everything["score"], atol=1e-4)


def test_the_default_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(sparse, "best_sentence_model", lambda: None)
    made = SearchEmbedder()
    assert isinstance(made.dense, TfidfEmbedder) and "prodrec[sentences]" in made.note
    with pytest.raises(ValueError, match="`share` must be from 0 to 1, received 1.5"):
        SearchEmbedder(share=1.5)
    with pytest.raises(TypeError, match="`dense` must be an embedder of texts"):
        SearchEmbedder(ColorHistogram())


@pytest.mark.parametrize("there", [True, False])
def test_the_default_for_words_of_a_recommender(there, monkeypatch, tmp_path):
    "All the words asked for come first, with weights of sentences and without, which is said."
    if there:
        pytest.importorskip("tokenizers")
        folder = tmp_path / "encoder"
        encoder_folder(folder, " ".join(TITLES).replace("-", " ").replace(",", " "))
        monkeypatch.setitem(sentences._FOLDERS, "minilm", folder)
        monkeypatch.setattr(sentences, "PREFERRED", ("minilm",))
        monkeypatch.setattr(transformer, "find_spec", lambda name: None)  # Keras starts sooner
    else:
        monkeypatch.setattr(sparse, "best_sentence_model", lambda: None)
    made = Recommender(text="auto").fit(catalog_of(TITLES))
    assert made.recommend(1, text="red lace top").ids == ["p000"]
    assert made.recommend(1, text="runing shose").ids == ["p006"]
    assert ("prodrec[sentences]" in describe(made)["space text"]) != there
    assert isinstance(made.spaces["text"].dense, TfidfEmbedder) != there
    with pytest.raises(TypeError, match="`text` must be an embedder, received 'best'"):
        Recommender(text="best")


def test_letters_that_changed_places_at_either_end():
    assert typing_errors("ehllo", "hello") == typing_errors("helol", "hello") == 1
    assert typing_errors("eh", "he") == 1 and typing_errors("abc", "cba") == 2


def test_the_words_that_share_most_pairs_are_looked_at_first():
    near = Spelling(["watchmakers", "watch", "water"])
    assert near.similar("watcj", candidates=1) == [("watch", 0.8)]


def test_several_products_come_and_one_changes_at_once():
    made = WordIndex(("title",)).fit(catalog_of(["red cap", "blue cap", "old hat"]))
    new = catalog_of(["green cap", "white hat", "black shoe"], 10)
    made.change([1], new, [True, False, True])
    found = {text: made.search(text, 1)[0][0, 0] for text in ("green", "white", "black", "red")}
    assert found == {"green": 3, "white": 1, "black": 4, "red": 0} and len(made) == 5


def test_a_field_without_words_is_of_length_one():
    made = WordIndex(("title", "description")).fit(catalog_of(["red cap"]))
    assert made.means == [2.0, 1.0] and made.search("cap", 1)[1][0, 0] == pytest.approx(1)


def test_both_words_of_two_written_together_are_known():
    made = WordIndex(("title",)).fit(catalog_of(["red shirt"] * 30 + ["blue cap"]))
    assert made.of_texts(["zzzshirt"]).nnz == 0 and made._apart("zzzshirt") == []
    ((likely, pair),) = made._apart("capshirt")
    assert likely == 1 * made.error  # of the rarer one
    assert pair == [(made.columns["cap"], 0.5), (made.columns["shirt"], 0.5)]


def test_a_rare_word_counts_once_beside_what_looks_like_it():
    made = WordIndex(("title",)).fit(catalog_of(MISSPELLED))
    shares = dict(made._meant("perfum"))
    assert shares[made.columns["perfum"]] == 1.0 and 0.93 < shares[made.columns["perfume"]] < 1


def test_a_product_asks_for_itself_with_exactly_one(index):
    rows = np.arange(len(TITLES))
    asked = index.of_products(rows)
    own = np.asarray(asked.multiply(index.matrix).sum(axis=1)).ravel()
    np.testing.assert_allclose(own, 1, atol=1e-5)


def test_words_that_say_nothing_count_only_where_nothing_else_is_said():
    made = WordIndex(("title",)).fit(catalog_of(["the red mug", "the who", "a lamp"]))
    names = {column: term for term, column in made.columns.items()}

    def said(text):
        return {names[c] for c in made.of_texts([text]).indices}

    assert said("the red") == {"red"} and said("the") == {"the"}


def test_a_word_that_two_in_a_thousand_have_is_no_misspelling():
    made = WordIndex(("title",)).fit(catalog_of([*MISSPELLED, "Mint perfum"]))
    assert made._meant("perfum") == [(made.columns["perfum"], 1.0)]


def test_how_rare_a_word_is_by_hand():
    by_hand = np.log1p([9.5 / 1.5, 0.5 / 10.5])
    np.testing.assert_allclose(idf(np.array([1, 10]), 10), by_hand, rtol=1e-6)


def test_what_is_no_typing_error():
    near = Spelling(["watch", "cap", "caps", "mp35x", "watchmaker"])
    assert near.similar("watcg") == [("watch", 0.8)]
    for other in ("batch", "cab", "mp34x", "qqqq", "wat"):
        assert near.similar(other) == []


class Program:
    "Runs when it is unpickled."

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def test_a_saved_index_runs_nothing(index, tmp_path):
    index.save(tmp_path / "words")
    with np.load(tmp_path / "words" / "matrix.npz") as a:
        arrays = dict(a)
    arrays["data"] = np.array([Program(tmp_path / "ran")], object)
    np.savez(tmp_path / "words" / "matrix.npz", **arrays)
    with pytest.raises(ValueError, match="allow_pickle"):  # past the checksums of `load`
        WordIndex._read(tmp_path / "words", {"fields": ["title"], "means": index.means})
    assert not (tmp_path / "ran").exists()


def test_the_three_likeliest_words_are_meant():
    near = ["walker", "walked", "walken", "walkes"]
    made = WordIndex(("title",)).fit(catalog_of([f"{w} {n}" for w in near for n in range(4)]))
    assert len(made._meant("walkex")) == 3


def test_no_product_has_more_than_all_that_is_asked_for():
    made = WordIndex(("title",)).fit(catalog_of(["ear rings earrings", "ear rings", "earrings"]))
    out = made.scores(made.of_texts(["ear rings"]))[0]
    assert out.max() == pytest.approx(1) and out.argmax() == 0


def test_the_likest_word_comes_first():
    near = Spelling(["braceletts", "bracelets", "bracele"])
    assert near.similar("bracelet") == [
        ("bracelets", 0.875),
        ("bracele", 0.875),
        ("braceletts", 0.75),
    ]
    assert len(near.similar("bracelet", 2)) == 2


def test_fields_that_the_catalogue_has_not_are_named():
    with pytest.raises(ValueError, match="no column 'name' or 'text': give `fields`"):
        WordIndex(("name", "text")).fit(catalog_of(["a mug"]))
    assert WordIndex(("title", "text")).fit(catalog_of(["a mug"])).search("mug", 1)[0].tolist() == [
        [0]
    ]


def errors_by_definition(a: str, b: str) -> int:
    "Optimal string alignment, every way tried."
    if not a or not b:
        return len(a) + len(b)
    ways = [errors_by_definition(a[1:], b) + 1, errors_by_definition(a, b[1:]) + 1]
    ways.append(errors_by_definition(a[1:], b[1:]) + (a[0] != b[0]))
    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
        ways.append(errors_by_definition(a[2:], b[2:]) + 1)
    return min(ways)


@settings(max_examples=150, deadline=None)
@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_typing_errors_by_their_definition(a, b):
    assert typing_errors(a, b) == errors_by_definition(a, b)


def test_a_product_is_replaced_once():
    made = WordIndex(("title",)).fit(catalog_of(["red cap", "blue cap"]))
    with pytest.raises(ValueError, match="twice|once"):
        made.change([1, 1], catalog_of(["green cap", "white hat"], 10), [False, False])


def test_a_word_that_may_be_several_is_as_rare_as_the_rarest(index):
    near = ["walkerb"] * 6 + ["walkerk"] * 3
    made = WordIndex(("title",)).fit(catalog_of([*near, "mug"]))
    asked = made.of_texts(["walkerx mug"])
    rarity = {term: made.rarity[column] for term, column in made.columns.items()}
    rarest = max(rarity["walkerb"], rarity["walkerk"])
    assert len(made._meant("walkerx")) == 2 and rarity["walkerb"] != rarity["walkerk"]
    mug = rarity["mug"] / (rarity["mug"] + rarest)
    assert asked[0, made.columns["mug"]] == pytest.approx(mug, rel=1e-5)


COLOURED = pd.DataFrame(
    {
        "title": ["Cotton Shirt", "Linen Shirt", "Red Mug", "White Mug", "Turquoise lamp"],
        "colour": ["red", "turquoise", "red", "red", None],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0],
    },
    index=list("abcde"),
)


@pytest.fixture
def coloured():
    return WordIndex(("title",), attributes=None).fit(Catalog(COLOURED))


def test_words_find_attributes_a_little_behind_titles(coloured):
    def found(text, k=3):
        return ["abcde"[n] for n in coloured.search(text, k)[0][0]]

    assert coloured.attributes == ("colour",)
    assert found("red mug", 2) == ["c", "d"] and found("red shirt", 1) == ["a"]
    assert found("turquoise", 2) == ["e", "b"] and found("turqoise shirt", 1) == ["b"]
    scores = coloured.scores(coloured.of_texts(["red"]))[0]
    assert scores.tolist() == pytest.approx([0.85**3, 0, 1, 0.85**3, 0])  # said twice counts once
    assert coloured.said[coloured.columns["red"]] == 3
    assert coloured.counts[coloured.columns["red"]] == 1
    asked = coloured.of_texts(["red mug", "red"])
    assert coloured.total(asked).tolist() == pytest.approx([1, 1]) and asked.sum() > 2


def test_products_do_not_ask_for_attributes(coloured):
    plain = WordIndex(("title",)).fit(Catalog(COLOURED))
    for one, other in (
        (coloured.of_products(range(5)), plain.of_products(range(5))),
        (coloured.of_catalog(Catalog(COLOURED)), plain.of_catalog(Catalog(COLOURED))),
    ):
        np.testing.assert_allclose(coloured.scores(one), plain.scores(other), atol=1e-6)


def test_attributes_come_change_go_and_are_saved(coloured, tmp_path):
    more = pd.DataFrame({"title": ["Silk Scarf"], "colour": ["teal"]}, index=["f"])
    coloured.add(Catalog(more))
    assert coloured.search("teal scarf", 1)[0].tolist() == [[5]]
    coloured.replace([0], Catalog(more.assign(title="Cotton Shirt").set_axis(["a"])))
    assert coloured.search("teal shirt", 1)[0].tolist() == [[0]]
    coloured.remove([0])
    coloured.save(tmp_path / "words")
    again = WordIndex.load(tmp_path / "words")
    assert again.attributes == ("colour",)
    texts = ["red mug", "teal", "turquoise shirt"]
    np.testing.assert_array_equal(
        again.scores(again.of_texts(texts)), coloured.scores(coloured.of_texts(texts))
    )
    fresh = WordIndex(("title",), ["colour"]).fit(Catalog(pd.concat([COLOURED.iloc[1:, :2], more])))
    np.testing.assert_allclose(
        fresh.scores(fresh.of_texts(texts)), again.scores(again.of_texts(texts)), atol=0.05
    )


def test_a_recommender_finds_colours_that_no_title_names(tmp_path):
    shop = Catalog(COLOURED)
    for attributes, best in ((None, "b"), (("colour",), "b"), ((), "a")):
        words = SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",), 0.5, attributes)
        made = Recommender(text=words).fit(shop)
        assert made.recommend(1, text="turquoise shirt").ids in ([best], ["e"][: best == "a"])
        made.save(tmp_path / f"{best}{attributes}")
        again = Recommender.load(tmp_path / f"{best}{attributes}")
        ids = again.recommend(3, text="turquoise shirt").ids
        assert ids == made.recommend(3, text="turquoise shirt").ids
    hits = made.recommend(2, id="a", text="turquoise", positive="b")
    assert len(hits) == 2


def test_attributes_follow_the_catalogue_and_must_be_there():
    made = WordIndex(("title",), attributes=None).fit(Catalog(COLOURED))
    sized = COLOURED.drop(columns="colour").assign(size=["S", "M", "S", "M", "S"])
    assert made.fit(Catalog(sized)).attributes == ("size",)
    assert WordIndex(("title",), "colour").fit(Catalog(COLOURED)).attributes == ("colour",)
    with pytest.raises(ValueError, match="`attributes` name 'color', which is no column"):
        WordIndex(("title",), ["color"]).fit(Catalog(COLOURED))
    with pytest.raises(ValueError, match="`attributes` name 'color'"):
        words = SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",), attributes=["color"])
        Recommender(text=words).fit(Catalog(COLOURED))
