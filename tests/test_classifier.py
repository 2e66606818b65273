"""Classifiers of pictures, on catalogues of coloured squares: what is theirs alone."""

import io
import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.core import ImageError, file_digest, read_manifest, save_folder
from prodrec.data.catalog import Catalog
from prodrec.models.backbones import backbone, features
from prodrec.models.calibration import with_temperature
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.networks import SavedNetwork, cnn
from prodrec.models.pixels import fit_size
from prodrec.models.trainer import labels_of
from prodrec.recommend.recommender import Recommender
from prodrec.stats import unit_rows

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
SIZE = (32, 32)
COLOURS = {"Rot": (210, 30, 30), "grün/зелёный": (30, 200, 40), "青 <b>": (30, 40, 210)}


def square(n):
    "A coloured square, a little different for each `n`, as the bytes of a PNG."
    pixels = np.full((32, 24, 3), 255, np.uint8)
    pixels[4 : 26 + n % 4, 3:20] = list(COLOURS.values())[n % 3]
    pixels[28, n % 24] = n % 256
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def squares(start, stop, **columns):
    "The products from `start` to `stop`, of three colours in turn."
    frame = pd.DataFrame(
        {"image": [square(n) for n in range(start, stop)]},
        index=[f"s{n}" for n in range(start, stop)],
    )
    return Catalog(
        frame.assign(category=[list(COLOURS)[n % 3] for n in range(start, stop)], **columns)
    )


def tiny(image_size, n_classes, units=6):
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(units, activation="relu", name="embedding")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


NETWORKS = {
    "fashion-baseline": ("fashion-baseline", {}),
    "mobilenetv2": ("mobilenetv2", {"weights": None, "dense": (16,)}),
    "own": (tiny, {}),
}


def made(name, **options):
    network, more = NETWORKS[name]
    return ImageClassifier(
        network, **{"image_size": SIZE, "batch_size": 8, "seed": 3, **more, **options}
    )


def test_every_kind_of_input_gives_the_same(tmp_path):
    classifier, test = fit_tiny(squares(0, 12)), squares(12, 15)
    wanted = classifier.predict_proba(test)
    arrays = [test.pixels(i) for i in test]
    for n, i in enumerate(test):
        (tmp_path / f"{n}.png").write_bytes(test.open(i))
    kinds = [
        arrays,
        np.stack(arrays),
        [test.open(i) for i in test],
        tuple(test.image(i) for i in test),
    ]
    kinds += [
        [tmp_path / f"{n}.png" for n in range(3)],
        [str(tmp_path / f"{n}.png") for n in range(3)],
    ]
    for kind in kinds:
        np.testing.assert_allclose(classifier.predict_proba(kind), wanted, atol=1e-6)
    np.testing.assert_allclose(classifier.predict_proba(arrays[0]), wanted[:1], atol=1e-6)


def test_nothing_is_learned_from_validation():
    train, test = squares(0, 12), squares(12, 17)
    alone, watched = fit_tiny(train, epochs=2), fit_tiny(train, squares(12, 18), epochs=2)
    np.testing.assert_allclose(alone.predict_proba(test), watched.predict_proba(test), atol=1e-6)
    assert set(watched.history_) - set(alone.history_) == {"val_loss", "val_accuracy"}


def test_a_damaged_folder_is_refused(tmp_path):
    made("own").fit(squares(0, 3), epochs=1).save(tmp_path / "c")
    for file in ("model.keras", "history.parquet"):
        whole = (tmp_path / "c" / file).read_bytes()
        (tmp_path / "c" / file).write_bytes(whole[:-1])
        with pytest.raises(ValueError, match=f"is damaged: {file}"):
            ImageClassifier.load(tmp_path / "c")
        (tmp_path / "c" / file).write_bytes(whole)


def test_what_is_loaded_learns_anew(tmp_path):
    made("fashion-baseline").fit(squares(0, 3), epochs=1).save(
        tmp_path / "c"
    )  # its name says how it is built
    again = ImageClassifier.load(tmp_path / "c").fit(squares(0, 6), epochs=1)
    assert again.predict(squares(6, 8)).shape == (2,)
    with pytest.raises(ImageError, match="/no/such/file.png"):
        again.predict(["/no/such/file.png"])


def fit_tiny(train, validation=None, epochs=1, **options):
    return made("own", **options).fit(train, validation, epochs=epochs)


def test_it_learns():
    classifier = fit_tiny(squares(0, 60), squares(60, 75), epochs=25, learning_rate=0.03)
    assert classifier.evaluate(squares(75, 105)).accuracy == 1
    assert classifier.history_["val_accuracy"].iloc[-1] == 1
    assert classifier.predict(squares(75, 78)).tolist() == list(COLOURS)


def test_what_cannot_be_read_is_left_out_with_a_warning():
    products = squares(0, 9).products
    products["image"] = (
        products["image"].where(np.arange(9) != 4, None).where(np.arange(9) != 5, b"junk")
    )
    with pytest.warns(
        UserWarning, match="2 of 9 products cannot be read and are left out, e.g. .*'s4', 'missing'"
    ):
        classifier = fit_tiny(Catalog(products))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        whole = fit_tiny(Catalog(products.drop(index=["s4", "s5"])))
    test = squares(9, 15)
    np.testing.assert_allclose(classifier.predict_proba(test), whole.predict_proba(test), atol=1e-5)
    with (
        pytest.raises(ValueError, match="none of the 9 products can be read"),
        pytest.warns(UserWarning),
    ):
        fit_tiny(Catalog(products.assign(image=None)))


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_one_class_and_one_product():
    one = fit_tiny(Catalog(squares(0, 5).products.assign(category="only")))
    assert one.predict(squares(0, 3)).tolist() == ["only"] * 3
    assert (one.predict_proba(squares(0, 3)) == 1).all()
    single = fit_tiny(squares(0, 1), squares(0, 1))
    assert single.classes_ == ["Rot"] and single.predict(square(1)).tolist() == ["Rot"]


def test_labels_that_are_no_text():
    catalog = squares(0, 9)
    for values, classes in [
        (np.arange(9) % 3, ["0", "1", "2"]),
        (
            pd.Categorical(["b", "a", "c"] * 3, categories=["c", "b", "a", "unused"]),
            ["a", "b", "c"],
        ),
        (pd.array([10, 9, 1] * 3, dtype="Int64"), ["1", "10", "9"]),
    ]:
        with_target = Catalog(catalog.products.assign(kind=values))
        classifier = fit_tiny(with_target, target="kind")
        assert classifier.classes_ == classes
        assert classifier.evaluate(with_target).unseen == []
        assert set(labels_of(with_target, "kind")) == set(classes)


def test_labels_that_are_missing():
    catalog = Catalog(squares(0, 3).products.assign(kind=["a", None, "b"]))
    with pytest.raises(ValueError, match="`kind` is missing for 1 products, e.g. 's1'"):
        fit_tiny(catalog, target="kind")
    with pytest.raises(
        ValueError,
        match="`target` 'sort' is no column of the catalogue; it has image, category, kind",
    ):
        fit_tiny(catalog, target="sort")


def test_validation_with_new_labels_is_validated_on_the_others():
    train, new = squares(0, 6), squares(6, 12)
    some = Catalog(new.products.assign(category=[*new.products["category"][:3], "x", "y", "z"]))
    mixed, plain = fit_tiny(train, some), fit_tiny(train, new[new.ids[:3]])
    np.testing.assert_allclose(mixed.history_["val_loss"], plain.history_["val_loss"], atol=1e-5)
    with pytest.raises(ValueError, match="`validation` has none of the labels of `train`"):
        fit_tiny(train, Catalog(new.products.assign(category="x")))


class Interrupt(keras.callbacks.Callback):
    "Ctrl-C in the middle of epoch `epoch`."

    def __init__(self, epoch):
        super().__init__()
        self.at, self.now = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_interruption_keeps_what_was_learned(epoch, tmp_path):
    classifier = made("own")
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(squares(0, 12), squares(12, 15), epochs=5, callbacks=[Interrupt(epoch)])
    assert len(classifier.history_) == epoch
    assert epoch == 0 or {"loss", "val_loss", "seconds"} <= set(classifier.history_)
    proba = classifier.predict_proba(squares(12, 18))
    classifier.save(tmp_path / "c")
    np.testing.assert_allclose(
        ImageClassifier.load(tmp_path / "c").predict_proba(squares(12, 18)), proba, atol=1e-6
    )
    assert len(classifier.fit(squares(0, 12), epochs=1).history_) == 1


def test_a_fit_that_fails_changes_nothing():
    classifier = made("own")
    no_labels = Catalog(squares(0, 3).products.drop(columns="category"))
    for call in (classifier.predict, classifier.predict_proba, classifier.embed, classifier.save):
        with pytest.raises(ValueError, match="has learned nothing yet"):
            call(squares(0, 1))
    for sides in ((no_labels, None), (squares(0, 3), no_labels)):
        with pytest.raises(ValueError, match="is no column"):
            classifier.fit(*sides)
        with pytest.raises(ValueError, match="has learned nothing yet"):
            classifier.predict(squares(0, 1))
    classifier.fit(squares(0, 3), epochs=1)
    before = classifier.predict_proba(squares(0, 6))
    with pytest.raises(ValueError, match="is no column"):
        classifier.fit(Catalog(squares(0, 6).products.assign(category="other")), no_labels)
    np.testing.assert_array_equal(classifier.predict_proba(squares(0, 6)), before)
    assert classifier.classes_ == sorted(COLOURS)


def test_networks_and_options_that_are_unknown():
    with pytest.raises(
        ValueError, match="`network` 'resnet' is unknown: choose one of cnn, compact, convnexttiny"
    ):
        ImageClassifier("resnet")
    with pytest.raises(TypeError, match="'depth'.*this network takes .*filters"):
        ImageClassifier("fashion-baseline", depth=3)
    with pytest.raises(TypeError, match="this network takes units"):
        ImageClassifier(tiny, filters=3)
    with pytest.raises(ValueError, match="is too small for 3 poolings: at least 8 pixels"):
        ImageClassifier("fashion-baseline", image_size=(7, 60)).fit(squares(0, 3))


def test_functions_of_every_kind_have_a_name(tmp_path):
    class Made:
        def __call__(self, image_size, n_classes):
            return tiny(image_size, n_classes)

    for network, name in [
        (partial(tiny, units=3), "tiny"),
        (Made(), "Made"),
        (lambda s, n: tiny(s, n), "<lambda>"),
    ]:
        classifier = ImageClassifier(network, image_size=SIZE).fit(squares(0, 6), epochs=1)
        assert classifier.evaluate(squares(0, 6)).name == classifier.name == name and name in repr(
            classifier
        )
        classifier.save(tmp_path / "c")
        assert ImageClassifier.load(tmp_path / "c").name == name


def test_sizes_may_be_numpy_numbers(tmp_path):
    classifier = ImageClassifier(cnn, image_size=np.array([16, 12]), filters=(2,), dense=(3,))
    classifier.fit(squares(0, 3), epochs=1).save(tmp_path / "c")
    assert ImageClassifier.load(tmp_path / "c").image_size == (16, 12)


def test_unit_rows():
    out = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]]))
    np.testing.assert_allclose(out, [[0.6, 0.8], [0, 0], [-1, 0]], atol=1e-7)
    assert out.dtype == np.float32 and unit_rows(np.empty((0, 3))).shape == (0, 3)


# -- weights


def test_vgg16_weights_from_a_file(tmp_path):
    keras.utils.set_random_seed(7)
    source = keras.applications.VGG16(weights=None, include_top=False, input_shape=(None, None, 3))
    path = tmp_path / "vgg.weights.h5"
    source.save_weights(path)
    data, test = squares(0, 3), squares(3, 8)
    pixels = np.stack([fit_size(test.pixels(i), (40, 32)) for i in test])
    prepared = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    wanted = source.predict(prepared, verbose=0).mean((1, 2))
    for given in (path, str(path)):
        found = features("vgg16", (40, 32), None, given).predict(pixels, verbose=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())
    options = {"image_size": (40, 32), "weights": path, "dense": (), "dropout": 0.0, "resize": None}
    classifier = ImageClassifier("vgg16", **options).fit(data, epochs=1)
    np.testing.assert_allclose(classifier.embed(test), unit_rows(wanted), atol=1e-4)
    classifier.save(tmp_path / "c")
    path.unlink()
    back = ImageClassifier.load(tmp_path / "c")
    np.testing.assert_allclose(back.embed(test), unit_rows(wanted), atol=1e-4)
    with pytest.raises(FileNotFoundError, match="is no file: give a path to one"):
        back.fit(data)


def test_weights_that_do_not_fit(tmp_path):
    other = tiny((16, 16), 2)
    other.save_weights(tmp_path / "other.weights.h5")
    other.save(tmp_path / "other.keras")
    for name in ("junk.weights.h5", "junk.h5", "junk.bin", "empty.keras"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"junk" * 99)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=r"`weights` '.*' does not fit"):
            backbone("vgg16", path)
    for path in (tmp_path / "no.h5", tmp_path, ""):
        with pytest.raises(FileNotFoundError, match="is no file"):
            backbone("vgg16", path)
    with pytest.raises(ValueError, match="`name` 'resnet' is unknown"):
        backbone("resnet")


def test_the_backbone_stays_as_it_is():
    classifier = made("mobilenetv2")
    before = features("mobilenetv2", SIZE, weights=None)
    assert not before.trainable_weights
    classifier.fit(squares(0, 6), epochs=2)
    base = next(layer for layer in classifier.model.layers if isinstance(layer, keras.Model))
    assert not base.trainable_weights and base.weights
    norm = next(
        layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert (np.asarray(norm.moving_mean) == 0).all() and (
        np.asarray(norm.moving_variance) == 1
    ).all()


def test_mobilenetv2_sees_what_keras_applications_sees():
    models = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models")
    if not list(models.glob("mobilenet_v2_weights_*_1.0_224_no_top.h5")):
        pytest.skip(
            "KERAS_HOME holds no ImageNet weights of MobileNetV2: let it name a folder with Keras's models/"  # noqa: E501
        )
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 96, 64, 3)).astype(np.uint8)
    with warnings.catch_warnings():  # Keras says that the weights are those for 224 x 224
        warnings.simplefilter("ignore")
        network = keras.applications.MobileNetV2(
            weights="imagenet", include_top=False, pooling="avg"
        )
    wanted = network.predict(
        keras.applications.mobilenet_v2.preprocess_input(pixels.astype(np.float32)), verbose=0
    )
    found = features("mobilenetv2", (96, 64), resize=None).predict(pixels, verbose=0)
    assert found.shape == (2, 1280)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


# -- folders


def as_version_01(path, classifier, meta):
    """Write what version 0.1 wrote: the class as the kind, no number of the format, the state as
    it is.
    """
    path.mkdir()
    classifier.model.save(path / "model.keras")
    classifier.history_.to_parquet(path / "history.parquet")
    files = {p.name: file_digest(p) for p in sorted(path.iterdir())}
    manifest = {"kind": "ImageClassifier", "prodrec": "0.1.0", "meta": meta, "files": files}
    (path / "manifest.json").write_text(json.dumps(manifest, indent=1))


def test_a_folder_of_version_01_loads(tmp_path):
    classifier, test = fit_tiny(squares(0, 6), epochs=2), squares(6, 9)
    params = {
        "target": "category",
        "seed": 3,
        "batch_size": 8,
        "image_size": [32, 32],
        "fit_mode": "pad",
    }
    meta = {
        "network": "tiny",
        "params": params | {"options": {"units": 6}},
        "classes": classifier.classes_,
    }
    as_version_01(tmp_path / "old", classifier, meta | {"temperature": 2.0})
    wanted = with_temperature(classifier.predict_proba(test), 2.0)
    for load in (Classifier.load, ImageClassifier.load):
        old = load(tmp_path / "old")
        np.testing.assert_allclose(old.predict_proba(test), wanted, atol=1e-6)
        assert type(old) is ImageClassifier and old.image_size == old.image_size_ == (32, 32)
        assert (old.name, old.temperature_, old.optimizer, old.options) == (
            "tiny",
            2.0,
            "adam",
            {"units": 6},
        )
    as_version_01(tmp_path / "older", classifier, meta)  # without a temperature
    assert Classifier.load(tmp_path / "older").temperature_ == 1.0
    old.save(tmp_path / "new")
    assert read_manifest(tmp_path / "new")["kind"] == "Classifier"
    np.testing.assert_allclose(
        Classifier.load(tmp_path / "new").predict_proba(test), wanted, atol=1e-6
    )


def test_a_classifier_is_found_in_the_folder_that_holds_it(tmp_path):
    classifier = fit_tiny(squares(0, 6))
    with save_folder(tmp_path / "model", "Trained") as folder:
        classifier.save(folder / "classifier")
        squares(0, 6).save(folder / "catalog")
    for load in (Classifier.load, ImageClassifier.load):
        assert load(tmp_path / "model").predict(squares(0, 3)).shape == (3,)
    squares(0, 3).save(tmp_path / "catalog")
    with pytest.raises(ValueError, match="holds a saved Catalog, not a Classifier"):
        ImageClassifier.load(tmp_path / "catalog")


def test_a_sequential_network_is_saved_again_after_loading(tmp_path):
    def sequential(image_size, n_classes):
        first = [keras.Input((*image_size, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255)]
        last = [keras.layers.Flatten(), keras.layers.Dense(n_classes, activation="softmax")]
        return keras.Sequential(first + last)

    classifier, test = ImageClassifier(sequential, SIZE).fit(squares(0, 6), epochs=1), squares(6, 9)
    proba, vectors = classifier.predict_proba(test), classifier.embed(test)
    for n in range(3):
        classifier.save(tmp_path / f"{n}")
        classifier = Classifier.load(tmp_path / f"{n}")
        np.testing.assert_allclose(classifier.predict_proba(test), proba, atol=1e-6)
        np.testing.assert_allclose(classifier.embed(test), vectors, atol=1e-6)


class Mirrored(ImageClassifier):
    "Look at each picture twice."

    def raw_proba(self, inputs):
        seen = inputs[:]
        return (super().raw_proba(seen) + super().raw_proba(seen[:, :, ::-1])) / 2


class Named(ImageClassifier):
    "Has a constructor of its own, and does not say how it is saved."

    def __init__(self, title="x"):
        super().__init__(tiny, SIZE)
        self.title = title


def test_a_class_of_ones_own_comes_back_as_what_it_was(tmp_path):
    classifier = Mirrored(tiny, SIZE, batch_size=8).fit(squares(0, 6), epochs=1)
    classifier.save(tmp_path / "c")
    for load in (Classifier.load, ImageClassifier.load, Mirrored.load):
        again = load(tmp_path / "c")
        assert type(again) is Mirrored
        np.testing.assert_allclose(
            again.predict_proba(squares(6, 9)), classifier.predict_proba(squares(6, 9))
        )
    with pytest.raises(TypeError, match="Named has a constructor of its own"):
        Named().fit(squares(0, 3), epochs=1).save(tmp_path / "named")


# -- sizes of pictures


def test_the_size_of_pictures_follows_from_the_pictures(tmp_path):
    classifier = ImageClassifier(tiny).fit(squares(0, 6), epochs=1)  # they are 32 x 24
    assert classifier.image_size is None and classifier.image_size_ == (32, 32)
    assert classifier.model.input_shape[1:3] == (32, 32)
    classifier.save(tmp_path / "c")
    again = ImageClassifier.load(tmp_path / "c")
    assert (
        again.image_size is None
        and again.image_size_ == (32, 32)
        and repr(again) == repr(classifier)
    )
    assert again.predict(square(1)).shape == (1,)
    assert ImageClassifier(tiny).image_size_ is None


def test_a_small_picture_is_enlarged_for_a_backbone_unless_it_does_so():
    options = {"weights": None, "alpha": 0.35, "dense": (4,), "batch_size": 8}
    wide = ImageClassifier("mobilenetv2", **options).fit(squares(0, 3), epochs=1)
    assert wide.image_size_ == (112, 88)
    inside = ImageClassifier("mobilenetv2", resize=(48, 40), **options).fit(squares(0, 3), epochs=1)
    assert inside.image_size_ == (32, 32)


def test_a_fit_that_fails_leaves_size_and_temperature():
    classifier = ImageClassifier(tiny).fit(squares(0, 6), epochs=1)
    classifier.temperature_ = 2.0
    before = classifier.predict_proba(squares(6, 9))
    broken = Catalog(squares(0, 3).products.assign(image=None))
    with (
        pytest.raises(ValueError, match="none of the 3 products can be read"),
        pytest.warns(UserWarning),
    ):
        classifier.fit(broken)
    np.testing.assert_array_equal(classifier.predict_proba(squares(6, 9)), before)


# -- labels


def test_whole_numbers_are_the_same_labels_with_and_without_decimals():
    train = Catalog(squares(0, 9).products.assign(kind=np.arange(9) % 3))
    classifier = fit_tiny(train, target="kind")
    for values in (np.arange(9) % 3 + 0.0, pd.array(np.arange(9) % 3 + 0.0, dtype="Float64")):
        report = classifier.evaluate(Catalog(squares(0, 9).products.assign(kind=values)))
        assert report.unseen == [] and set(report.labels) == {"0", "1", "2"}
    mixed = Catalog(
        squares(0, 3).products.assign(kind=pd.Series([1.0, 1.5, "a"], dtype=object).to_numpy())
    )
    assert labels_of(mixed, "kind").tolist() == ["1", "1.5", "a"]


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, ("a",), {"a"}, np.array(["a"])], ids=str)
def test_a_label_is_one_value(value):
    catalog = squares(0, 3)
    kinds = np.empty(3, object)
    for n in range(3):
        kinds[n] = value
    with pytest.raises(
        ValueError, match=f"holds a {type(value).__name__} for product 's0'.*a label is one value"
    ):
        fit_tiny(Catalog(catalog.products.assign(kind=kinds)), target="kind")


def test_columns_that_are_no_good_as_labels_are_named():
    catalog = squares(0, 60)
    paths = [f"Home >> Room {n % 3} >> {n % 6}" for n in range(60)]
    with pytest.warns(
        UserWarning, match="looks like paths, e.g. 'Home >> Room 0 >> 0': to learn the first step"
    ):
        fit_tiny(Catalog(catalog.products.assign(kind=paths)), target="kind")
    with pytest.warns(UserWarning, match="has 60 different values for 60 products"):
        fit_tiny(Catalog(catalog.products.assign(kind=[f"n{n}" for n in range(60)])), target="kind")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit_tiny(catalog)


def test_what_it_looks_like():
    classifier = ImageClassifier("compact", SIZE)
    assert "not fitted" in classifier._repr_html_()
    fitted = fit_tiny(squares(0, 6), squares(6, 9))
    html = fitted._repr_html_()
    assert (
        "32 x 32" in html
        and "3 classes" in html
        and "validation accuracy" in html
        and "<script" not in html
    )
    assert repr(fitted).startswith(
        "ImageClassifier('tiny', image_size=(32, 32), 3 classes of 'category', 1 epoch"
    )


IN_ANOTHER_PROCESS = """
import sys
from prodrec import Recommender
shop = Recommender.load(sys.argv[1])
near = shop.recommend(3, id="s1").ids
assert "tensorflow" not in sys.modules and "keras" not in sys.modules, "loaded too early"
assert shop.classifier.waits and shop.spaces["image"].waits and shop.spaces["image"].dim == 6
seen = shop.recommend(3, image=shop.catalog.open("s1")).ids
assert shop.spaces["image"]._saved is shop.classifier._saved
assert len(shop.classifier.predict(shop.catalog)) == len(shop.catalog)
print(*near, *seen)
"""


def test_a_loaded_network_waits_until_it_is_asked(tmp_path):
    train = squares(0, 24)
    made = ImageClassifier(tiny, SIZE, seed=0).fit(train, epochs=1)
    assert not made.waits and made.dim_ == 6
    made.save(tmp_path / "one")
    loaded = Classifier.load(tmp_path / "one")
    assert loaded.waits and loaded.dim_ == 6 and loaded.image_size_ == SIZE
    loaded.save(tmp_path / "two")
    assert loaded.waits  # to save it again it need not be loaded
    again = Classifier.load(tmp_path / "two")
    np.testing.assert_array_equal(again.predict_proba(train), made.predict_proba(train))
    assert not again.waits
    again.save(tmp_path / "three")
    np.testing.assert_array_equal(
        Classifier.load(tmp_path / "three").embed(train), made.embed(train)
    )
    shop = Recommender(image=made, classifier=made).fit(train)
    shop.save(tmp_path / "shop")
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / "shop")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    wanted = shop.recommend(3, id="s1").ids + shop.recommend(3, image=train.open("s1")).ids
    assert out.stdout.split() == wanted


def test_a_waiting_network_that_cannot_be_read_is_told(tmp_path):
    made = ImageClassifier(tiny, SIZE, seed=0).fit(squares(0, 6), epochs=1)
    made.save(tmp_path / "it")
    loaded = Classifier.load(tmp_path / "it")
    loaded._saved = SavedNetwork(b"PK no network")
    with pytest.raises(ValueError, match="the saved network cannot be read"):
        loaded.predict(squares(0, 1))
    with pytest.raises(ValueError, match="the saved network cannot be read"):
        loaded.predict(squares(0, 1))  # and again
