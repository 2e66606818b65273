"""The end of a backbone that learns: where it begins, what changes, when the search takes it."""

import warnings
from unittest.mock import patch

import keras
import numpy as np
import pandas as pd
import pytest
from builders import coloured_products

from prodrec.models import choose_pictures as module
from prodrec.models.backbones import BACKBONES, NETWORKS, backbone, register_backbone
from prodrec.models.choice import Budget
from prodrec.models.choose_pictures import PartFeatures, Tried, picture_task, search_probes
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.engines import Swift
from prodrec.models.networks import split_frozen
from prodrec.models.probe import probe, split_parts, swift_features
from prodrec.models.unfreezing import ProbeEnd, backbone_of, cheapest_end, features_by_maps
from prodrec.recommend.embedders import ImageEmbedder

NAME = "end-of-test"
PROBE_OPTIONS = {"parts": (NAME,), "penalty": 1e-3}
PROBE = PROBE_OPTIONS | {"image_size": (32, 32)}


def build(weights):
    "A backbone whose last two convolutions work on maps of one size, the first of them on few."
    keras.utils.set_random_seed(7)
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 4, strides=4, activation="relu", name="far_below")(x)
    x = keras.layers.Conv2D(4, 2, strides=2, name="below")(x)
    x = keras.layers.BatchNormalization(name="below_BN")(x)
    x = keras.layers.Conv2D(12, 1, activation="relu", name="first")(x)
    return keras.Model(inputs, keras.layers.Conv2D(16, 1, activation="relu", name="last")(x))


@pytest.fixture(autouse=True)
def one_backbone(monkeypatch):
    register_backbone(NAME, build, 16, 32, "-1 to 1")
    monkeypatch.setattr(module, "usable_parts", lambda: [NAME])
    yield
    with warnings.catch_warnings():  # of pandas, whose future has no `inplace`
        warnings.simplefilter("ignore")
        BACKBONES.drop([NAME], inplace=True)
    NETWORKS.pop(NAME)


def weights_of(classifier):
    return {w.path.split("/")[-2]: w.numpy() for w in backbone_of(classifier.model).weights}


def test_where_the_end_begins():
    assert cheapest_end(build(None)) == "first"
    assert cheapest_end(backbone("mobilenet", None, 0.25)) == "conv_pw_12"
    inputs = keras.Input((None, None, 3))
    assert cheapest_end(keras.Model(inputs, keras.layers.Conv2D(4, 3, 2)(inputs))) is None


def test_only_the_end_changes_and_it_is_saved(tmp_path):
    train, test = coloured_products(40), coloured_products(20, 60)
    before = weights_of(ImageClassifier("probe", **PROBE).fit(train))
    tuned = ImageClassifier("probe", **PROBE, tune=4).fit(train, test)
    assert tuned.history_.phase.tolist() == ["head"] + ["first"] * 4
    assert tuned.history_.val_loss.notna().all() and not tuned.model.trainable_weights[:-2]
    after = weights_of(tuned)
    changed = {name for name in before if np.abs(after[name] - before[name]).max() > 0}
    assert changed == {"first", "last"}
    tuned.save(tmp_path / "kept")
    again = Classifier.load(tmp_path / "kept")
    np.testing.assert_allclose(again.predict_proba(test), tuned.predict_proba(test), atol=1e-5)


def test_the_same_seed_learns_the_same():
    one, two, other = (
        weights_of(ImageClassifier("probe", **PROBE, tune=2, seed=s).fit(coloured_products(30)))
        for s in (0, 0, 1)
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["last"], other["last"])


def test_of_several_parts_the_first_learns():
    train, parts = coloured_products(30), (NAME, "mobilenet:0.25")
    options = PROBE | {"parts": parts, "weights": None, "resize": None}
    classifier = ImageClassifier("probe", **options, tune=2).fit(train)
    first, second = (
        next(m for m in part.layers if isinstance(m, keras.Model))
        for part in split_parts(split_frozen(classifier.model)[0])
    )
    assert first is backbone_of(classifier.model) and "first" in {x.name for x in first.layers}
    fresh = {w.path.split("/")[-2]: w.numpy() for w in build(None).weights}
    assert np.abs(weights_of(classifier)["last"] - fresh["last"]).max() > 0
    assert classifier.embed(train).shape == (30, 16 + 256) and not second.trainable


def test_the_ends_of_several_parts_learn_together(tmp_path):
    train, options = coloured_products(24), {"penalty": 1e-3, "weights": None, "resize": None}
    options |= {"parts": (NAME, "mobilenet:0.25"), "image_size": (32, 32), "tune": 2}
    before = ImageClassifier("probe", **options | {"tune": 0}).fit(train)
    after = ImageClassifier("probe", **options, ends=2).fit(train)
    changed = [
        {
            b.path.split("/")[-2]
            for a, b in zip(
                *(backbone_of(c.model, n).weights for c in (before, after)), strict=True
            )
            if np.abs(a.numpy() - b.numpy()).max() > 0
        }
        for n in (0, 1)
    ]
    assert changed[0] == {"first", "last"}
    assert changed[1] and all(name.startswith("conv_") and "_1" in name for name in changed[1])
    assert not any("bn" in name for name in changed[1]) and not after.model.trainable_weights[:-2]
    assert after.history_.phase.tolist() == ["head"] + ["first + conv_pw_12"] * 2
    after.save(tmp_path / "both")
    again = Classifier.load(tmp_path / "both")
    np.testing.assert_allclose(again.predict_proba(train), after.predict_proba(train), atol=1e-5)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("flip", [True, False])
def test_features_and_maps_come_of_one_pass(flip, levels):
    pixels = ImageClassifier("probe", **PROBE).training_data(coloured_products(24, 900))[0]
    options = PROBE_OPTIONS | {"flip": flip, "levels": levels}
    model = probe((32, 32), 3, **options)
    (part,) = split_parts(split_frozen(model)[0])
    found = features_by_maps(part, pixels, options)
    np.testing.assert_allclose(found[:], part.predict(pixels[:], verbose=0), atol=5e-4)
    assert found.computed == 24 and np.ptp(found[:], axis=0).max() > 0.05
    (maps,) = ProbeEnd(model, options).inputs(pixels).columns
    assert maps.computed == 0  # they are there already
    with patch.object(Swift, "predict_on_batch", side_effect=AssertionError("computed again")):
        np.testing.assert_array_equal(swift_features(part, pixels), found[:])


def test_the_search_sends_no_picture_twice_through_the_lower_blocks(monkeypatch):
    sent, predict = [], Swift.predict_on_batch

    def counted(engine, x):
        sent.append(engine.output_shape[-1])
        return predict(engine, x)

    monkeypatch.setattr(Swift, "predict_on_batch", counted)
    monkeypatch.setattr(module, "sample_rows", lambda y, seed: np.arange(20))
    monkeypatch.setattr(
        PartFeatures, "measure", lambda self, part: self.seconds.setdefault(part, 0.0)
    )
    tried = Tried()
    searched(tried, coloured_products(60, 300))
    assert tried.rows[-1]["note"] == "end trained"
    earlier = 2 * 8  # average and maximum of the channels of the only earlier level
    maps = 2 * 4 * 4 * 4 + earlier  # two views of 4 x 4 places and 4 numbers
    assert sent == [16 + earlier, maps, maps]  # features of the sample, maps of all


@pytest.mark.parametrize("levels", [1, 2])
def test_an_end_begins_with_the_head_of_the_probe_and_gives_it_back(levels):
    train = coloured_products(24)
    found = ImageClassifier("probe", **PROBE, levels=levels).fit(train)
    pixels, end = found.training_data(train)[0], ProbeEnd(found.model, PROBE_OPTIONS)
    before = [w.copy() for w in found.model.layers[-1].get_weights()]
    seen = end.inputs(pixels)
    end.take_head(seen)
    wanted = found.model.predict(pixels[:], verbose=0)
    np.testing.assert_allclose(end.network.predict(seen[:], verbose=0), wanted, atol=0.05)
    end.give_head()
    for was, now in zip(before, found.model.layers[-1].get_weights(), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-3, rtol=1e-3)


def test_weights_half_way_between_solved_and_trained():
    train, made = coloured_products(40), {}
    for share in (1e-9, 0.5, 1.0):
        made[share] = ImageClassifier("probe", **PROBE, tune=4, tune_share=share).fit(train)
    frozen = ImageClassifier("probe", **PROBE).fit(train)
    whole, half, none = (weights_of(made[share]) for share in (1.0, 0.5, 1e-9))
    for name in ("first", "last"):
        assert np.abs(whole[name] - none[name]).max() > 1e-4
        np.testing.assert_allclose(half[name], (whole[name] + none[name]) / 2, atol=1e-5)
        np.testing.assert_allclose(none[name], weights_of(frozen)[name], atol=1e-5)
    heads = [made[share].model.layers[-1].get_weights()[0] for share in (1.0, 0.5, 1e-9)]
    np.testing.assert_allclose(heads[1], (heads[0] + heads[2]) / 2, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="`tune_share` must be above 0 and at most 1, received"):
        ImageClassifier("probe", **PROBE, tune=1, tune_share=share).fit(coloured_products(12))


def test_vectors_are_of_the_last_maps_at_any_number_of_levels(tmp_path):
    train, vectors = coloured_products(24), {}
    for levels in (1, 2):
        found = ImageClassifier("probe", **PROBE, levels=levels, tune=2).fit(train)
        assert found.model.layers[-1].input.shape[1] == (16 if levels == 1 else 32)
        vectors[levels] = ImageEmbedder(found).embed(train)
        found.save(tmp_path / f"{levels}")
        again = Classifier.load(tmp_path / f"{levels}")
        np.testing.assert_allclose(
            again.predict_proba(train), found.predict_proba(train), atol=1e-5
        )
    assert vectors[1].shape == vectors[2].shape == (24, 16)


@pytest.mark.parametrize("ends", [0, 2, -1, 1.5, "1"])
def test_more_ends_than_parts(ends):
    with pytest.raises(ValueError, match="`ends` must be 1 to the number of `parts`, 1, received"):
        probe((32, 32), 3, **PROBE_OPTIONS, ends=ends)


@pytest.mark.parametrize("tune", [-2, 2.5, True, "4"])
def test_epochs_that_are_no_number_of_them(tune):
    with pytest.raises(ValueError, match="`tune` must be a whole number of epochs from 0"):
        ImageClassifier("probe", **PROBE, tune=tune).fit(coloured_products(6))


def test_a_backbone_without_an_end():
    options = {"parts": ("vgg16",), "weights": None, "resize": None}
    model = probe((32, 32), 3, **options)
    with pytest.raises(ValueError, match="vgg16 has none: leave it out, or name another first"):
        ProbeEnd(model, options)


def searched(tried, catalog, minutes=1.0, **options):
    task = picture_task(ImageClassifier("probe", **PROBE), catalog, **options)
    return search_probes(PartFeatures(task), [NAME], tried, Budget(minutes))


def test_the_search_takes_the_end_where_it_is_better(monkeypatch):
    def trained(task, end, budget):
        "The right answers with certainty, or nothing but chance."
        check = task.folds[0][1]
        share = 0.999 if sure else 1 / 3
        proba = np.full((len(check), 3), (1 - share) / 2, np.float32)
        proba[np.arange(len(check)), task.y[check]] = share
        return pd.DataFrame({"loss": [0.5] * 5, "accuracy": 0.9}), proba

    monkeypatch.setattr(module, "train_end", trained)
    drawn = ["abc"[i] for i in np.random.default_rng(0).integers(0, 3, 60)]  # no colour says it
    for sure, catalog in (
        (True, coloured_products(60, category=drawn)),
        (False, coloured_products(60)),
    ):
        tried = Tried()
        found = searched(tried, catalog)
        row = tried.rows[-1]
        assert row["note"] == "end trained" and row["settings"]["tune"] == 5
        assert ("model" in found) == sure
    monkeypatch.setattr(module, "train_end", lambda *_: (pd.DataFrame(), None))
    tried = Tried()
    assert "model" not in searched(tried, coloured_products(60))
    assert "no time" in tried.rows[-1]["note"]
    monkeypatch.delattr(module, "train_end")  # in less than a minute nobody asks for it
    assert "model" not in searched(Tried(), coloured_products(60), minutes=0.9)


def test_the_winner_can_be_made_again_by_its_code(monkeypatch):
    monkeypatch.setattr(
        module, "tempered_loss", lambda proba, y: (float(len(tries)), tries.append(1) or 1.0)
    )
    tries = []
    train, test = coloured_products(30), coloured_products(12, 80)
    classifier = ImageClassifier(minutes=1, image_size=(32, 32)).fit(train)
    assert classifier.found_["options"]["tune"] == 16
    named = {}
    exec(classifier.code().replace("classifier.fit(train, validation)", ""), named)
    again = named["classifier"]
    again.image_size = (32, 32)
    again.fit(train)
    np.testing.assert_allclose(
        again.raw_proba(again.inputs(test)),
        classifier.raw_proba(classifier.inputs(test)),
        atol=1e-4,
    )


def test_validation_is_not_learned_from_and_an_interruption_keeps_the_head(monkeypatch):
    wrong = coloured_products(12, 60, category=["abc"[(i + 1) % 3] for i in range(12)])
    learned = []
    train = ProbeEnd.train

    def watched(self, sides, *more):
        learned.append([len(x) for x, _ in sides])
        return train(self, sides, *more)

    monkeypatch.setattr(ProbeEnd, "train", watched)
    searched(Tried(), coloured_products(60), validation=wrong)
    assert learned == [[60]]  # once: nothing was held back, and the other side is never shown

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_end", interrupted)
    tried = Tried()
    assert (
        "weights" in searched(tried, coloured_products(60))
        and "interrupted" in tried.rows[-1]["note"]
    )
