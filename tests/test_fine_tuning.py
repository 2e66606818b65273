"""Fine-tuning: cut where a backbone can be cut, and changed nowhere but where it should learn."""

import io

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.data.catalog import Catalog
from prodrec.models import fine_tuning as module
from prodrec.models.backbones import (
    BACKBONES,
    agreement,
    transfer,
)
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.features import in_bfloat16
from prodrec.models.fine_tuning import cut, find_backbone, fine_tune, split_at, unfreeze_from
from prodrec.models.networks import split_frozen
from prodrec.models.pixels import load_pixels
from prodrec.models.training import TRAINING

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
NAMES = BACKBONES.index.tolist()
SIZE = (40, 32)


def random_pixels(n=2):
    return np.random.default_rng(0).integers(0, 256, (n, *SIZE, 3), dtype=np.uint8)


_built = {}


@pytest.fixture(params=NAMES)
def built(request):
    "(name, a transfer network of it, its backbone), built once, with random weights."
    if request.param not in _built:
        keras.utils.set_random_seed(1)
        _built[request.param] = transfer(SIZE, 3, request.param, weights=None, dense=(4,))
    model = _built[request.param]
    return request.param, model, find_backbone(model)


# -- cutting


def test_both_parts_together_are_the_network(built):
    name, model, base = built
    pixels = random_pixels()
    wanted = np.asarray(model(pixels))
    for first in BACKBONES.unfreeze[name]:
        assert cut(base, first) is not base.input, first
    below, above = split_at(model, base, first)  # the lowest: most is left above
    assert below.output_shape[0] is None and None not in below.output_shape[1:]
    np.testing.assert_allclose(above(below(pixels)), wanted, atol=1e-5)


def test_a_cut_is_never_inside_a_shortcut():
    base = find_backbone(
        _built.setdefault("resnet50", transfer(SIZE, 3, "resnet50", weights=None, dense=(4,)))
    )
    below = base.get_layer("conv4_block6_out").output
    for inside in (
        "conv5_block1_1_conv",
        "conv5_block1_2_conv",
        "conv5_block1_0_conv",
        "conv5_block1_add",
    ):
        assert cut(base, inside) is below, inside
    assert cut(base, "conv5_block2_1_conv") is base.get_layer("conv5_block1_out").output
    assert cut(base, base.layers[1].name) is base.input


def test_batchnorm_never_learns(built):
    name, _, base = built
    try:
        base.trainable = True
        of_training = {id(layer) for layer in base.layers if layer.trainable_weights}
        for first in (*BACKBONES.unfreeze[name], base.layers[1].name):
            unfreeze_from(base, first)
            names = [layer.name for layer in base.layers]
            for at, layer in enumerate(base.layers):
                learns = at >= names.index(first) and not isinstance(
                    layer, keras.layers.BatchNormalization
                )
                assert bool(layer.trainable_weights) == (learns and id(layer) in of_training), (
                    layer.name
                )
    finally:
        base.trainable = False
    assert not base.trainable_weights


# -- fine-tuning


def squares(start, stop):
    images = []
    for n in range(start, stop):
        pixels = np.full((*SIZE, 3), 255, np.uint8)
        pixels[4 : 26 + n % 4, 3:20] = [(210, 30, 30), (30, 200, 40), (30, 40, 210)][n % 3]
        pixels[28, n % 24] = n % 256
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        images.append(out.getvalue())
    frame = pd.DataFrame({"image": images}, index=[f"s{n}" for n in range(start, stop)])
    return Catalog(frame.assign(category=[f"c{n % 3}" for n in range(start, stop)]))


def small(image_size, n_classes):
    """A transfer network with a small backbone that has BatchNorm and a shortcut, and names as
    MobileNetV2 has them.
    """
    layers = keras.layers
    start = keras.Input((None, None, 3))
    x = layers.BatchNormalization(name="stem_bn")(
        layers.Conv2D(8, 5, strides=4, name="stem")(start)
    )
    x = shortcut = layers.ReLU(name="stem_out")(x)
    x = layers.BatchNormalization(name="block_13_bn")(
        layers.Conv2D(8, 1, name="block_13_expand")(x)
    )
    x = layers.Conv2D(8, 3, padding="same", name="block_13_project")(
        layers.ReLU(name="block_13_relu")(x)
    )
    x = layers.Add(name="block_13_add")([shortcut, x])
    x = layers.ReLU(name="out")(layers.Conv2D(12, 1, name="Conv_1")(x))
    base = keras.Model(start, x, name="small")
    base.trainable = False
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="bottleneck")(x))
    x = layers.Dense(8, activation="tanh", name="embedding")(x)
    return keras.Model(
        inputs, layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    "A folder with a fitted classifier on a small backbone."
    classifier = ImageClassifier(small, image_size=SIZE, batch_size=8, seed=3)
    classifier.fit(squares(0, 12), squares(12, 18), epochs=2).save(
        path := tmp_path_factory.mktemp("transfer") / "c"
    )
    return path


@pytest.fixture
def fitted(saved):
    return ImageClassifier.load(saved)


def weights_of(classifier):
    "Each layer's weights by its name, the backbone's and the head's."
    base = find_backbone(classifier.model)
    of = {layer.name: layer.get_weights() for layer in base.layers}
    return of | {
        f"head/{layer.name}": layer.get_weights()
        for layer in classifier.model.layers
        if layer is not base
    }


def changed(before, after):
    return {
        name
        for name, arrays in before.items()
        if any((a != b).any() for a, b in zip(arrays, after[name], strict=True))
    }


@pytest.mark.parametrize(
    "varied", [{}, {"flip": True, "shift": 0.1}], ids=["computed once", "varied"]
)
@pytest.mark.parametrize("unfreeze", ["block_13_project", "all"])
def test_only_what_is_named_changes(fitted, unfreeze, varied):
    before = weights_of(fitted)
    result = fine_tune(
        fitted, squares(0, 12), squares(12, 15), 2, unfreeze, learning_rate=1e-2, **varied
    )
    assert result is fitted
    base = find_backbone(fitted.model)
    names = [layer.name for layer in base.layers]
    first = 0 if unfreeze == "all" else names.index(unfreeze)
    learned = {
        layer.name
        for layer in base.layers[first:]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    }
    assert changed(before, weights_of(fitted)) == learned | {"head/embedding", "head/probabilities"}
    assert not base.trainable_weights and split_frozen(fitted.model)[0] is not None  # frozen again
    assert fitted.history_.phase.tolist() == ["head"] * 2 + [unfreeze] * 2
    assert fitted.history_.index.tolist() == [0, 1, 2, 3] and fitted.history_.val_loss.notna().all()
    assert fitted.learning_rate == 1e-3  # of the head's phase, as it was


def test_the_last_block_of_the_table_is_the_default(fitted, tmp_path):
    fine_tune(fitted, squares(0, 12), epochs=1)
    fine_tune(fitted, squares(0, 12), epochs=1, unfreeze="Conv_1")
    assert fitted.history_.phase.tolist() == ["head", "head", "block_13_expand", "Conv_1"]
    fitted.save(tmp_path / "c")
    back = ImageClassifier.load(tmp_path / "c")
    pd.testing.assert_frame_equal(back.history_, fitted.history_)
    np.testing.assert_allclose(
        back.predict_proba(squares(12, 17)), fitted.predict_proba(squares(12, 17)), atol=1e-5
    )
    fine_tune(back, squares(0, 12), epochs=1)
    assert len(back.history_) == 5


def test_it_learns(fitted):
    test = squares(12, 30)
    before = fitted.evaluate(test).accuracy
    fine_tune(fitted, squares(30, 60), epochs=20, learning_rate=1e-2)
    assert fitted.evaluate(test).accuracy > max(before, 0.9)


def test_what_lies_below_is_computed_once(fitted, monkeypatch):
    computed, original = [], module.bottleneck
    monkeypatch.setattr(
        module,
        "bottleneck",
        lambda *args: computed.append((found := original(*args)).computed) or found,
    )
    train, validation = squares(60, 72), squares(72, 76)
    fine_tune(fitted, train, validation, epochs=2, unfreeze="Conv_1")
    assert computed == [12, 4]
    fine_tune(fitted, train, validation, epochs=1, unfreeze="Conv_1")
    assert computed == [12, 4, 0, 0]
    fine_tune(fitted, train, epochs=1, flip=True, unfreeze="Conv_1")
    assert len(computed) == 4  # nothing is kept of pictures that vary
    fine_tune(fitted, train, epochs=1, unfreeze="block_13_expand")
    assert computed[4:] == [12]  # another cut, another network
    fine_tune(fitted, train, epochs=1, unfreeze="Conv_1")
    assert computed[5:] == [12]  # what lies below has learned in between


def test_cached_and_whole_learn_the_same(fitted, saved, monkeypatch):
    whole = ImageClassifier.load(saved)
    # the whole network with nothing varied; no dropout, since the two draw in another order
    for classifier in (fitted, whole):
        for layer in classifier.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
    fine_tune(fitted, squares(0, 12), epochs=2, unfreeze="block_13_expand", learning_rate=1e-4)
    monkeypatch.setattr(
        module, "_part_above", lambda classifier, base, first, varied, xs: (classifier.model, xs)
    )
    fine_tune(whole, squares(0, 12), epochs=2, unfreeze="block_13_expand", learning_rate=1e-4)
    np.testing.assert_allclose(
        fitted.predict_proba(squares(12, 20)), whole.predict_proba(squares(12, 20)), atol=1e-3
    )
    np.testing.assert_allclose(fitted.history_.loss, whole.history_.loss, rtol=1e-3)


class Interrupt(keras.callbacks.Callback):
    "Ctrl-C at the end of the first batch of epoch 1."

    def on_train_batch_end(self, batch, logs=None):
        if len(self.model.history.epoch) == 1:
            raise KeyboardInterrupt


def test_an_interruption_keeps_what_was_learned(fitted):
    before = weights_of(fitted)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(fitted, squares(0, 12), epochs=4, learning_rate=1e-2, callbacks=[Interrupt()])
    assert fitted.history_.phase.tolist() == ["head", "head", "block_13_expand"]
    assert "Conv_1" in changed(before, weights_of(fitted))
    assert not find_backbone(fitted.model).trainable_weights


def test_a_failure_changes_nothing(fitted, monkeypatch):
    before, history = weights_of(fitted), fitted.history_.copy()

    def broken(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(module, "bottleneck", broken)
    with pytest.raises(OSError, match="the disk is full"):
        fine_tune(fitted, squares(0, 12), epochs=1)
    assert (
        not changed(before, weights_of(fitted))
        and not find_backbone(fitted.model).trainable_weights
    )
    pd.testing.assert_frame_equal(fitted.history_[history.columns], history)


def test_what_cannot_be_fine_tuned(fitted):
    train = squares(0, 6)
    with pytest.raises(
        ValueError,
        match="`unfreeze` 'block5_conv1' is no layer of small: choose one of block_13_expand",
    ):
        fine_tune(fitted, train, unfreeze="block5_conv1")
    with pytest.raises(ValueError, match="`epochs` must be a positive integer, received 0"):
        fine_tune(fitted, train, epochs=0)
    with pytest.raises(ValueError, match="`patience` needs `validation`"):
        fine_tune(fitted, train, patience=1)
    new = Catalog(train.products.assign(category="new"))
    with pytest.raises(
        ValueError, match="`train` has labels that the classifier never saw, e.g. 'new'"
    ):
        fine_tune(fitted, new)
    with pytest.raises(ValueError, match="`validation` has none of the labels"):
        fine_tune(fitted, train, new)
    with pytest.raises(ValueError, match="has learned nothing yet"):
        fine_tune(ImageClassifier("vgg16", SIZE), train)
    with pytest.raises(
        ValueError, match="has no backbone to unfreeze: use a network of vgg16, resnet50"
    ):
        fine_tune(ImageClassifier("fashion-baseline", (16, 12)).fit(train, epochs=1), train)
    with pytest.raises(
        TypeError, match="`classifier` must be an ImageClassifier, received a Classifier"
    ):
        fine_tune(Classifier("category", 0, 8, TRAINING), train)
    assert "phase" not in fitted.history_


def test_it_learns_as_the_classifier_was_told(tmp_path):
    told = {
        "optimizer": "sgd",
        "schedule": "cosine",
        "balance": "weights",
        "label_smoothing": 0.1,
        "precision": "bfloat16",
    }
    classifier = ImageClassifier(small, image_size=SIZE, batch_size=8, **told).fit(
        squares(0, 12), epochs=1
    )
    before = weights_of(classifier)
    fine_tune(
        classifier, squares(0, 13), squares(13, 16), epochs=3, learning_rate=1e-2, unfreeze="Conv_1"
    )
    assert changed(before, weights_of(classifier)) == {
        "Conv_1",
        "head/embedding",
        "head/probabilities",
    }
    rates = classifier.history_.learning_rate.tolist()[1:]
    assert rates == sorted(rates, reverse=True) and 0 <= rates[-1] < rates[0] <= 1e-2
    fine_tune(
        classifier,
        squares(0, 12),
        squares(12, 16),
        epochs=9,
        learning_rate=1e-9,
        patience=1,
        unfreeze="Conv_1",
    )
    assert len(classifier.history_) < 13


def test_a_picture_that_cannot_be_read_is_left_out(fitted):
    products = squares(0, 9).products
    products["image"] = products["image"].where(np.arange(9) != 4, None)
    with pytest.warns(UserWarning, match="1 of 9 products cannot be read and are left out"):
        fine_tune(fitted, Catalog(products), epochs=1)


def test_a_backbone_in_bfloat16(saved):
    model = ImageClassifier.load(saved).model
    half = in_bfloat16(model)
    assert {layer.compute_dtype for layer in find_backbone(half).layers if layer.weights} == {
        "bfloat16"
    }
    assert {layer.compute_dtype for layer in find_backbone(model).layers if layer.weights} == {
        "float32"
    }
    pixels = load_pixels(squares(0, 12), SIZE)[:]
    both = [np.asarray(split_frozen(m)[0](pixels)) for m in (model, half)]
    assert both[1].dtype == np.float32 and agreement(*both, k=3)["least_cosine"] > 0.98


# -- a real one


def test_mobilenetv2_learns_where_it_should(tmp_path):
    options = {
        "image_size": (32, 32),
        "batch_size": 8,
        "weights": None,
        "alpha": 0.35,
        "dense": (8,),
    }
    ImageClassifier("mobilenetv2", **options).fit(squares(0, 8), epochs=1).save(tmp_path / "c")
    classifier = ImageClassifier.load(tmp_path / "c")
    before = weights_of(classifier)
    fine_tune(classifier, squares(0, 8), epochs=1, unfreeze="block_16_project", learning_rate=1.0)
    learned = changed(before, weights_of(classifier))
    assert learned == {"block_16_project", "Conv_1", "head/embedding", "head/probabilities"}
