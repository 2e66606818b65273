"""The learned embedding: its losses against plain formulas, its promises on a tiny catalogue with
plain eyes.
"""

import json
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from spaces import ColourWords, tiny_network

from prodrec import Catalog, Embedder, ImageClassifier, Recommender, load_demo
from prodrec.data.audit import audit
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder, TfidfEmbedder
from prodrec.recommend.metric_learning import (
    MetricEmbedder,
    arcface,
    likeness_labels,
    supervised_contrastive,
)


@pytest.fixture(scope="module")
def catalog():
    return audit(load_demo(200)).clean()


@pytest.fixture(scope="module")
def learned(catalog):
    encoders = ColorHistogram((16, 12)), ImageEmbedder(tiny_network())
    return MetricEmbedder(
        *encoders, target=("category", "colour"), dim=12, hidden=32, batch_size=64
    ).learn(catalog, epochs=3)


def test_the_contrastive_loss_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    z, y, t = rng.normal(size=(9, 4)), np.array([0, 0, 1, 1, 1, 2, 0, 3, 3]), 0.2
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    expected = []
    for i in range(9):
        others = [j for j in range(9) if j != i]
        total = sum(np.exp(z[i] @ z[j] / t) for j in others)
        alike = [j for j in others if y[j] == y[i]]
        expected.append(
            -np.mean([np.log(np.exp(z[i] @ z[j] / t) / total) for j in alike]) if alike else 0.0
        )
    found = keras.ops.convert_to_numpy(supervised_contrastive(y, z.astype(np.float32), t))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found[5] == 0


def test_arcface_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    cosines, y = rng.uniform(-0.95, 0.9, size=(7, 5)), np.array([0, 1, 2, 3, 4, 0, 1])
    logits = 10 * cosines
    own = np.arange(7), y
    logits[own] = 10 * np.cos(np.arccos(cosines[own]) + 0.3)
    expected = np.log(np.exp(logits).sum(1)) - logits[own]
    found = arcface(y, cosines.astype(np.float32), 0.3, 10.0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-4)
    extremes = keras.ops.convert_to_numpy(arcface([0, 1], np.float32([[1, -1], [1, -1]])))
    assert np.isfinite(extremes).all()


def test_labels_by_which_products_are_alike():
    frame = pd.DataFrame(
        {"title": "x", "category": ["a", "a", "b"], "colour": ["red", None, "red"]},
        index=list("123"),
    )
    products = Catalog(frame)
    assert likeness_labels(products, "category").category.tolist() == ["a", "a", "b"]
    with pytest.raises(ValueError, match="`colour` is missing for 1 products, e.g. '2'"):
        likeness_labels(products, ("category", "colour"))
    both = likeness_labels(products[["1", "3"]], ("category", "colour"))
    assert both.colour.tolist() == ["a / red", "b / red"]


@pytest.mark.parametrize("loss", ["arcface", "contrastive"])
@pytest.mark.parametrize("target", [("category",), ("category", "colour", "pattern")])
def test_it_learns_and_the_same_seed_learns_the_same(catalog, loss, target):
    def made():
        return MetricEmbedder(
            ColorHistogram((16, 12)),
            target=target,
            loss=loss,
            dim=8,
            hidden=16,
            batch_size=64,
            learning_rate=1e-2,
        ).learn(catalog, epochs=4)

    one, two = made(), made()
    assert one.history_.loss.iloc[-1] < one.history_.loss.iloc[0] and len(one.history_) == 4
    np.testing.assert_allclose(one.embed(catalog), two.embed(catalog), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one.embed(catalog), axis=1), 1, rtol=1e-4)


def test_one_picture_or_many_have_the_same_vectors(catalog, learned):
    whole = learned.embed(catalog)
    assert whole.shape == (len(catalog), 12) and whole.dtype == np.float32
    some = [catalog.open(i) for i in catalog.ids[:3]]
    np.testing.assert_allclose(learned.embed(some), whole[:3], atol=1e-5)
    np.testing.assert_allclose(learned.embed(some[0]), whole[:1], atol=1e-5)
    np.testing.assert_allclose(learned.embed(catalog[catalog.ids[:3]]), whole[:3], atol=1e-5)


def test_what_cannot_be_seen_is_zero(learned):
    everything = load_demo(200)
    vectors = learned.embed(everything, missing="zero")
    lengths = np.linalg.norm(vectors, axis=1)
    assert set(np.round(lengths, 3)) == {0.0, 1.0}
    with pytest.raises(ValueError, match="give `missing='zero'`"):
        learned.embed(everything)


def test_a_recommender_takes_it_and_teaches_it_nothing(catalog, learned, tmp_path):
    before = learned.embed(catalog)
    recommender = Recommender(image=learned, text=TfidfEmbedder(16)).fit(catalog)
    np.testing.assert_array_equal(learned.embed(catalog), before)
    recommender.save(tmp_path / "r")
    again = Recommender.load(tmp_path / "r")
    assert (
        again.recommend(k=3, id=catalog.ids[0]).ids
        == recommender.recommend(k=3, id=catalog.ids[0]).ids
    )
    assert isinstance(again.embedders["image"], MetricEmbedder)
    np.testing.assert_allclose(again.embedders["image"].embed(catalog), before, atol=1e-5)


def test_words_are_learned_in_the_same_way(catalog, tmp_path):
    words = MetricEmbedder(TfidfEmbedder(32), dim=8, hidden=16).learn(catalog, epochs=2)
    assert words.kind == "text" and words.embed("blue boots").shape == (1, 8)
    words.save(tmp_path / "w")
    np.testing.assert_allclose(
        Embedder.load(tmp_path / "w").embed(catalog), words.embed(catalog), atol=1e-5
    )


def test_an_interrupted_learning_goes_on(catalog, tmp_path):
    def made():
        return MetricEmbedder(ColorHistogram((16, 12)), dim=8, hidden=16, batch_size=64)

    whole = made().learn(catalog, epochs=4)
    seen = []

    class Stop(Exception):
        pass

    def interrupt(self, epoch, logs=None, original=keras.callbacks.Callback.on_epoch_begin):
        seen.append(epoch)
        if len(seen) == 3:
            raise Stop

    from prodrec.models.epochs import EpochLogger

    kept = EpochLogger.on_epoch_begin
    try:
        EpochLogger.on_epoch_begin = lambda self, epoch, logs=None: (
            kept(self, epoch),
            interrupt(self, epoch),
        )
        with pytest.raises(Stop):
            made().learn(catalog, epochs=4, checkpoint=tmp_path / "c")
    finally:
        EpochLogger.on_epoch_begin = kept
    on = made().learn(catalog, epochs=4, checkpoint=tmp_path / "c")
    np.testing.assert_allclose(on.embed(catalog), whole.embed(catalog), atol=1e-4)
    with pytest.raises(ValueError, match="belongs to another training, with another loss"):
        MetricEmbedder(
            ColorHistogram((16, 12)), dim=8, hidden=16, batch_size=64, loss="contrastive"
        ).learn(catalog, epochs=4, checkpoint=tmp_path / "c")


def test_wrong_options(catalog):
    eye = ColorHistogram((16, 12))
    for wrong in ((), ("mobilenetv2",), (eye, TfidfEmbedder())):
        with pytest.raises(TypeError, match="`encoders` must be embedders that share a modality"):
            MetricEmbedder(*wrong)
    with pytest.raises(ValueError, match="`loss` must be one of"):
        MetricEmbedder(eye, loss="triplet")
    with pytest.raises(
        ValueError, match="`weights` must be a positive number for each of category"
    ):
        MetricEmbedder(eye, weights=(1, 1))
    with pytest.raises(ValueError, match="call `learn`"):
        MetricEmbedder(eye).embed(catalog)
    with pytest.raises(ValueError, match="fit"):
        ImageEmbedder(ImageClassifier())


def test_from_one_kind_nothing_can_be_learned(catalog):
    alone = catalog[(catalog.products.category == catalog.products.category.iloc[0]).to_numpy()]
    with pytest.raises(ValueError, match="`train` holds one category only"):
        MetricEmbedder(ColorHistogram((16, 12))).learn(alone, epochs=1)
    with pytest.raises(ValueError, match="`train` holds one category only"):
        MetricEmbedder(
            ColorHistogram((16, 12)), target=("category", "colour"), loss="contrastive"
        ).learn(alone, epochs=1)


def test_the_former_name_of_the_target_works_for_one_version():
    with pytest.warns(DeprecationWarning, match="`by` is now `target`"):
        old = MetricEmbedder(ColorHistogram((16, 12)), by=("category", "colour"))
    assert old.target == ("category", "colour")


def test_a_joint_space_is_learned_and_takes_both(catalog):
    joint = MetricEmbedder(ColourWords(), dim=4, hidden=8).learn(catalog, epochs=2)
    assert joint.modalities == {"image", "text"} and joint.kind is None
    assert joint.embed("a red mug", kind="text").shape == (1, 4)
    both = MetricEmbedder(ColourWords(), TfidfEmbedder(8), dim=4, hidden=8).learn(catalog, epochs=2)
    assert both.modalities == {"text"} and both.embed(["red boots", "mug"]).shape == (2, 4)


def test_the_embedder_of_the_first_version_loads(catalog, learned, tmp_path):
    "It called its encoders eyes, and the target by."
    learned.save(tmp_path / "m")
    for n in range(2):
        (tmp_path / "m" / f"encoder{n}").rename(tmp_path / "m" / f"eye{n}")
    file = tmp_path / "m" / "manifest.json"
    manifest = json.loads(
        file.read_text().replace("encoder0/", "eye0/").replace("encoder1/", "eye1/")
    )
    del manifest["format"]
    state = manifest["meta"].pop("state")
    meta = {k: v for k, v in state.items() if k not in ("encoders", "target")}
    meta |= {"type": "MetricEmbedder", "eyes": 2, "by": state["target"]}
    file.write_text(json.dumps(manifest | {"meta": meta}))
    back = Embedder.load(tmp_path / "m")
    assert type(back) is MetricEmbedder and back.target == learned.target
    np.testing.assert_allclose(back.embed(catalog), learned.embed(catalog), atol=1e-5)


def test_a_new_session_loads_it(learned, tmp_path):
    learned.save(tmp_path / "m")
    program = "import sys, prodrec; print(type(prodrec.Embedder.load(sys.argv[1])).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "m")],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["MetricEmbedder"]
