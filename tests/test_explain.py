"""Heat maps where it is known what decides, in every network that looks at pictures; label errors
that were planted.
"""

import sys

import cv2
import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from prodrec.data.catalog import Catalog
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.explain import (
    grad_cam,
    grad_cam_figure,
    label_errors,
    map_layer,
    occlusion_map,
)
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.report import Report
from prodrec.models.text import TextClassifier

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
NAMES = ["red", "green", "neither"]


def scenes(n, seed):
    """Pictures of noise; where the red or green patch is, if there is one; and where the blue one
    is, which says nothing.
    """
    rng = np.random.default_rng(seed)
    pixels, masks = rng.integers(110, 146, (n, 32, 32, 3), np.uint8), np.zeros((2, n, 32, 32), bool)
    for i in range(n):
        sides = rng.permutation([rng.integers(0, 8), rng.integers(16, 24)])
        for mask, left, top in zip(masks, sides, rng.integers(0, 24, 2), strict=True):
            mask[i, top : top + 8, left : left + 8] = True
        pixels[i][masks[1, i]] = (40, 40, 220)
        if i % 3 < 2:
            pixels[i][masks[0, i]] = ((220, 40, 40), (40, 220, 40))[i % 3]
    return pixels, masks


def shop(pixels):
    rows = {"image": [cv2.imencode(".png", p[..., ::-1])[1].tobytes() for p in pixels]}
    rows |= {
        "title": [f"thing {n}" for n in range(len(pixels))],
        "category": [NAMES[n % 3] for n in range(len(pixels))],
    }
    return Catalog(pd.DataFrame(rows, index=[f"p{n}" for n in range(len(pixels))]))


@pytest.fixture(scope="module")
def probe():
    options = {
        "filters": (8, 16),
        "dense": (16,),
        "dropout": 0.0,
        "batch_size": 20,
        "learning_rate": 3e-3,
    }
    return ImageClassifier("cnn", (32, 32), **options).fit(shop(scenes(300, 1)[0]), epochs=12)


def shares(heat, masks):
    return (heat * masks).sum(axis=(2, 3)) / np.maximum(heat.sum(axis=(1, 2)), 1e-9)


def test_the_heat_lies_on_what_decides(probe):
    pixels, masks = scenes(60, 2)
    shown = np.arange(60) % 3 < 2
    pixels, masks = pixels[shown], masks[:, shown]
    assert (probe.predict(pixels) == NAMES[:2] * 20).mean() > 0.95
    heat = grad_cam(probe, pixels)
    assert heat.shape == (40, 32, 32) and heat.dtype == np.float32
    assert heat.min() >= 0 and (heat.max(axis=(1, 2)) == 1).all()
    decides, other = shares(heat, masks)
    assert masks.mean() == 1 / 16  # what a map that knows nothing would have on each
    assert decides.mean() > 0.5 and other.mean() < 1 / 16
    peaks = [m[np.unravel_index(h.argmax(), h.shape)] for h, m in zip(heat, masks[0], strict=True)]
    assert np.mean(peaks) > 0.9
    # asked about the colour that is not there, it does not point at the patch that is
    swapped = grad_cam(probe, pixels, label=["green", "red"] * 20)
    assert shares(swapped, masks)[0].mean() < decides.mean() / 2


def test_asking_in_other_ways(probe):
    pixels, _ = scenes(9, 3)
    heat = grad_cam(probe, shop(pixels))
    np.testing.assert_allclose(grad_cam(probe, pixels), heat, atol=1e-5)
    np.testing.assert_allclose(
        grad_cam(probe, list(pixels), label=probe.predict(pixels)), heat, atol=1e-5
    )
    np.testing.assert_allclose(grad_cam(probe, pixels[0]), heat[:1], atol=1e-5)
    many = np.concatenate([pixels] * 5)  # more than a batch
    np.testing.assert_allclose(grad_cam(probe, many), np.concatenate([heat] * 5), atol=1e-4)
    assert grad_cam(probe, []).shape == (0, 32, 32)
    convolutions = [
        layer.name for layer in probe.model.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    np.testing.assert_allclose(grad_cam(probe, pixels, layer=convolutions[-1]), heat, atol=1e-5)
    assert np.abs(grad_cam(probe, pixels, layer=convolutions[0]) - heat).max() > 0.1


def test_the_network_is_left_as_it_was(probe):
    pixels, _ = scenes(6, 4)
    before = probe.predict_proba(pixels)
    layer, last = map_layer(probe.model), probe.model.layers[-1]
    with pytest.raises(
        ValueError, match="`label` 'blue' is no class; there are green, neither, red"
    ):
        grad_cam(probe, pixels, label="blue")
    grad_cam(probe, pixels)
    assert "call" not in vars(layer) and last.activation is keras.activations.softmax
    np.testing.assert_array_equal(probe.predict_proba(pixels), before)


def by_hand(model, split_at, pixels, column):
    "Grad-CAM of a flat network, written out with one model for the maps and one for the score."
    maps = keras.Model(model.input, model.get_layer(split_at).output)(pixels, training=False)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        x, after = maps, False
        for layer in model.layers:
            if after and layer is model.layers[-1]:
                x = tf.matmul(x, layer.kernel) + layer.bias
            elif after:
                x = layer(x, training=False)
            after = after or layer.name == split_at
        score = x[:, column]
    weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2))
    heat = np.maximum(np.einsum("nhwc,nc->nhw", maps, weights), 0)
    heat = np.stack(
        [cv2.resize(h, (32, 32), interpolation=cv2.INTER_LINEAR) for h in heat.astype(np.float32)]
    )
    return heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-30)


def test_it_is_the_formula_of_the_paper(probe):
    pixels, _ = scenes(6, 5)
    wanted = by_hand(probe.model, map_layer(probe.model).name, pixels, 2)
    assert wanted.max() == 1
    np.testing.assert_allclose(grad_cam(probe, pixels, label=probe.classes_[2]), wanted, atol=1e-4)


NETWORKS = {
    "cnn": ("cnn", {"filters": (4, 4), "dense": (8,)}, "conv2d"),
    "mobilenetv2": ("mobilenetv2", {"weights": None, "dense": (8,)}, "out_relu"),
    "vgg16": ("vgg16", {"weights": None, "dense": (8,)}, "block5_conv3"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_that_looks_at_pictures(name, tmp_path):
    network, options, found = NETWORKS[name]
    pixels, _ = scenes(9, 6)
    classifier = ImageClassifier(network, (48, 40), batch_size=4, **options).fit(
        shop(pixels), epochs=1
    )
    assert map_layer(classifier.model).name.startswith(found)
    classifier.save(tmp_path / "c")
    for c in (classifier, Classifier.load(tmp_path / "c")):
        each = [grad_cam(c, pixels, label=label) for label in NAMES]
        assert each[0].shape == (9, 48, 40) and np.isfinite(each).all() and np.max(each) == 1
        assert np.abs(np.diff(each, axis=0)).max() > 0.1  # it depends on the question


@pytest.mark.parametrize("fusion", ["concat", "late"])
def test_the_picture_side_of_a_hybrid(fusion):
    pixels, masks = scenes(300, 1)
    catalog = shop(pixels)
    image = ImageClassifier(
        "cnn",
        (32, 32),
        filters=(8, 16),
        dense=(16,),
        dropout=0.0,
        batch_size=20,
        learning_rate=3e-3,
    )
    text = TextClassifier(
        "conv1d", length=4, dims=4, filters=4, dense=4, baseline=False, batch_size=20
    )
    hybrid = HybridClassifier(image, text, fusion=fusion, batch_size=20, learning_rate=3e-3)
    hybrid.fit(catalog, shop(scenes(60, 7)[0]), epochs=12)
    pixels, masks = scenes(60, 2)
    shown = np.flatnonzero(np.arange(60) % 3 < 2)
    some = shop(pixels)[[f"p{n}" for n in shown]]
    assert (hybrid.predict(some) == some.products["category"]).mean() > 0.9
    heat = grad_cam(hybrid, some)
    decides, other = shares(heat, masks[:, shown])
    assert decides.mean() > 4 * other.mean() and decides.mean() > 0.25  # a sixteenth by chance
    pairs = [(some.open(i), some.products.at[i, "title"]) for i in some.ids[:4]]
    np.testing.assert_allclose(grad_cam(hybrid, pairs), heat[:4], atol=1e-4)
    assert not grad_cam(hybrid, [(None, "thing 1")], label="red").any() or fusion == "concat"
    assert len(grad_cam_figure(hybrid, some[some.ids[:3]], label="red")) == 3
    plt.close("all")


def test_what_has_no_maps(monkeypatch):
    titles = TextClassifier("tfidf", fields="title").fit(shop(scenes(6, 1)[0]))
    with pytest.raises(ValueError, match="has no layer with maps"):
        grad_cam(titles, ["thing"])
    fresh = ImageClassifier("cnn", (32, 32))
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        grad_cam(fresh, scenes(1, 1)[0])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    fresh.model, fresh.classes_ = fresh.build(None, 3), NAMES
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        grad_cam(fresh, scenes(1, 1)[0])


def test_what_cannot_be_asked(probe):
    with pytest.raises(ValueError, match="`layer` 'conv99' is no layer with maps; there are "):
        grad_cam(probe, scenes(1, 1)[0], layer="conv99")
    with pytest.raises(ValueError, match="one for each of 2 pictures, received 3"):
        grad_cam(probe, scenes(2, 1)[0], label=["red", "green", "red"])


# -- occlusion


def test_covering_what_decides_costs_the_answer(probe):
    pixels, masks = scenes(12, 8)
    for n in np.flatnonzero(np.arange(12) % 3 < 2):
        fall = occlusion_map(probe, pixels[n], patch=8, stride=2)
        assert fall.shape == (32, 32) and fall.dtype == np.float32 and np.isfinite(fall).all()
        on, off = fall[masks[0, n]].mean(), fall[masks[1, n]].mean()
        assert on > 0.15 and on > 4 * abs(off)
        against = occlusion_map(probe, pixels[n], label=NAMES[1 - n % 3], patch=8, stride=2)
        assert (
            against[masks[0, n]].mean() < 0.05
        )  # what speaks for one does not speak for the other


def test_what_occlusion_takes(probe):
    pixels, _ = scenes(2, 9)
    before = pixels.copy()
    whole = occlusion_map(probe, pixels[0], patch=64)  # one place: all of it
    proba = probe.predict_proba([pixels[0], np.full_like(pixels[0], 128)])
    top = proba[0].argmax()
    np.testing.assert_allclose(whole[0, 0], proba[0, top] - proba[1, top], atol=1e-5)
    png = cv2.imencode(".png", pixels[0][..., ::-1])[1].tobytes()
    np.testing.assert_allclose(
        occlusion_map(probe, png), occlusion_map(probe, pixels[0]), atol=1e-6
    )
    assert (pixels == before).all()
    with pytest.raises(ValueError, match="`label` 'blue' is no class"):
        occlusion_map(probe, pixels[0], label="blue")


# -- labels that are probably wrong


def labelled(n=600, classes=4, wrong=0.08, seed=0):
    "(labels as given, those that are true, probabilities of a classifier that is right about 85 %)"
    rng = np.random.default_rng(seed)
    names = np.array([f"c{c}" for c in range(classes)])
    true = rng.integers(classes, size=n)
    seen = np.where(rng.random(n) < 0.85, true, rng.integers(classes, size=n))
    proba = rng.dirichlet(np.full(classes, 0.5), n) * 0.5 + np.eye(classes)[seen] * 0.5
    given = np.where(rng.random(n) < wrong, (true + rng.integers(1, classes, n)) % classes, true)
    return names[given], names[true], proba, names.tolist()


def test_planted_label_errors_are_found():
    pytest.importorskip("cleanlab")
    given, true, proba, names = labelled()
    found = label_errors(Report(given, proba, names, ids=[f"p{n}" for n in range(600)]))
    at = found["id"].str[1:].astype(int).to_numpy()
    planted = given != true
    by_chance = len(at) / 600  # of the planted ones, if it named just any
    assert (
        planted[at].mean() > 3 * planted.mean()
        and planted[at].sum() / planted.sum() > 3 * by_chance
    )
    assert planted[at[:20]].mean() > 3 * planted.mean()
    assert found["label"].tolist() == given[at].tolist() and found["score"].is_monotonic_increasing
    assert found["suggested"].tolist() == [names[c] for c in proba[at].argmax(1)]
    np.testing.assert_allclose(found["score"], [proba[i, names.index(given[i])] for i in at])
    clean = label_errors(
        Report(true, np.eye(4)[[names.index(t) for t in true]] * 0.9 + 0.025, names)
    )
    assert clean.empty and list(clean) == ["id", "label", "suggested", "score"]


def test_labels_that_cannot_be_judged_are_not_named():
    pytest.importorskip("cleanlab")
    given, _, proba, names = labelled()
    strange = given.astype(object).copy()
    strange[::7] = "new"
    found = label_errors(Report(strange, proba, names))
    assert len(found) and not set(found["id"]) & set(range(0, 600, 7))
    assert label_errors(Report(["new"] * 3, proba[:3], names)).empty
    assert label_errors(Report(["a"] * 3, np.ones((3, 1)), ["a"])).empty
    one = label_errors(Report(["c0"] * 50, proba[:50], names))  # a class that all labels have
    assert set(one["label"]) <= {"c0"}


def test_without_cleanlab(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(ImportError, match=r'pip install "prodrec\[labels\]"'):
        label_errors(Report(["a", "b"], np.eye(2), ["a", "b"]))
