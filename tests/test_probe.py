"""Probes: which weights are there, features of several backbones, and a head that is solved."""

import os

import keras
import numpy as np
import pytest
from builders import shop

from prodrec.models import probe as module
from prodrec.models.backbones import BACKBONES, FILES, NETWORKS, inside_size, register_backbone
from prodrec.models.engines import Swift
from prodrec.models.pixels import load_pixels
from prodrec.models.probe import (
    impatient,
    kept_parts,
    last_width,
    online,
    parse_part,
    power_root,
    probe,
    probe_features,
    split_parts,
    swift_features,
    usable_parts,
    with_levels,
)

PARTS = ("mobilenetv2:0.35", "mobilenet:0.25")


def small_features(parts=PARTS, flip=True):
    return probe_features((32, 32), parts, weights=None, flip=flip)


def test_what_is_kept_is_found_by_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert not set(kept_parts()) & {"mobilenetv2", "vgg16"}
    (tmp_path / "models").mkdir()
    for name, alpha in (("mobilenetv2", 1.0), ("mobilenetv2", 0.35), ("vgg16", 1.0)):
        (tmp_path / "models" / FILES[name][alpha]).touch()
    assert {"mobilenetv2", "mobilenetv2:0.35", "vgg16"} <= set(kept_parts())


def test_the_names_of_files_are_those_of_keras(monkeypatch):
    "Keras is asked for the weights of every backbone and width; it wants the file we look for."
    wanted = []

    def no_file(name, *args, **more):
        wanted.append(name)
        raise OSError("not now")

    for application in ("mobilenet", "mobilenet_v2", "vgg16", "resnet", "convnext"):
        mod = getattr(keras.src.applications, application)
        monkeypatch.setattr(mod.file_utils, "get_file", no_file)
    for name, files in FILES.items():
        for alpha, file in files.items():
            wanted.clear()
            with pytest.raises(FileNotFoundError):
                module.backbone(name, alpha=alpha)
            assert wanted == [file]


def test_offline_by_wish_and_by_fact(monkeypatch):
    monkeypatch.setenv("PRODREC_OFFLINE", "1")
    monkeypatch.setattr(module, "_reachable", lambda *a: True)
    assert not online() and usable_parts() == kept_parts()
    monkeypatch.delenv("PRODREC_OFFLINE")
    assert online() and set(module.FETCHED) <= set(usable_parts())
    monkeypatch.setattr(module, "_reachable", lambda *a: False)
    assert usable_parts() == kept_parts()


def test_a_silent_server_is_left():
    import socket

    with pytest.raises(OSError), impatient(0.05):
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).recv(1)
    assert socket.getdefaulttimeout() is None


def test_names_and_widths():
    assert parse_part("vgg16") == ("vgg16", 1.0) and parse_part("mobilenet:0.5")[1] == 0.5
    with pytest.raises(ValueError, match="unknown"):
        parse_part("nothing")
    with pytest.raises(ValueError, match="name or name:alpha"):
        parse_part("mobilenet:x")
    with pytest.raises(ValueError, match="`parts` is empty"):
        probe_features((32, 32), [])


@pytest.fixture
def few_filters():
    "A backbone that sees something: a deep one with random weights answers nearly the same to all."

    def build(weights):
        x = inputs = keras.Input((None, None, 3))
        return keras.Model(inputs, keras.layers.Conv2D(6, 4, strides=2, activation="relu")(x))

    register_backbone("mirror-of-test", build, 6, 32, "-1 to 1")
    yield
    BACKBONES.drop(["mirror-of-test"], inplace=True)
    NETWORKS.pop("mirror-of-test")


@pytest.mark.usefixtures("few_filters")
@pytest.mark.filterwarnings("ignore")
def test_a_mirror_image_has_the_same_features():
    x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    both, one = (
        probe_features((32, 32), ("mirror-of-test",), weights=None, flip=f) for f in (True, False)
    )
    one.set_weights(both.get_weights())
    straight, mirrored = one.predict_on_batch(x), one.predict_on_batch(x[:, :, ::-1])
    np.testing.assert_allclose(both.predict_on_batch(x), (straight + mirrored) / 2, atol=1e-4)
    assert np.abs(straight - mirrored).max() > 1e-4


def test_each_part_is_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path))
    pixels, frozen = load_pixels(shop(6), (32, 32)), small_features()
    wanted = frozen.predict_on_batch(pixels[:])
    np.testing.assert_allclose(swift_features(frozen, pixels), wanted, atol=1e-4)
    assert [p.output_shape[1] for p in split_parts(frozen)] == [1280, 256]
    monkeypatch.setattr(Swift, "predict_on_batch", lambda *a: pytest.fail("computed again"))
    np.testing.assert_allclose(swift_features(frozen, pixels), wanted, atol=1e-4)
    alone = small_features(PARTS[0])
    alone.set_weights(split_parts(frozen)[0].get_weights())
    np.testing.assert_allclose(swift_features(alone, pixels), wanted[:, :1280], atol=1e-4)


def test_the_root_keeps_the_sign():
    assert power_root(np.array([9.0, -4.0, 0.0])).tolist() == [3, -2, 0]
    x = np.array([[9.0, -4.0]], "f4")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(power_root(keras.ops.array(x))), [[3, -2]]
    )


def test_only_the_head_learns_and_it_is_saved(tmp_path):
    model = probe((32, 32), 4, PARTS, weights=None)
    assert [tuple(w.shape) for w in model.trainable_weights] == [(1536, 4), (4,)]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(again.predict_on_batch(x), model.predict_on_batch(x), atol=1e-6)


@pytest.mark.skipif("KERAS_HOME" not in os.environ, reason="KERAS_HOME names no weights")
def test_small_pictures_are_scaled_up_for_weights_that_have_learned():
    if "mobilenetv2:0.35" not in kept_parts():
        pytest.skip("these weights are not there")
    frozen = probe_features((80, 60), ("mobilenetv2:0.35",))
    sizes = [x.output.shape[1:3] for x in frozen.layers if isinstance(x, keras.layers.Resizing)]
    assert sizes == [(224, 168)] and inside_size("mobilenetv2", (80, 60)) == (224, 168)


def test_levels_of_several_parts_stand_in_order_and_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path))
    pixels = load_pixels(shop(6), (64, 64))
    frozen = probe_features((64, 64), PARTS, weights=None, levels=3)
    wanted = frozen.predict_on_batch(pixels[:])
    np.testing.assert_allclose(swift_features(frozen, pixels), wanted, atol=1e-3)
    parts = split_parts(frozen)
    lasts = [p.predict_on_batch(pixels[:])[:, : last_width(p)] for p in parts]
    at = sum(x.shape[1] for x in lasts)
    np.testing.assert_allclose(np.hstack(lasts), wanted[:, :at], atol=1e-3)
    assert at == 1280 + 256 < wanted.shape[1] == sum(p.output_shape[1] for p in parts)
    monkeypatch.setattr(Swift, "predict_on_batch", lambda *a: pytest.fail("computed again"))
    np.testing.assert_allclose(swift_features(frozen, pixels), wanted, atol=1e-3)


def test_a_backbone_without_earlier_maps_has_one_level():
    inputs = keras.Input((None, None, 3))
    flat = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    assert with_levels(flat, 4) is flat
    maps = keras.Model(inputs, keras.layers.Conv2D(4, 8, strides=8)(inputs))
    assert with_levels(maps, 4) is maps


def test_a_backbone_of_one_size_has_levels_too():
    inputs = keras.Input((48, 48, 3))
    x = keras.layers.Conv2D(5, 2, strides=2)(inputs)
    base = keras.Model(inputs, keras.layers.Conv2D(4, 2, strides=2)(x))
    assert [t.shape[1:] for t in with_levels(base, 4).outputs] == [(12, 12, 4), (24, 24, 5)]


@pytest.mark.parametrize("levels", [0, -1, True, 2.0, "2"])
def test_levels_are_a_whole_number(levels):
    with pytest.raises(ValueError, match="`levels` must be a whole number from 1, received"):
        probe_features((32, 32), PARTS, weights=None, levels=levels)
