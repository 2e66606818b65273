"""Every backbone: listed, prepared as it was trained, frozen, and asked in two precisions."""

import os
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from prodrec.models.backbones import (
    BACKBONES,
    NETWORKS,
    agreement,
    backbone,
    check_seen,
    features,
    prepare,
    transfer,
)
from prodrec.models.fine_tuning import find_backbone
from prodrec.models.networks import network_name, split_frozen

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
NAMES = BACKBONES.index.tolist()
SIZE = (40, 32)
THEIRS = {
    "vgg16": keras.applications.vgg16,
    "resnet50": keras.applications.resnet50,
    "efficientnetv2b0": keras.applications.efficientnet_v2,
    "mobilenetv2": keras.applications.mobilenet_v2,
    "mobilenet": keras.applications.mobilenet,
    "convnexttiny": keras.applications.convnext,
}


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


# -- the table


def test_the_table_says_what_is_there(built):
    name, model, base = built
    row = BACKBONES.loc[name]
    assert base.count_params() == row.parameters and base.output_shape[-1] == row.dim
    assert model.get_layer("bottleneck").output.shape[-1] == row.dim
    assert set(row.unfreeze) <= {layer.name for layer in base.layers} and row.unfreeze
    at = [[layer.name for layer in base.layers].index(first) for first in row.unfreeze]
    assert at == sorted(at, reverse=True)  # the last block first
    assert network_name(name) == name and NETWORKS[name].keywords == {"name": name}


def test_it_is_frozen(built):
    _, model, base = built
    assert not base.trainable_weights and base.weights
    frozen, head = split_frozen(model)
    assert frozen is not None and len(head.trainable_weights) == 4


def test_too_small_is_refused_and_small_enough_is_not():
    with pytest.raises(
        ValueError,
        match="vgg16 needs pictures of at least 32 x 32, received .31, 90.: give a larger",
    ):
        features("vgg16", (31, 90), weights=None)
    assert features("mobilenetv2", (20, 16), (32, 32), weights=None).output_shape == (None, 1280)
    assert (BACKBONES.smallest == 32).all()


def test_vgg16_stands_first():
    assert NAMES[0] == "vgg16" and set(NAMES) == set(THEIRS)


# -- what it sees


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_prepared_as_keras_prepares_them(name):
    pixels = random_pixels()
    inputs = keras.Input((*SIZE, 3), dtype="uint8")
    ours = keras.Model(inputs, prepare(inputs, name))(pixels)
    np.testing.assert_allclose(
        ours, THEIRS[name].preprocess_input(pixels.astype(np.float32)), atol=1e-3
    )


def test_the_backbone_gets_what_is_prepared(built):
    name, model, base = built
    pixels = random_pixels()
    wanted = np.asarray(
        base(THEIRS[name].preprocess_input(pixels.astype(np.float32)), training=False)
    ).mean((1, 2))
    found = np.asarray(split_frozen(model)[0](pixels))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_newer_ones_prepare_inside():
    for name, kind in [
        ("efficientnetv2b0", keras.layers.Rescaling),
        ("convnexttiny", keras.layers.Normalization),
    ]:
        kinds = {type(layer) for layer in backbone(name, None).layers[1:4]}
        assert kind in kinds, name


# -- weights


def test_weights_come_from_a_file(built, tmp_path):
    name, _, base = built
    base.save_weights(tmp_path / "mine.weights.h5")
    again = backbone(name, tmp_path / "mine.weights.h5")
    for ours, theirs in zip(again.get_weights(), base.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not again.trainable_weights
    other = NAMES[NAMES.index(name) - 1]
    with pytest.raises(ValueError, match="`weights` '.*' does not fit"):
        backbone(other, tmp_path / "mine.weights.h5")


def test_what_is_asked_wrongly():
    for call in (lambda: backbone("vgg19"), lambda: prepare(keras.Input((4, 4, 3)), "vgg19")):
        with pytest.raises(
            ValueError, match="`name` 'vgg19' is unknown: choose one of vgg16, resnet50"
        ):
            call()
    with pytest.raises(
        ValueError, match="`alpha` 0.5 is for mobilenet and mobilenetv2: vgg16 comes in one width"
    ):
        backbone("vgg16", None, alpha=0.5)
    with pytest.raises(ValueError, match="no ImageNet weights of mobilenetv2: .*alpha"):
        backbone("mobilenetv2", alpha=0.9)


def test_alpha_is_a_width():
    narrow = backbone("mobilenet", None, alpha=0.5)
    assert (
        narrow.output_shape[-1] == 512
        and narrow.count_params() < BACKBONES.parameters["mobilenet"] / 3
    )


@pytest.mark.parametrize(
    "name, alpha, file", [("mobilenet", 0.75, "_7_5"), ("mobilenetv2", 0.35, "_0.35")]
)
def test_real_weights_of_narrow_ones(name, alpha, file):
    models = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models")
    if not list(models.glob(f"mobilenet*{file}_224*no_top.h5")):
        pytest.skip(
            f"KERAS_HOME holds no ImageNet weights of {name} {alpha}: let it name a folder with Keras's models/"  # noqa: E501
        )
    found = np.asarray(features(name, SIZE, alpha=alpha)(random_pixels()))
    assert (
        found.shape[1] == (768 if name == "mobilenet" else 1280)
        and np.isfinite(found).all()
        and found.std() > 0.01
    )


# -- precision


def test_agreement():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 8))
    same = agreement(a, 3 * a, k=5)
    assert same["neighbours"] == 1 and same["least_cosine"] == pytest.approx(1)
    near = agreement(a, a + rng.normal(0, 0.1, a.shape), k=5)
    assert 0.5 < near["neighbours"] < 1 and 0.9 < near["least_cosine"] < near["mean_cosine"] < 1
    assert agreement(a, rng.normal(size=a.shape), k=5)["neighbours"] < 0.5
    for k, b in [(0, a), (30, a), (5, a[:9])]:
        with pytest.raises(ValueError, match="`k` must be from 1 to"):
            agreement(a, b, k)


def test_a_backbone_that_sees_less_than_half_of_its_size_says_what_to_do():
    with pytest.warns(UserWarning, match="trained on pictures of 224 x 224 and sees 96 x 72: give"):
        check_seen("mobilenetv2", (96, 72))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_seen("mobilenetv2", (112, 84))
        check_seen("mobilenetv2", (96, 72), pretrained=False)
