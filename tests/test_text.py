"""Classifiers of texts: what they read, word vectors in every form, and what masking leaves."""

import json
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from prodrec.data.catalog import Catalog
from prodrec.models.pixels import apply_network
from prodrec.models.text import (
    TextClassifier,
    fit_linear,
    known_words,
    linear,
    text_vectorizer,
    tfidf_vectorizer,
)
from prodrec.models.words import words_of

THINGS = {
    "Lämpchen": "glow bulb shade",
    "чашка/mug": "sip clay handle",
    "青 boot": "sole heel lace",
}


def shop(start, stop, **columns):
    "The products from `start` to `stop`, of three kinds in turn; each says something of its kind."
    rows = []
    for n in range(start, stop):
        kind = list(THINGS)[n % 3]
        words = THINGS[kind].split()
        rows.append(
            {
                "title": f"No {n} {words[n % 2]} {words[2]}",
                "description": f"{words[1]}, fine",
                "category": kind,
            }
        )
    return Catalog(
        pd.DataFrame(rows, index=[f"p{n}" for n in range(start, stop)]).assign(**columns)
    )


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
    return TextClassifier(
        network, **{"batch_size": 8, "seed": 3, "length": 6, "baseline": False, **more, **options}
    )


@pytest.fixture(scope="module", params=NETWORKS)
def fitted(request):
    return request.param, made(request.param).fit(shop(0, 24), epochs=2)


# -- what is read


def test_every_kind_of_input_gives_the_same(fitted):
    _, classifier = fitted
    test = shop(24, 27)
    texts, wanted = test.texts().tolist(), classifier.predict_proba(test)
    for kind in (
        texts,
        tuple(texts),
        np.array(texts, object),
        pd.Series(texts),
        [t.upper() for t in texts],
    ):
        np.testing.assert_allclose(classifier.predict_proba(kind), wanted, atol=1e-6)
    np.testing.assert_allclose(classifier.predict_proba(texts[0]), wanted[:1], atol=1e-6)
    np.testing.assert_allclose(
        apply_network(classifier.model, classifier.prepared(test)), wanted, atol=1e-6
    )
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
    quiet, loud = (
        made(name).fit(train, shop(24, 30, title=t), epochs=1) for t in ("glow", "neverseen words")
    )
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
    assert titles.prepared(train).tolist() == [
        " ".join(words_of(t)) for t in train.products["title"]
    ]
    np.testing.assert_array_equal(
        titles.predict_proba(train),
        titles.predict_proba(Catalog(train.products.assign(description="sip"))),
    )
    short = made("own", length=2).fit(train, epochs=1)
    np.testing.assert_array_equal(
        short.predict_proba("sip clay sole"), short.predict_proba("sip clay")
    )
    with pytest.raises(
        ValueError, match=r"`fields` \('name',\) are no columns of the catalogue; it has title"
    ):
        made("own", fields=["name"]).fit(train)


def test_stop_words():
    train = shop(0, 12)
    assert made("tfidf", stop_words="english").fit(train).prepared(
        "The sole of the boot"
    ).tolist() == ["sole boot"]
    assert made("tfidf", stop_words=["sole"]).fit(train).prepared("the sole").tolist() == ["the"]
    with pytest.raises(
        ValueError, match="`stop_words` must be \"english\", words or None, received 'german'"
    ):
        TextClassifier(stop_words="german")


def test_the_baseline_is_beside(tmp_path):
    train, test = shop(0, 24), shop(24, 33)
    classifier = made("own", baseline=True, mask_labels=True).fit(train, epochs=1)
    report = classifier.evaluate(test)
    alone = made("tfidf", mask_labels=True).fit(train).evaluate(test)
    assert report.notes[
        0
    ] == "the words of the labels were taken out of the texts" and report.notes[0] in repr(report)
    assert f"TF-IDF reaches {alone.accuracy:.3f} on the same products" in report.notes[1]
    classifier.save(tmp_path / "c")
    assert TextClassifier.load(tmp_path / "c").evaluate(test).notes == report.notes
    assert len(alone.notes) == 1 and made("tfidf", baseline=True).fit(train).baseline_ is None


def test_names_that_are_unknown():
    with pytest.raises(
        ValueError, match="`network` 'ltsm' is unknown: choose one of bilstm, conv1d, lstm, tfidf"
    ):
        TextClassifier("ltsm")
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'filters'; this network takes vectors, dims"
    ):
        TextClassifier("lstm", filters=3)
    with pytest.raises(ValueError, match="has learned nothing yet"):
        TextClassifier().prepared("boot")


# -- the linear classifier


SOME = ["red wool", "red silk", "oak", "pine wood red red", "tin", "zinc red"] * 3


def test_tfidf_is_that_of_scikit_learn():
    layer = tfidf_vectorizer(SOME)
    theirs = TfidfVectorizer(
        ngram_range=(1, 2), tokenizer=str.split, token_pattern=None, lowercase=False
    )
    theirs.set_params(vocabulary=layer.get_vocabulary()[1:]).fit(SOME)
    asked = [*SOME, "", "red unknown wool", "unknown"]
    model = linear(layer, 2)
    seen = apply_network(
        keras.Model(model.input, model.get_layer("bottleneck").output), np.array(asked, object)
    )
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


WORDS, VECTORS = (
    ["glow", "sip", "sole", "lace", "clay"],
    np.arange(10, dtype=np.float32).reshape(5, 2) / 4,
)


@pytest.mark.parametrize("name", ["lstm", "bilstm", "conv1d"])
def test_a_network_begins_with_given_vectors(tmp_path, name):
    lines = [f"{w} {a} {b}" for w, (a, b) in zip(WORDS, VECTORS, strict=True)]
    (tmp_path / "v.txt").write_text("\n".join(lines), encoding="utf-8")
    options = {k: v for k, v in NETWORKS[name][1].items() if k != "dims"}
    kept, learned = (
        TextClassifier(name, embedding=tmp_path / "v.txt", baseline=False, **options, **o).fit(
            shop(0, 24), epochs=1
        )
        for o in ({}, {"learn_vectors": True})
    )
    at = kept.model.get_layer("bottleneck").get_vocabulary().index("sip")
    rows = [c.model.get_layer("vectors").get_weights()[0] for c in (kept, learned)]
    assert (
        rows[0].shape[1] == 2
        and rows[0][at].tolist() == VECTORS[1].tolist()
        and not rows[0][0].any()
    )
    assert np.abs(rows[1] - rows[0]).max() > 0
    kept.save(tmp_path / "c")
    (tmp_path / "v.txt").unlink()
    np.testing.assert_allclose(
        TextClassifier.load(tmp_path / "c").predict_proba(ODD), kept.predict_proba(ODD), atol=1e-6
    )
    with pytest.raises(FileNotFoundError, match="is no file"):
        kept.fit(shop(0, 6))


# -- masking


def test_masking_is_the_same_in_training_and_in_use():
    train = shop(0, 12, title=["Lämpchen glow", "mugs sip", "BOOTS sole"] * 4, description="")
    classifier = made("tfidf", mask_labels=True).fit(train)
    assert classifier.name == "tfidf, label words masked"
    assert not {"lämpchen", "mugs", "boots"} & set(
        classifier.model.get_layer("tfidf").get_vocabulary()
    )
    assert classifier.prepared(["Boot lace", "mug"]).tolist() == ["lace", ""]
    open_ = made("tfidf").fit(train)
    assert "boots" in open_.model.get_layer("tfidf").get_vocabulary()
    assert open_.evaluate(train).notes == ["the words of the labels were left in the texts"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier.predict(["Boot"]).shape == (1,)


# -- other scripts, and texts of which nothing is known


FOREIGN = {
    "zh": (["红色连衣裙", "蓝色连衣裙", "白色运动鞋", "黑色运动鞋"], ["绿色连衣裙", "绿色运动鞋"]),
    "ja": (
        ["赤いワンピース", "青いワンピース", "白いスニーカー", "黒いスニーカー"],
        ["緑のワンピース", "緑のスニーカー"],
    ),
    "th": (
        ["ชุดเดรสสีแดง", "ชุดเดรสสีดำ", "รองเท้าผ้าใบสีแดง", "รองเท้าผ้าใบสีดำ"],
        ["ชุดเดรสสีขาว", "รองเท้าผ้าใบสีขาว"],
    ),
    "hi": (["लाल काला जूता", "नीला जूता", "लाल किला चित्र", "नीला किला"], ["हरा जूता", "हरा किला"]),
}


@pytest.mark.parametrize("language", FOREIGN)
@pytest.mark.parametrize("name", ["tfidf", "conv1d"])
def test_titles_of_every_script_are_learned(name, language):
    titles, asked = FOREIGN[language]
    frame = pd.DataFrame({"title": titles * 4, "category": ["a", "a", "b", "b"] * 4})
    train = Catalog(frame.set_axis([f"p{n}" for n in range(16)]))
    classifier = made(name, fields="title", learning_rate=0.02, length=12).fit(train, epochs=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert classifier.predict(asked).tolist() == ["a", "b"]


def test_texts_of_which_nothing_is_known_are_told_of():
    classifier = made("tfidf").fit(shop(0, 24))
    with pytest.warns(
        UserWarning, match="1 of 1 texts have no word that training showed, e.g. 'robe rouge'"
    ):
        classifier.predict("Robe rouge")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        classifier.predict(["", None, "the sole of it"])
        classifier.predict(["sole"] * 30 + ["robe rouge"])  # one of many is nothing to warn of
        classifier.prepared("robe rouge")


def test_a_classifier_of_version_0_1_reads_words_as_it_did(tmp_path):
    train = shop(0, 12, title=["grün glow", "été sip", "sole lace"] * 4)
    classifier = made("tfidf").fit(train)
    assert "grun" in known_words(classifier.model)
    classifier.save(tmp_path / "c")
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text(encoding="utf-8"))
    state = manifest["meta"].get("state", manifest["meta"])
    assert state.pop("tokens") == 2
    (tmp_path / "c" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    old = TextClassifier.load(tmp_path / "c")
    assert old.prepared("Women's Grün").tolist() == ["women s grün"]
    assert old.to_state()["tokens"] == 1
