"""Classifiers of texts: what they read, word vectors in every form, and what masking leaves."""

import gzip
import warnings
from itertools import product

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from prodrec.data.catalog import Catalog
from prodrec.models.pixels import apply_network
from prodrec.models.text import (
    TextClassifier,
    _stem,
    embedding_matrix,
    fit_linear,
    linear,
    mask_label_words,
    read_vectors,
    text_vectorizer,
    tfidf_vectorizer,
    words_of,
)

THINGS = {"Lämpchen": "glow bulb shade", "чашка/mug": "sip clay handle", "青 boot": "sole heel lace"}


def shop(start, stop, **columns):
    "The products from `start` to `stop`, of three kinds in turn; each says something of its kind."
    rows = []
    for n in range(start, stop):
        kind = list(THINGS)[n % 3]
        words = THINGS[kind].split()
        rows.append(
            {"title": f"No {n} {words[n % 2]} {words[2]}", "description": f"{words[1]}, fine", "category": kind}
        )
    return Catalog(pd.DataFrame(rows, index=[f"p{n}" for n in range(start, stop)]).assign(**columns))


def tiny(vectorizer, n_classes, dims=6):
    inputs = keras.Input((), dtype="string")
    x = keras.layers.Embedding(vectorizer.vocabulary_size(), dims)(vectorizer(inputs))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


SMALL = {"dims": 8, "dense": 8}
NETWORKS = {
    "lstm": ("lstm", {**SMALL, "units": 4}),
    "bilstm": ("bilstm", {**SMALL, "units": 4}),
    "conv1d": ("conv1d", {**SMALL, "filters": 4}),
    "tfidf": ("tfidf", {}),
    "own": (tiny, {}),
}
ODD = [None, "", "  ", "unheard of", "🙂 \ud800 \0", "名前 für ЧАШКА", "sole " * 3000, "a" * 10_000]


def made(name, **options):
    network, more = NETWORKS[name]
    return TextClassifier(network, **{"batch_size": 8, "seed": 3, "length": 6, "baseline": False, **more, **options})


@pytest.fixture(scope="module", params=NETWORKS)
def fitted(request):
    return request.param, made(request.param).fit(shop(0, 24), epochs=2)


# -- what is read


def test_every_kind_of_input_gives_the_same(fitted):
    _, classifier = fitted
    test = shop(24, 27)
    texts, wanted = test.texts().tolist(), classifier.predict_proba(test)
    for kind in (texts, tuple(texts), np.array(texts, object), pd.Series(texts), [t.upper() for t in texts]):
        np.testing.assert_allclose(classifier.predict_proba(kind), wanted, atol=1e-6)
    np.testing.assert_allclose(classifier.predict_proba(texts[0]), wanted[:1], atol=1e-6)
    np.testing.assert_allclose(apply_network(classifier.model, classifier.prepared(test)), wanted, atol=1e-6)
    for wrong in ([3], [b"boot"], [["boot"]]):
        with pytest.raises(TypeError, match="a text is a str, received"):
            classifier.predict(wrong)


def test_odd_texts_have_an_answer(fitted):
    _, classifier = fitted
    proba = classifier.predict_proba(ODD)
    assert np.isfinite(proba).all() and np.isfinite(classifier.embed(ODD)).all()
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(proba[:3], proba[:1].repeat(3, 0), atol=1e-6)


def test_one_class_and_one_product(fitted):
    name, _ = fitted
    for train in (shop(0, 5, category="only"), shop(0, 1)):
        classifier = made(name).fit(train, train, epochs=1)
        assert classifier.predict_proba(ODD).tolist() == [[1.0]] * len(ODD)
        assert classifier.evaluate(train).accuracy == 1
    two = made(name).fit(shop(0, 6)[["p0", "p1", "p3", "p4"]], epochs=1)
    np.testing.assert_allclose(two.predict_proba(ODD).sum(1), 1, atol=1e-5)


def test_products_without_text(fitted):
    name, _ = fitted
    gaps = shop(0, 9, title=[None, "", "glow"] * 3, description=[None, np.nan, "bulb"] * 3)
    assert made(name).fit(gaps, epochs=1).predict(gaps).shape == (9,)
    with pytest.raises(ValueError, match="no word in any of the training texts"):
        made(name).fit(shop(0, 3, title=None, description=""), epochs=1)


@pytest.mark.parametrize("name", ["conv1d", "tfidf"])
def test_the_vocabulary_is_of_training_texts(name):
    train = shop(0, 12)
    quiet, loud = (made(name).fit(train, shop(24, 30, title=t), epochs=1) for t in ("glow", "neverseen words"))
    layer = "tfidf" if name == "tfidf" else "bottleneck"
    vocabularies = [c.model.get_layer(layer).get_vocabulary() for c in (quiet, loud)]
    assert vocabularies[0] == vocabularies[1] and "neverseen" not in vocabularies[0]
    known = {w for t in train.texts() for w in words_of(t)}
    assert {w for w in vocabularies[0] if " " not in w} - {"", "[UNK]"} == known
    before = quiet.predict_proba(ODD)
    quiet.evaluate(shop(30, 33, title="neverseen"))
    np.testing.assert_array_equal(quiet.predict_proba(ODD), before)


def test_a_failed_fit_leaves_the_classifier_as_it_was():
    classifier = made("tfidf").fit(shop(0, 6))
    wanted = classifier.predict_proba(ODD)
    with pytest.raises(ValueError, match="no word in any"):
        classifier.fit(shop(0, 3, title="", description="", category="x"))
    np.testing.assert_array_equal(classifier.predict_proba(ODD), wanted)


def test_fields_and_length():
    train = shop(0, 12)
    titles = made("tfidf", fields="title").fit(train)
    assert titles.fields == ("title",)
    assert titles.prepared(train).tolist() == [" ".join(words_of(t)) for t in train.products["title"]]
    np.testing.assert_array_equal(
        titles.predict_proba(train), titles.predict_proba(Catalog(train.products.assign(description="sip")))
    )
    short = made("own", length=2).fit(train, epochs=1)
    np.testing.assert_array_equal(short.predict_proba("sip clay sole"), short.predict_proba("sip clay"))
    with pytest.raises(ValueError, match=r"`fields` \('name',\) are no columns of the catalogue; it has title"):
        made("own", fields=["name"]).fit(train)


def test_stop_words():
    train = shop(0, 12)
    assert made("tfidf", stop_words="english").fit(train).prepared("The sole of the boot").tolist() == ["sole boot"]
    assert made("tfidf", stop_words=["sole"]).fit(train).prepared("the sole").tolist() == ["the"]
    with pytest.raises(ValueError, match="`stop_words` must be \"english\", words or None, received 'german'"):
        TextClassifier(stop_words="german")


def test_the_baseline_is_beside(tmp_path):
    train, test = shop(0, 24), shop(24, 33)
    classifier = made("own", baseline=True, mask_labels=True).fit(train, epochs=1)
    report = classifier.evaluate(test)
    alone = made("tfidf", mask_labels=True).fit(train).evaluate(test)
    assert report.notes[0] == "the words of the labels were taken out of the texts" and report.notes[0] in repr(report)
    assert f"TF-IDF reaches {alone.accuracy:.3f} on the same products" in report.notes[1]
    classifier.save(tmp_path / "c")
    assert TextClassifier.load(tmp_path / "c").evaluate(test).notes == report.notes
    assert len(alone.notes) == 1 and made("tfidf", baseline=True).fit(train).baseline_ is None


def test_names_that_are_unknown():
    with pytest.raises(ValueError, match="`network` 'ltsm' is unknown: choose one of bilstm, conv1d, lstm, tfidf"):
        TextClassifier("ltsm")
    with pytest.raises(TypeError, match="unexpected keyword argument 'filters'; this network takes vectors, dims"):
        TextClassifier("lstm", filters=3)
    with pytest.raises(ValueError, match="has learned nothing yet"):
        TextClassifier().prepared("boot")


# -- the linear classifier


SOME = ["red wool", "red silk", "oak", "pine wood red red", "tin", "zinc red"] * 3


def test_tfidf_is_that_of_scikit_learn():
    layer = tfidf_vectorizer(SOME)
    theirs = TfidfVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None, lowercase=False)
    theirs.set_params(vocabulary=layer.get_vocabulary()[1:]).fit(SOME)
    asked = [*SOME, "", "red unknown wool", "unknown"]
    model = linear(layer, 2)
    seen = apply_network(keras.Model(model.input, model.get_layer("bottleneck").output), np.array(asked, object))
    np.testing.assert_allclose(seen, theirs.transform(asked).toarray(), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_linear_network_is_logistic_regression(n_classes):
    texts, y = np.array(SOME, object), np.arange(len(SOME)) % 6 % n_classes
    model = linear(tfidf_vectorizer(texts), n_classes)
    fit_linear(model, texts, y)
    seen = apply_network(keras.Model(model.input, model.get_layer("bottleneck").output), texts)
    theirs = LogisticRegression(C=10, max_iter=1000).fit(seen, y)
    np.testing.assert_allclose(apply_network(model, texts), theirs.predict_proba(seen), atol=1e-3)


def test_the_vocabulary_has_its_size():
    assert text_vectorizer(SOME, max_tokens=2).get_vocabulary() == ["", "[UNK]", "red", "oak"]
    assert tfidf_vectorizer(SOME, max_tokens=1).get_vocabulary() == ["[UNK]", "red"]


# -- word vectors


WORDS, VECTORS = ["grün", "Silk", "silk", "wood", "\x85"], np.arange(10, dtype=np.float32).reshape(5, 2) / 4


def text_file(path, header="", end="\n", words=WORDS, sep=" "):
    body = "".join(f"{w}{sep}{sep.join(map(str, v))}{end}" for w, v in zip(words, VECTORS, strict=True))
    data = (header + body).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FORMS = product(["v.txt", "v.vec", "v.txt.gz", "v.vec.gz"], ["", "5 2\n"], ["\n", " \n", "\r\n"], [" ", "\t"])


@pytest.mark.parametrize("name,header,end,sep", FORMS)
def test_text_forms_of_word_vectors(tmp_path, name, header, end, sep):
    found = read_vectors(text_file(tmp_path / name, header, end, sep=sep), ["silk", "grün", "WOOD", "absent"])
    assert found.index.tolist() == ["silk", "grün"] and found.to_numpy().dtype == np.float32
    assert found.loc["silk"].tolist() == VECTORS[2].tolist()  # the exact word, not the earlier "Silk"
    assert found.loc["grün"].tolist() == VECTORS[0].tolist()


def test_words_with_spaces_and_words_in_other_case(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"a 1 2\nat me@x.y 3 4\n. . 5 6\nAt 7 8\n\xff\xfe 9 9\n")
    assert read_vectors(tmp_path / "v.txt", ["at", "a"]).loc["at"].tolist() == [7, 8]


@pytest.mark.parametrize("save,dtype", product([np.savez, np.savez_compressed], [np.float16, np.float32, np.float64]))
def test_npz_form_of_word_vectors(tmp_path, save, dtype):
    many = [*WORDS, *(f"w{n}" for n in range(9000))]
    vectors = np.concatenate([VECTORS, np.random.default_rng(0).normal(size=(9000, 2))]).astype(dtype)
    save(tmp_path / "v.npz", words=np.array(many), vectors=vectors)
    found = read_vectors(tmp_path / "v.npz", ["grün", "w8999", "silk", "absent"])
    assert found.index.tolist() == ["grün", "w8999", "silk"] and found.to_numpy().dtype == np.float32
    np.testing.assert_array_equal(found, vectors[[0, 9004, 2]].astype(np.float32))


DAMAGED = {
    "empty.txt": b"",
    "no numbers.txt": b"a b c\n",
    "a word alone.txt": b"silk\n",
    "too few.txt": b"a 1 2\nsilk 1\n",
    "no number.txt": b"a 1 2\nsilk 1 x\n",
    "not finite.vec": b"2 2\na 1 2\nsilk 1 nan\n",
    "only a header.vec": b"2 2\n",
    "cut.txt.gz": gzip.compress(b"silk 1 2\n" * 99999)[:-2000],
    "no gzip.txt.gz": b"silk 1 2\n",
    "no zip.npz": b"silk 1 2\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_word_vectors(tmp_path, name):
    (tmp_path / name).write_bytes(DAMAGED[name])
    with pytest.raises(
        ValueError, match="^`embedding` .*(holds no word vectors that can be read|has none of the 2 words)"
    ):
        read_vectors(tmp_path / name, ["silk", "zinc"])


def test_damaged_word_vectors_say_where(tmp_path):
    (tmp_path / "v.txt").write_bytes(DAMAGED["too few.txt"])
    with pytest.raises(ValueError, match="line 2 is no word with 2 numbers"):
        read_vectors(tmp_path / "v.txt", ["silk"])
    with pytest.raises(FileNotFoundError, match="is no file: give a .txt, .vec or .npz file"):
        read_vectors(tmp_path / "w.txt", ["silk"])


@pytest.mark.parametrize(
    "arrays",
    [
        {"words": np.array(["silk"])},
        {"words": np.array(["silk"]), "vectors": np.ones(2)},
        {"words": np.array(["silk"]), "vectors": np.ones((2, 2))},
        {"words": np.array(["silk"]), "vectors": np.ones((1, 2), int)},
        {"words": np.array(["silk"]), "vectors": np.full((1, 2), np.inf)},
        {"words": np.array(["silk"], object), "vectors": np.ones((1, 2))},  # would have to be unpickled
        {"words": np.array(["silk", "tin", "zinc"]), "vectors": np.ones((2, 3)).T},
    ],
)
def test_npz_files_that_are_not_word_vectors(tmp_path, arrays):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(ValueError, match="holds no word vectors that can be read"):
        read_vectors(tmp_path / "v.npz", ["silk"])


@pytest.mark.parametrize("name", ["lstm", "bilstm", "conv1d"])
def test_a_network_begins_with_given_vectors(tmp_path, name):
    text_file(tmp_path / "v.txt", words=["glow", "sip", "sole", "lace", "clay"])
    options = {k: v for k, v in NETWORKS[name][1].items() if k != "dims"}
    kept, learned = (
        TextClassifier(name, embedding=tmp_path / "v.txt", baseline=False, **options, **o).fit(shop(0, 24), epochs=1)
        for o in ({}, {"learn_vectors": True})
    )
    at = kept.model.get_layer("bottleneck").get_vocabulary().index("sip")
    rows = [c.model.get_layer("vectors").get_weights()[0] for c in (kept, learned)]
    assert rows[0].shape[1] == 2 and rows[0][at].tolist() == VECTORS[1].tolist() and not rows[0][0].any()
    assert np.abs(rows[1] - rows[0]).max() > 0
    kept.save(tmp_path / "c")
    (tmp_path / "v.txt").unlink()
    np.testing.assert_allclose(
        TextClassifier.load(tmp_path / "c").predict_proba(ODD), kept.predict_proba(ODD), atol=1e-6
    )
    with pytest.raises(FileNotFoundError, match="is no file"):
        kept.fit(shop(0, 6))


def test_words_without_a_vector_repeat():
    found = pd.DataFrame(np.float32([[3, 4], [0, 5]]), index=["a", "b"])
    one, same, other = (embedding_matrix(found, ["", "[UNK]", "b", "x"], seed=s) for s in (0, 0, 1))
    assert (one == same).all() and (one[3] != other[3]).all() and one[2].tolist() == [0, 5]


# -- masking


PLURALS = (
    "shirt shirts, watch watches, dress dresses, purse purses, box boxes, shoe shoes, scarf scarves, knife knives, glove gloves, "
    "accessory accessories, tie ties, man men, woman women, lens lenses, case cases, vase vases, brush brushes, glass glasses, "
    "sunglasses sunglass, mouse mouses, size sizes, toy toys, bus buses, man mens, movie movies, blouse blouses, potato potatoes"
)


@pytest.mark.parametrize("pair", PLURALS.split(", "))
def test_singular_and_plural_are_one(pair):
    one, many = pair.split()
    assert _stem(one) == _stem(many)
    assert mask_label_words([f"a {one.upper()} and {many}"], [many]) == ["a and"]
    assert mask_label_words([f"a {one.upper()} and {many}"], [one]) == ["a and"]


@pytest.mark.parametrize(
    "classes,text,left",
    [
        (["Tshirts"], "T-Shirt t shirt TSHIRT tshirts t-shirts shirt", "shirt"),
        (["T-shirt"], "T-Shirt tshirts", ""),
        (["Handbags"], "hand bag, hand-bags; handbag & bag", ", ; & bag"),
        (["Flip Flops"], "flipflop flip-flops flop", ""),
        (["Casual Shoes"], "casual dress, SHOE", "dress,"),
        (["cap"], "a cape to escape", "a cape to escape"),
        (["Baby Care"], "baby's care, careful babies", ", careful"),
        (["чашка"], "ЧАШКА чай", "чай"),
        (["Größe"], "GRÖSSE und größe", "und"),
        (["ＭＵＧ"], "mug mugs ｍｕｇ", ""),
        (["a", "and", "&", ""], "a and b", "b"),
    ],
)
def test_what_masking_leaves(classes, text, left):
    assert mask_label_words([text], classes) == [left]


def test_a_class_of_one_letter_is_masked_as_a_word():
    assert mask_label_words(["x xx boxx X"], ["X"]) == ["xx boxx"]


words = st.lists(
    st.sampled_from("red boots boot t-shirt tshirt shirts hand bag handbags cape of für Größe 青".split()), max_size=12
)
any_text = st.one_of(st.text(max_size=60), words.map(" ".join))
CLASSES = ["Boots", "T-shirts", "handbag", "Größen"]


@given(st.lists(any_text, max_size=5))
@settings(max_examples=150, deadline=None)
def test_masking_leaves_no_label_word_and_nothing_new(texts):
    masked = mask_label_words(texts, CLASSES)
    assert len(masked) == len(texts)
    assert mask_label_words(masked, CLASSES) == masked
    gone = {_stem(w) for w in ("boots", "tshirts", "shirt", "handbag", "größen")}
    for before, after in zip(texts, masked, strict=True):
        left = words_of(after)
        assert not gone & set(map(_stem, left))
        rest = iter(words_of(before))
        assert all(w in rest for w in left)  # the same words in the same order, without some
        kept = [w for w in words_of(before) if w in ("red", "cape", "of", "für", "青")]
        assert [w for w in left if w in kept] == kept


@given(any_text, st.lists(any_text, max_size=4))
@settings(max_examples=100, deadline=None)
def test_masking_takes_any_names(text, classes):
    masked = mask_label_words([text], classes)
    assert mask_label_words(masked, classes) == masked


def test_masking_is_the_same_in_training_and_in_use():
    train = shop(0, 12, title=["Lämpchen glow", "mugs sip", "BOOTS sole"] * 4, description="")
    classifier = made("tfidf", mask_labels=True).fit(train)
    assert classifier.name == "tfidf, label words masked"
    assert not {"lämpchen", "mugs", "boots"} & set(classifier.model.get_layer("tfidf").get_vocabulary())
    assert classifier.prepared(["Boot lace", "mug"]).tolist() == ["lace", ""]
    open_ = made("tfidf").fit(train)
    assert "boots" in open_.model.get_layer("tfidf").get_vocabulary()
    assert open_.evaluate(train).notes == ["the words of the labels were left in the texts"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier.predict(["Boot"]).shape == (1,)
