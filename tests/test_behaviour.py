"""One suite of behaviour that every classifier of the package passes: of pictures, of texts, of
both.
"""

import io
import json
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone

from prodrec.core import ImageError, file_digest
from prodrec.data.catalog import Catalog
from prodrec.models import choose_pictures
from prodrec.models.backbones import BACKBONES, register_backbone
from prodrec.models.backbones import NETWORKS as PRETRAINED
from prodrec.models.batchnorm import batchnorm_layers
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.networks import PRESETS
from prodrec.models.text import NETWORKS, TextClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),  # Keras 3 with numpy 2
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),  # one class
    # what a network of a few steps has learned is of no interest here
    pytest.mark.filterwarnings("ignore::prodrec.models.batchnorm.BatchNormWarning"),
]
SIZE = (32, 32)
THINGS = {
    "Rot": ((210, 30, 30), "glow bulb"),
    "grün/зелёный": ((30, 200, 40), "sip clay"),
    "青 <b>": ((30, 40, 210), "sole heel"),
}
CLASSES = sorted(THINGS)


def square(n):
    "A coloured square, a little different for each `n`, as the bytes of a PNG."
    pixels = np.full((32, 24, 3), 255, np.uint8)
    pixels[4 : 26 + n % 4, 3:20] = list(THINGS.values())[n % 3][0]
    pixels[28, n % 24] = n % 256
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def shop(start, stop, **columns):
    "The products from `start` to `stop`, of three kinds in turn; picture and title say which."
    numbers = range(start, stop)
    frame = {
        "image": [square(n) for n in numbers],
        "title": [f"No {n} {list(THINGS.values())[n % 3][1]}" for n in numbers],
        "category": [list(THINGS)[n % 3] for n in numbers],
    }
    return Catalog(pd.DataFrame(frame | columns, index=[f"s{n}" for n in numbers]))


def picture_network(image_size, n_classes, units=6):
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(units, activation="relu", name="embedding")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def frozen_network(image_size, n_classes):
    "Its first half has weights that stay as they are."
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Conv2D(4, 3, activation="relu", trainable=False)(x)
    x = keras.layers.Flatten(name="bottleneck")(x)
    x = keras.layers.Dense(6, activation="relu", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def tiny_backbone(weights):
    "Three filters that never change."
    x = inputs = keras.Input((None, None, 3))
    keras.utils.set_random_seed(5)
    x = keras.layers.Conv2D(6, 5, strides=3, activation="relu")(x)
    return keras.Model(inputs, x)


@pytest.fixture(scope="module", autouse=True)
def one_backbone():
    "Let every search find one backbone, that of this file, whatever weights the machine has."
    register_backbone("of-this-test", tiny_backbone, 6, 32, "-1 to 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose_pictures, "usable_parts", lambda: ["of-this-test"])
        yield
    with warnings.catch_warnings():  # of pandas, whose future has no `inplace`
        warnings.simplefilter("ignore")
        BACKBONES.drop("of-this-test", inplace=True)
    PRETRAINED.pop("of-this-test")


def text_network(vectorizer, n_classes, dims=6):
    inputs = keras.Input((), dtype="string")
    x = keras.layers.Embedding(vectorizer.vocabulary_size(), dims, name="vectors")(
        vectorizer(inputs)
    )
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


SMALL = {
    "lstm": {"dims": 6, "dense": 6, "units": 4},
    "bilstm": {"dims": 6, "dense": 6, "units": 4},
    "conv1d": {"dims": 6, "dense": 6, "filters": 4},
}


def pictures(network, **more):
    return lambda **options: ImageClassifier(network, SIZE, **more, **options)


def texts(network):
    return lambda **options: TextClassifier(
        network, length=6, baseline=False, **SMALL.get(network, {}), **options
    )


def both(fusion, image, text):
    return lambda **options: HybridClassifier(
        pictures(image)(**options), texts(text)(**options), fusion=fusion, **options
    )


KINDS = {
    "compact": pictures("compact", filters=(4, 8)),
    "fashion-baseline": pictures("fashion-baseline", filters=(4, 4), dense=(8,), rotation=0.1),
    "mobilenetv2": pictures("mobilenetv2", weights=None, dense=(8,)),
    "probe": pictures("probe", parts=("of-this-test",)),
    "auto": lambda **options: ImageClassifier(image_size=SIZE, minutes=0.05, **options),
    "own, pictures": pictures(picture_network),
    "lstm": texts("lstm"),
    "conv1d": texts("conv1d"),
    "tfidf": texts("tfidf"),
    "own, texts": texts(text_network),
    "concat": both("concat", picture_network, "conv1d"),
    "concat, frozen": both("concat", frozen_network, "lstm"),
    "late": both("late", frozen_network, "conv1d"),
    "late, tfidf": both("late", picture_network, "tfidf"),
}


SOLVED = ("tfidf", "probe", "auto")  # at once: no epochs, and nothing is drawn by lot


def made(kind, **options):
    return KINDS[kind](**{"seed": 3, "batch_size": 8, "learning_rate": 0.01} | options)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    "A classifier of each kind after two epochs, and what it was made of."
    train, validation = shop(0, 12, price=[1.5] * 12), shop(12, 18)
    before = [c.products.copy(deep=True) for c in (train, validation)]
    new = made(request.param)
    told = plain(new.get_params())
    classifier = new.fit(train, validation, epochs=2)
    assert classifier is new
    return SimpleNamespace(
        kind=request.param,
        classifier=classifier,
        train=train,
        validation=validation,
        before=before,
        told=told,
    )


def plain(params):
    "Parameters with those of classifiers in them, so that they can be compared."
    return {
        k: plain(v.get_params()) | {"is": type(v)} if isinstance(v, Classifier) else v
        for k, v in params.items()
    }


def of_pictures(classifier):
    return isinstance(classifier, ImageClassifier)


def as_list(classifier, catalog):
    "What is in a catalogue as the list that this classifier takes."
    images, titles = [catalog.open(i) for i in catalog], catalog.texts().tolist()
    if of_pictures(classifier):
        return images
    return (
        titles if isinstance(classifier, TextClassifier) else list(zip(images, titles, strict=True))
    )


# -- fit


def test_what_fit_leaves_behind(fitted):
    classifier = fitted.classifier
    assert classifier.classes_ == CLASSES and isinstance(classifier.model, keras.Model)
    late = getattr(classifier, "fusion", None) == "late"
    history = classifier.history_
    assert {"val_loss", "val_accuracy", "seconds"} <= set(history) and history.index.name == "epoch"
    assert late or {"loss", "accuracy"} <= set(history)
    assert len(history) == (1 if late or fitted.kind in SOLVED else 2)
    assert np.isfinite(history.to_numpy()).all() and (history.seconds > 0).all()


def test_training_data_are_left_alone(fitted):
    for catalog, before in zip((fitted.train, fitted.validation), fitted.before, strict=True):
        pd.testing.assert_frame_equal(catalog.products, before)


def test_what_was_given_is_what_it_was(fitted):
    classifier = fitted.classifier
    assert plain(classifier.get_params()) == fitted.told
    if isinstance(classifier, HybridClassifier):
        assert classifier.image.model is None and classifier.text.model is None


def left_out(classifier):
    "Two products that this classifier cannot learn from."
    junk = shop(50, 52, image=[None, b"junk"])
    return junk if of_pictures(classifier) else Catalog(junk.products.assign(title=["", None]))


def test_the_same_seed_gives_the_same_whatever_cannot_be_read(fitted):
    """A clone learns what the first has learned, and products without a picture that can be read
    make no difference.
    """
    classifier, test = clone(fitted.classifier), shop(18, 29)
    if isinstance(classifier, TextClassifier):  # a missing text is a text
        classifier.fit(fitted.train, fitted.validation, epochs=2)
    else:
        some, rest = fitted.train[fitted.train.ids[:5]], fitted.train[fitted.train.ids[5:]]
        gaps = Catalog.concat([some, left_out(classifier), rest])
        with pytest.warns(UserWarning, match="left out, e.g. |left out$|: left out") as said:
            classifier.fit(gaps, fitted.validation, epochs=2)
        assert any("2 " in str(w.message) and "s50" in str(w.message) for w in said)
    np.testing.assert_allclose(
        classifier.predict_proba(test), fitted.classifier.predict_proba(test), atol=1e-5
    )
    losses = [c.history_.drop(columns="seconds") for c in (classifier, fitted.classifier)]
    pd.testing.assert_frame_equal(*losses, atol=1e-5)


def test_new_labels_in_validation_and_another_seed(fitted):
    """Products whose label training never showed are not validated; what is validated is not
    learned.
    """
    kind, train = fitted.kind, fitted.train
    labels = [*fitted.validation.products.category[:3], "x", "y", "z"]
    mixed = Catalog(fitted.validation.products.assign(category=labels))
    other, test = made(kind, seed=4).fit(train, mixed, epochs=2), shop(18, 29)
    assert other.classes_ == CLASSES
    # nothing of these is drawn by lot, and beside "tfidf" the picture may count for nothing
    seeded = [c.image_ if kind.startswith("late") else c for c in (other, fitted.classifier)]
    gap = np.abs(np.subtract(*(c.predict_proba(test) for c in seeded))).max()
    if kind != "auto":  # whose penalty is that of another validation side
        assert gap == 0 if kind in SOLVED else gap > 1e-4
    known = fitted.validation[fitted.validation.ids[:3]]
    proba = other.predict_proba(known)[
        np.arange(3), [CLASSES.index(c) for c in known.products.category]
    ]
    if not batchnorm_layers(other.model):  # else its statistics are recomputed after the last epoch
        assert other.history_.val_loss.iloc[-1] == pytest.approx(-np.log(proba).mean(), abs=1e-4)
    with pytest.raises(ValueError, match="`validation` has n"):
        made(kind).fit(train, Catalog(fitted.validation.products.assign(category="x")), epochs=1)


def test_one_class(fitted):
    train = shop(0, 5, category=["only"] * 5)
    classifier = made(fitted.kind).fit(train, train, epochs=1)
    test = shop(18, 21)
    assert classifier.classes_ == ["only"] and classifier.predict(test).tolist() == ["only"] * 3
    np.testing.assert_allclose(classifier.predict_proba(test), np.ones((3, 1)), atol=1e-6)
    assert classifier.evaluate(train).accuracy == 1


# -- predict, embed, evaluate


def test_answers_have_their_shapes(fitted):
    classifier, test = fitted.classifier, shop(18, 29)
    proba, vectors, labels = (
        classifier.predict_proba(test),
        classifier.embed(test),
        classifier.predict(test),
    )
    assert proba.shape == (11, 3) and proba.dtype == vectors.dtype == np.float32
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    assert (proba >= 0).all()
    assert labels.shape == (11,) and labels.tolist() == [CLASSES[c] for c in proba.argmax(1)]
    assert vectors.ndim == 2 and len(vectors) == 11
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()
    if (
        fitted.kind != "mobilenetv2"
    ):  # whose weights are random here: after so many layers nothing is left of a picture
        assert (proba != proba[0]).any() and lengths.any()


def test_catalogues_lists_and_single_ones_give_the_same(fitted):
    classifier, test = fitted.classifier, shop(18, 29)
    listed = as_list(classifier, test)
    for ask in (classifier.predict_proba, classifier.embed):
        wanted = ask(test)
        np.testing.assert_allclose(ask(listed), wanted, atol=1e-6)
        np.testing.assert_allclose(ask(listed[0]), wanted[:1], atol=1e-6)
        np.testing.assert_allclose(ask(test[test.ids[::-1]]), wanted[::-1], atol=1e-6)


def test_nothing_is_asked(fitted):
    classifier = fitted.classifier
    assert classifier.predict_proba([]).shape == (0, 3) and classifier.predict([]).shape == (0,)
    assert classifier.embed([]).shape == (0, classifier.embed(shop(18, 19)).shape[1])


def test_pictures_and_texts_that_are_missing(fitted):
    classifier = fitted.classifier
    asked = (classifier.predict, classifier.predict_proba, classifier.embed, classifier.evaluate)
    gone, junk = (
        shop(18, 22, image=[square(18), square(19), x, square(21)]) for x in (None, b"junk")
    )
    for ask in asked:
        if of_pictures(classifier):
            for catalog in (gone, junk):
                with pytest.raises(ImageError, match="'s20'"):
                    ask(catalog)
        elif isinstance(classifier, HybridClassifier):
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # what is missing is no fault
                ask(gone)
            with pytest.warns(
                UserWarning,
                match="1 pictures cannot be read, e.g. .*'s20'.*: the texts stand alone",
            ):
                ask(junk)
        else:
            ask(Catalog(gone.products.assign(title=[None, "", "  ", "unheard of"])))
    if not of_pictures(classifier):
        empty = Catalog(gone.products.assign(title=None))
        np.testing.assert_allclose(classifier.predict_proba(empty).sum(1), 1, atol=1e-5)
        assert np.isfinite(classifier.embed(empty)).all()


def test_labels_that_training_never_showed(fitted):
    classifier = fitted.classifier
    test = shop(18, 24, category=["new", *CLASSES, "new", "other"])
    report = classifier.evaluate(test)
    assert (
        report.unseen == ["new", "other"]
        and report.ids == test.ids
        and report.name == classifier.name
    )
    assert (
        report.right.tolist()
        == (classifier.predict(test) == test.products.category.to_numpy()).tolist()
    )
    assert report.accuracy == report.right.mean()


# -- save, load, clone


def comparable(value):
    "A list and a tuple are the same in a file, and so are a function and its name."
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [comparable(v) for v in value]
    return getattr(value, "__name__", value)


def test_save_and_load(fitted, tmp_path):
    classifier, test = fitted.classifier, shop(18, 29)
    classifier.save(tmp_path / "c")
    assert not list(tmp_path.rglob("*.pkl"))
    proba, vectors, report = (
        classifier.predict_proba(test),
        classifier.embed(test),
        classifier.evaluate(test),
    )
    for cls in (type(classifier), Classifier):
        back = cls.load(tmp_path / "c")
        assert (
            type(back) is type(classifier)
            and repr(back) == repr(classifier)
            and back.name == classifier.name
        )
        np.testing.assert_allclose(back.predict_proba(test), proba, atol=1e-6)
        np.testing.assert_allclose(back.embed(test), vectors, atol=1e-6)
        pd.testing.assert_frame_equal(back.history_, classifier.history_)
        assert back.classes_ == classifier.classes_
        assert comparable(plain(back.get_params())) == comparable(plain(classifier.get_params()))
        assert back.evaluate(test).notes == report.notes
    back.save(tmp_path / "c")  # over what it was loaded from
    np.testing.assert_allclose(
        Classifier.load(tmp_path / "c").predict_proba(test), proba, atol=1e-6
    )
    others = {ImageClassifier, TextClassifier, HybridClassifier} - {type(classifier)}
    for other in others:
        with pytest.raises(
            ValueError, match=f"holds a saved {type(classifier).__name__}, not an? {other.__name__}"
        ):
            other.load(tmp_path / "c")


def as_version_01(folder):
    """Rewrite a saved folder as version 0.1 wrote it: the class as the kind, no format, the state
    as it is.
    """
    for inner in folder.glob("*/manifest.json"):
        as_version_01(inner.parent)
    manifest = json.loads((folder / "manifest.json").read_text())
    state, name = manifest["meta"]["state"], manifest["meta"]["class"]
    for part in (state, state.get("image", {})):
        if isinstance(part, dict):
            part.pop("image_size", None)
    old = {"kind": name, "prodrec": "0.1.0", "meta": state}
    inner = {f: file_digest(folder / f) for f in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(old | {"files": inner}))


def test_folders_of_version_01_load(fitted, tmp_path):
    classifier, test = fitted.classifier, shop(18, 29)
    classifier.save(tmp_path / "c")
    as_version_01(tmp_path / "c")
    for cls in (type(classifier), Classifier):
        back = cls.load(tmp_path / "c")
        assert type(back) is type(classifier) and back.classes_ == classifier.classes_
        np.testing.assert_allclose(
            back.predict_proba(test), classifier.predict_proba(test), atol=1e-6
        )
        np.testing.assert_allclose(back.embed(test), classifier.embed(test), atol=1e-6)


def test_a_clone_has_learned_nothing(fitted):
    classifier = fitted.classifier
    for copy in (clone(classifier), type(classifier)(**classifier.get_params())):
        assert type(copy) is type(classifier) and plain(copy.get_params()) == fitted.told
        assert "not fitted" in repr(copy)
        with pytest.raises(ValueError, match="has learned nothing yet"):
            copy.predict([])
    assert "3 classes" in repr(classifier)


def training(**changed):
    return {
        "learning_rate": 0.3,
        "optimizer": "sgd",
        "schedule": "cosine",
        "label_smoothing": 0.2,
    } | changed


PARAMS = {
    **{
        f"ImageClassifier({name!r})": lambda name=name: ImageClassifier(name, (64, 48))
        for name in PRESETS
    },
    **{f"TextClassifier({name!r})": lambda name=name: TextClassifier(name) for name in NETWORKS},
    "pictures, all given": lambda: ImageClassifier(
        "compact",
        [33, 34],
        "sort",
        5,
        7,
        "crop",
        "bfloat16",
        **training(balance="weights"),
        blocks=2,
        filters=[3, 4],
    ),
    "texts, all given": lambda: TextClassifier(
        "conv1d",
        "sort",
        "title",
        9,
        8,
        "v.txt",
        {"of", "a"},
        True,
        False,
        5,
        7,
        **training(),
        filters=3,
    ),
    "names": lambda: HybridClassifier(
        "compact", "conv1d", **training(balance="sampling", recompute_batchnorm=False)
    ),
    "both given": lambda: HybridClassifier(
        ImageClassifier("slash", seed=2), TextClassifier("tfidf", seed=3), "late"
    ),
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_make_another_one_like_it(name):
    classifier = PARAMS[name]()
    params = classifier.get_params()
    assert (
        plain(type(classifier)(**params).get_params())
        == plain(params)
        == plain(clone(classifier).get_params())
    )
    for key, value in {
        "seed": 11,
        "learning_rate": 0.7,
        "optimizer": "rmsprop",
        "batch_size": 13,
    }.items():
        assert plain(type(classifier)(**params | {key: value}).get_params()) == plain(
            params | {key: value}
        )


# -- every network that is built in


BUILT_IN = {name: (ImageClassifier, {"image_size": SIZE}) for name in PRESETS} | {
    name: (TextClassifier, {"baseline": False, **SMALL.get(name, {})}) for name in NETWORKS
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_network_of_the_package_learns_and_answers(name):
    kind, options = BUILT_IN[name]
    classifier = kind(name, seed=3, batch_size=4, **options)
    before, build = [], classifier.build
    classifier.build = lambda *a: remembered(build(*a), before)
    classifier.fit(shop(0, 6), epochs=1)
    assert any((a != b).any() for a, b in zip(before, classifier.model.get_weights(), strict=True))
    proba, vectors = classifier.predict_proba(shop(6, 11)), classifier.embed(shop(6, 11))
    assert proba.shape == (5, 3) and np.isfinite(vectors).all() and len(vectors) == 5
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    assert "embedding" in [layer.name for layer in classifier.model.layers]
    assert classifier.model.get_layer("probabilities").compute_dtype == "float32"


def remembered(model, weights):
    weights.extend(model.get_weights())
    return model
