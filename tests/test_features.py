"""What a network makes of pictures: computed once, found by content, never another network's."""

import io
import os

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.data.catalog import Catalog
from prodrec.models import features as module
from prodrec.models.backbones import backbone
from prodrec.models.classifier import ImageClassifier
from prodrec.models.features import bottleneck, has_bfloat16, in_bfloat16, network_digest
from prodrec.models.pixels import apply_network, load_pixels

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
SIZE = (16, 12)


def catalog(start, stop):
    "Products with a picture of their own each."
    images = []
    for n in range(start, stop):
        out = io.BytesIO()
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(
            out, "PNG"
        )
        images.append(out.getvalue())
    return Catalog(
        pd.DataFrame(
            {"image": images, "category": [f"c{n % 2}" for n in range(start, stop)]},
            index=[f"p{n}" for n in range(start, stop)],
        )
    )


def small(seed=0, size=SIZE, activation="relu", **names):
    "A network with another inside it, as a backbone is inside a classifier."
    keras.utils.set_random_seed(seed)
    inside = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, activation=activation)], **names
    )
    inputs = keras.Input((*size, 3), dtype="uint8")
    x = inside(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    "How many rows each call of any network was given."
    seen, answer = [], keras.Model.predict_on_batch
    monkeypatch.setattr(
        keras.Model, "predict_on_batch", lambda self, x: seen.append(len(x)) or answer(self, x)
    )
    return seen


def test_a_picture_is_computed_once(calls):
    model, everything = small(), catalog(0, 20)
    pixels = load_pixels(everything, SIZE)
    wanted = apply_network(model, pixels, 8)
    calls.clear()
    first = bottleneck(model, pixels, 8)
    assert calls == [8, 8, 8] and first.computed == 20 and first.shape == (20, 4)
    np.testing.assert_allclose(first[:], wanted, atol=1e-6)
    assert first[:].dtype == np.float32
    calls.clear()
    renamed = Catalog(everything.products.rename(index=lambda i: f"another-{i}").iloc[::-1])
    again = bottleneck(model, load_pixels(renamed, SIZE), 8)
    assert not calls and again.computed == 0
    np.testing.assert_array_equal(again[:], first[:][::-1])
    more = bottleneck(model, load_pixels(catalog(15, 24), SIZE), 8)
    assert calls == [4] and more.computed == 4
    np.testing.assert_array_equal(more[:5], first[15:])
    np.testing.assert_array_equal(
        first[[3, 0]], wanted[[3, 0]]
    )  # still, though the store has grown
    np.testing.assert_array_equal(first[2], wanted[2])


def test_copies_are_computed_once(calls):
    products = pd.concat(
        [catalog(0, 3).products, catalog(0, 3).products.rename(index=lambda i: f"copy-{i}")]
    )
    found = bottleneck(small(), load_pixels(Catalog(products), SIZE))
    assert found.computed == 3 and len(found) == 6
    np.testing.assert_array_equal(found[:3], found[3:])


def test_nothing_of_another_network_is_used():
    pixels = load_pixels(catalog(0, 4), SIZE)
    bottleneck(small(0), pixels)
    others = [small(1), small(0, activation="tanh")]
    trained = small(0)
    trained.layers[2].layers[0].bias.assign([0, 0, 0, 1e-3])
    for other in [*others, trained]:
        found = bottleneck(other, pixels)
        assert found.computed == 4
        np.testing.assert_allclose(found[:], apply_network(other, pixels), atol=1e-6)
    assert bottleneck(small(0, size=(10, 8)), load_pixels(catalog(0, 4), (10, 8))).computed == 4
    assert bottleneck(small(0), load_pixels(catalog(0, 4), SIZE, "crop")).computed == 4
    assert bottleneck(small(0), pixels, keep="float16").computed == 4
    assert bottleneck(small(0), pixels).computed == 0


def test_the_digest_is_of_what_is_computed(tmp_path):
    model = small()
    wanted = network_digest(model)
    assert network_digest(small(name="something_else")) == wanted
    model.compile("adam", "mse")
    model.trainable = False
    assert network_digest(model) == wanted
    model.save(tmp_path / "m.keras")
    assert network_digest(keras.models.load_model(tmp_path / "m.keras")) == wanted
    # layers that are named after what they do are still told apart by what they do
    inputs = keras.Input((4,))
    one, other = (
        keras.Model(inputs, keras.layers.Activation(a, name=a)(inputs)) for a in ("relu", "tanh")
    )
    assert network_digest(one) != network_digest(other)
    a, b = keras.layers.Dense(4, use_bias=False), keras.layers.Dense(4, use_bias=False)
    before, after = keras.Model(inputs, b(a(inputs))), keras.Model(inputs, a(b(inputs)))
    assert network_digest(before) != network_digest(after)


def test_the_same_backbone_built_twice_is_the_same(tmp_path):
    first = backbone("convnexttiny", weights=None)  # Keras numbers its additions anew each time
    second = backbone("convnexttiny", weights=None)
    assert [op.name for op in first.operations] != [op.name for op in second.operations]
    assert network_digest(first) != network_digest(second)
    second.set_weights(first.get_weights())
    assert network_digest(first) == network_digest(second)


def test_an_interruption_keeps_what_was_computed(monkeypatch):
    model, pixels = small(), load_pixels(catalog(0, 20), SIZE)
    answer, seen = model.predict_on_batch, []

    def interrupted(x):
        seen.append(len(x))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return answer(x)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(model, "predict_on_batch", interrupted)
        bottleneck(model, pixels, 8)
    resumed = bottleneck(model, pixels, 8)
    assert resumed.computed == 4
    np.testing.assert_allclose(resumed[:], apply_network(model, pixels), atol=1e-6)


@pytest.mark.parametrize("file", ["rows.float32", "digests"])
def test_a_torn_file_is_cut_to_what_is_whole(file, empty_cache):
    model, pixels = small(), load_pixels(catalog(0, 10), SIZE)
    wanted = bottleneck(model, pixels)[:]
    (path,) = (empty_cache / "features").rglob(file)
    os.truncate(path, path.stat().st_size - 5)
    again = bottleneck(model, pixels)
    assert again.computed == 1
    np.testing.assert_allclose(again[:], wanted, atol=1e-6)


def test_what_is_asked_wrongly():
    model, pixels = small(), load_pixels(catalog(0, 3), SIZE)
    with pytest.raises(
        ValueError, match="`precision` must be 'float32' or 'bfloat16', received 'f16'"
    ):
        bottleneck(model, pixels, precision="f16")
    with pytest.raises(ValueError, match="`keep` must be 'float32' or 'float16', received 'int8'"):
        bottleneck(model, pixels, keep="int8")
    several = keras.Model(model.input, [model.output, model.output])
    with pytest.raises(ValueError, match="`model` must give one array of one shape"):
        bottleneck(several, pixels)
    model.layers[2].layers[0].bias.assign([1e6] * 4)
    with pytest.raises(ValueError, match="holds numbers up to 65,504, the network answers 1,000,0"):
        bottleneck(model, pixels, keep="float16")
    assert bottleneck(model, pixels).computed == 3


def test_no_picture_at_all():
    found = bottleneck(
        small(), load_pixels(Catalog(catalog(0, 1).products.assign(image=None)), SIZE)
    )
    assert len(found) == 0 and found[:].shape == (0, 4)


def test_float16_is_half_the_size(empty_cache):
    model, pixels = small(), load_pixels(catalog(0, 10), SIZE)
    whole, half = (bottleneck(model, pixels, keep=keep) for keep in ("float32", "float16"))
    np.testing.assert_allclose(half[:], whole[:], rtol=6e-4, atol=1e-6)
    sizes = {p.name: p.stat().st_size for p in empty_cache.rglob("rows.*")}
    assert sizes == {"rows.float32": 160, "rows.float16": 80}


@pytest.mark.parametrize(
    "flags, found", [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("fpu avx512f", False)]
)
def test_the_processor_is_asked(monkeypatch, tmp_path, flags, found):
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    real = module.Path
    monkeypatch.setattr(
        module, "Path", lambda p: real(tmp_path / "cpuinfo") if p == "/proc/cpuinfo" else real(p)
    )
    assert has_bfloat16() is found
    (tmp_path / "cpuinfo").unlink()
    assert has_bfloat16() is False


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_is_near_and_kept_apart(monkeypatch, recwarn, has):
    monkeypatch.setattr(module, "has_bfloat16", lambda: has)
    model, pixels = small(), load_pixels(catalog(0, 10), SIZE)
    exact = bottleneck(model, pixels)
    rough = bottleneck(model, pixels, precision="bfloat16")
    assert rough.computed == 10 and (rough[:] != exact[:]).any()
    np.testing.assert_allclose(rough[:], exact[:], rtol=0.03, atol=0.01)
    assert has == (not any("this processor has no bfloat16" in str(w.message) for w in recwarn))
    inside = in_bfloat16(model).layers[2].layers[0]
    assert (inside.compute_dtype, inside.variable_dtype) == ("bfloat16", "float32")
    assert model.layers[2].layers[0].compute_dtype == "float32"
    assert network_digest(in_bfloat16(model)) != network_digest(model)


def frozen_then_head(image_size, n_classes):
    base = small(size=image_size)
    base.trainable = False
    out = keras.layers.Identity(name="bottleneck")(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes, activation="softmax")(out))


def test_a_second_classifier_computes_nothing(calls):
    def fitted(train, validation):
        return ImageClassifier(frozen_then_head, image_size=SIZE, batch_size=8).fit(
            train, validation, epochs=1
        )

    first = fitted(catalog(0, 12), catalog(12, 16))
    assert calls == [8, 8, 4]
    calls.clear()
    again = fitted(catalog(0, 12), catalog(12, 16))
    assert not calls
    np.testing.assert_allclose(again.history_["loss"], first.history_["loss"], atol=1e-5)
    fitted(catalog(4, 20), catalog(0, 4))  # the sides of another split, and four new products
    assert calls == [4]
