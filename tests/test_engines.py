"""Engines give the vectors of Keras, or say that they do not."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from spaces import tiny_network

from prodrec.models import engines
from prodrec.models.engines import (
    OpenVINO,
    Swift,
    check_engine,
    inference_copy,
    network_on,
    sample_pictures,
    smallest_cosine,
)


def resized_and_normalised():
    """A network of a user's own: it resizes, normalises by the batch in training, and is trained a
    little.
    """
    keras.utils.set_random_seed(1)
    inputs = keras.Input((24, 20, 3), dtype="uint8")
    x = keras.layers.Resizing(16, 16)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.RandomFlip()(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model.compile("sgd", "mse")
    model.fit(sample_pictures((24, 20), 32), np.zeros((32, 8)), epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("make", [tiny_network, resized_and_normalised])
def test_an_inference_copy_answers_the_same_in_training(make):
    model = make()
    x = sample_pictures(model.input_shape[1:3], 5)
    wanted = model.predict_on_batch(x)
    plain = inference_copy(model)
    for training in (False, True):
        found = np.asarray(plain(x, training=training))
        assert smallest_cosine(found, wanted) > 0.9999
        np.testing.assert_allclose(
            found[:1], np.asarray(plain(x[:1], training=training)), rtol=1e-4
        )


def least_cosine(make, precision):
    model = make()
    x = np.random.default_rng(0).integers(0, 256, (9, *model.input_shape[1:]), np.uint8)
    found = network_on("openvino", model, precision).predict_on_batch(x)
    assert found.dtype == np.float32
    return smallest_cosine(found, model.predict_on_batch(x))


@pytest.mark.parametrize("make", [tiny_network, resized_and_normalised])
def test_openvino_gives_the_vectors_of_keras(make):
    pytest.importorskip("openvino")
    assert least_cosine(make, "float32") > 0.99999


def test_openvino_in_bfloat16_gives_nearly_the_vectors_of_keras():
    """In a process of its own: where the processor has AMX, its registers do not fit where Ctrl-C
    is handled.
    """
    pytest.importorskip("openvino")
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from test_engines import least_cosine, resized_and_normalised, tiny_network

        for make in (tiny_network, resized_and_normalised):
            assert least_cosine(make, "bfloat16") > 0.999
    """
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), here], check=True, timeout=120)


def test_an_engine_that_disagrees_is_refused(monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(engines, "inference_copy", lambda model: tiny_network(seed=8))
    with pytest.raises(ValueError, match="gives other vectors for this network than Keras"):
        OpenVINO(tiny_network())


def test_names():
    with pytest.raises(
        ValueError, match="`engine` must be 'auto' or 'keras' or 'openvino', received 'torch'"
    ):
        check_engine("torch", "float32")
    with pytest.raises(ValueError, match="`precision` must be 'float32' or 'bfloat16'"):
        network_on("keras", tiny_network(), "int8")
    model = tiny_network()
    assert network_on("keras", model) is model


def counted(monkeypatch, error=None):
    "The networks that were compiled, or failed to be."
    made = []

    def compiled(model, precision):
        made.append(model)
        if error:
            raise error
        return model

    monkeypatch.setattr(engines, "OpenVINO", compiled)
    return made


def test_the_engine_that_suits_is_made_late_and_once(monkeypatch):
    made, model = counted(monkeypatch), tiny_network()
    x = sample_pictures(model.input_shape[1:3])
    swift = network_on("auto", model)
    assert type(swift) is Swift
    answers = [swift.predict_on_batch(x) for _ in range(8)]
    assert not made
    answers += [swift.predict_on_batch(x) for _ in range(3)]
    assert made == [model] and all(np.array_equal(a, answers[0]) for a in answers)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError("no OpenVINO here"), None),
        (
            ValueError("other vectors"),
            "Keras computes, since OpenVINO does not suit: other vectors",
        ),
        (RuntimeError("no such operation"), "does not suit: no such operation"),
    ],
)
def test_keras_goes_on_where_openvino_does_not_suit_and_says_so(monkeypatch, error, says, recwarn):
    made, model = counted(monkeypatch, error), tiny_network()
    x = sample_pictures(model.input_shape[1:3])
    swift = Swift(model, patience=1)
    answers = [swift.predict_on_batch(x) for _ in range(4)]
    assert len(made) == 1 and all(np.array_equal(a, answers[0]) for a in answers)
    told = [str(w.message) for w in recwarn if "OpenVINO" in str(w.message)]
    assert len(told) == (says is not None) and all(says in t for t in told)


def test_while_one_thread_compiles_keras_answers(monkeypatch):
    model, started, go = tiny_network(), threading.Event(), threading.Event()

    def slow(model, precision):
        started.set()
        assert go.wait(30)
        return model

    monkeypatch.setattr(engines, "OpenVINO", slow)
    swift, x = Swift(model, patience=0), sample_pictures(model.input_shape[1:3])
    thread = threading.Thread(target=swift.predict_on_batch, args=(x,))
    thread.start()
    assert started.wait(30)
    assert np.array_equal(swift.predict_on_batch(x), model.predict_on_batch(x))
    go.set()
    thread.join(30)
    assert not thread.is_alive() and swift._engine is model


def test_cosines_of_zeros():
    assert smallest_cosine(np.zeros((2, 3)), np.zeros((2, 3))) == 1
    assert smallest_cosine(np.eye(2), np.zeros((2, 2))) == 0
    pictures = sample_pictures((20, 30))
    assert pictures.shape == (4, 20, 30, 3) and pictures.dtype == np.uint8 and pictures.std() > 20
