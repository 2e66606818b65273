"""Networks by name: built-in ones, one's own, those of plugins; their parts; which size suits
them.
"""

from functools import partial
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from prodrec.models import networks as module
from prodrec.models.networks import (
    PRESETS,
    as_functional,
    cnn,
    embedding_network,
    find_network,
    load_plugins,
    network_alone,
    network_entry,
    networks,
    register_network,
    residual,
    split_frozen,
    suitable_size,
)
from prodrec.models.training import TRAINING, training_of


def own(image_size, n_classes):
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


@pytest.fixture
def registry(monkeypatch):
    "A registry of its own for each test."
    monkeypatch.setattr(module, "_REGISTERED", dict(module._REGISTERED))


@pytest.mark.usefixtures("registry")
def test_a_registered_network_is_found_and_trained_as_it_wants():
    register_network("own", own, size=64, optimizer="sgd", learning_rate=0.1)
    assert find_network("own") is own and networks()["own"] is own
    assert training_of("own") == TRAINING | {"optimizer": "sgd", "learning_rate": 0.1}
    given = training_of("own", *[0.5] + [None] * (len(TRAINING) - 1))
    assert (given["learning_rate"], given["optimizer"]) == (0.5, "sgd")
    register_network("own", cnn)  # the later one counts
    assert find_network("own") is cnn and training_of("own") == TRAINING


def test_what_is_no_network_is_refused():
    for name, build in [("", own), (None, own), ("own", "cnn")]:
        with pytest.raises(TypeError, match="`name` must be text and `build` a function"):
            register_network(name, build)
    assert network_entry(own) == (own, 96, 32, {})


@pytest.mark.usefixtures("registry")
def test_plugins_register_when_they_are_imported(monkeypatch):
    calls = []

    def points(group):
        calls.append(group)
        broken = EntryPoint("broken", "no_such_package.networks", group)
        theirs = partial(register_network, "theirs", own)
        return [SimpleNamespace(name="theirs", value="theirs", load=theirs), broken]

    monkeypatch.setattr(module, "entry_points", points)
    load_plugins.cache_clear()
    try:
        with pytest.warns(
            UserWarning, match="entry point 'no_such_package.networks' of prodrec.*cannot be loaded"
        ):
            assert networks()["theirs"] is own
        networks()
        assert calls == ["prodrec.networks", "prodrec.backbones"]  # once
    finally:
        load_plugins.cache_clear()


def test_a_network_that_is_not_there_says_how_it_comes():
    with pytest.raises(ValueError, match="`network` 'twig' .* import the module that registers it"):
        find_network("twig")


@pytest.mark.parametrize("name", PRESETS)
def test_what_goes_in_and_what_comes_out(name):
    model = find_network(name)((48, 40), 5)
    assert model.input.dtype == "uint8" and model.output_shape == (None, 5)
    assert "embedding" in [layer.name for layer in model.layers]
    assert split_frozen(model) == (None, model)


def test_too_small_is_refused():
    with pytest.raises(ValueError, match="too small for 3 poolings: at least 8 pixels"):
        cnn((7, 60), 3)
    with pytest.raises(ValueError, match="too small for 4 poolings"):
        residual((60, 15), 3)


def test_a_sequential_network_is_taken_apart_also_when_it_was_loaded(tmp_path):
    parts = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(name="bottleneck")]
    model = keras.Sequential([keras.Input((8, 6, 3), dtype="uint8"), *parts, keras.layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    network_alone(as_functional(model)).save(tmp_path / "f.keras")
    loaded = [keras.models.load_model(tmp_path / f"{m}.keras", compile=False) for m in "mf"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), dtype=np.uint8)
    for each in map(as_functional, (model, *loaded)):
        frozen, learns = split_frozen(each)
        np.testing.assert_allclose(learns(frozen(pixels)), model(pixels), atol=1e-5)
        assert embedding_network(each).output_shape == (None, 144)
        np.testing.assert_allclose(network_alone(each)(pixels), model(pixels), atol=1e-6)


@pytest.mark.parametrize(
    "sizes, network, wanted",
    [
        ([(80, 60)], "compact", (80, 64)),
        ([(3000, 2000), (1500, 1000)], "compact", (96, 64)),
        ([(20, 12)], "compact", (32, 32)),
        ([(900, 100)], "cnn", (96, 32)),
        ([(80, 60)], "mobilenetv2", (112, 88)),
        ([(500, 400)], "mobilenetv2", (224, 176)),
        ([(180, 180)], "mobilenetv2", (184, 184)),
        ([], "mobilenetv2", (224, 224)),
    ],
)
def test_the_size_that_suits(sizes, network, wanted):
    import prodrec.models.backbones  # noqa: F401  registers them

    assert suitable_size(sizes, network) == wanted


def test_the_network_enlarges_where_it_resizes():
    import prodrec.models.backbones  # noqa: F401  registers them

    assert suitable_size([(80, 60)], "mobilenetv2", enlarge=False) == (80, 64)
