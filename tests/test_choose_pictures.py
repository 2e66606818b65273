"""The search for a classifier of pictures: what it compares, what it never sees, what stops it."""

import warnings

import keras
import numpy as np
import pytest
from builders import coloured_products

from prodrec.data.catalog import Catalog
from prodrec.models import choose_pictures as module
from prodrec.models import linear
from prodrec.models.backbones import BACKBONES, NETWORKS, register_backbone
from prodrec.models.choice import Budget
from prodrec.models.choose_pictures import (
    PartFeatures,
    Tried,
    end_fits,
    finish_probe,
    grow_parts,
    picture_task,
    sample_rows,
    scratch_epochs,
    search_probes,
)
from prodrec.models.classifier import ImageClassifier
from prodrec.models.linear import fit_head, own_folds
from prodrec.models.probe import power_root, probe_features

NAMES = ("first-of-test", "second-of-test")


def backbone_with(filters):
    def build(weights):
        keras.utils.set_random_seed(filters)
        x = inputs = keras.Input((None, None, 3))
        return keras.Model(inputs, keras.layers.Conv2D(filters, 4, strides=2, activation="relu")(x))

    return build


@pytest.fixture(autouse=True)
def backbones(monkeypatch):
    "Two backbones of a few filters, whatever weights the machine has."
    for name, filters in zip(NAMES, (12, 5), strict=True):
        register_backbone(name, backbone_with(filters), filters, 32, "-1 to 1")
    monkeypatch.setattr(module, "usable_parts", lambda: list(NAMES))
    yield
    with warnings.catch_warnings():  # of pandas, whose future has no `inplace`
        warnings.simplefilter("ignore")
        BACKBONES.drop(list(NAMES), inplace=True)
    for name in NAMES:
        NETWORKS.pop(name)


def test_nothing_given_is_enough_and_says_what_it_did():
    train, test = coloured_products(60), coloured_products(30, 100)
    classifier = ImageClassifier(minutes=1).fit(train)
    assert classifier.get_params()["network"] == "auto"
    assert (
        set(classifier.tried_.note) >= {"sample", "all"}
        and "was chosen among" in classifier.chosen_
    )
    report = classifier.evaluate(test)
    assert classifier.chosen_ in report.notes and report.accuracy > 0.5
    named = {}
    exec(classifier.code().replace("classifier.fit(train, validation)", ""), named)
    again = named["classifier"].fit(train)
    assert (
        again.network == "probe" and (again.predict(test) == classifier.predict(test)).mean() > 0.9
    )


def test_validation_is_compared_on_and_never_learned_from():
    train, wrong = (
        coloured_products(30),
        coloured_products(12, 60, category=["abc"[(i + 1) % 3] for i in range(12)]),
    )
    classifier = ImageClassifier(minutes=1).fit(train, wrong)
    assert classifier.history_.val_accuracy[0] < 0.5  # had it learned from them, it would be high
    task = picture_task(classifier, train, wrong)
    ((learn, check),) = task.folds
    assert learn.tolist() == task.final.tolist() == list(range(30)) and min(check) == 30


def test_copies_of_a_picture_are_in_one_fold():
    import pandas as pd

    twice = pd.concat(
        [
            coloured_products(20).products,
            coloured_products(20).products.set_axis([f"q{i}" for i in range(20)]),
        ]
    )
    task = picture_task(ImageClassifier("probe", (16, 12)), Catalog(twice))
    digests = np.array(task.pixels.digests)
    for learn, check in task.folds:
        assert not set(digests[learn]) & set(digests[check])


def test_many_products_need_one_fold():
    y = np.arange(3200) % 4
    assert len(own_folds(y[:3000])) == 4 and len(own_folds(y)) == 1
    ((learn, check),) = own_folds(y)
    assert len(check) == 640 and len(learn) == 2560


def test_a_sample_keeps_the_shares():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    rows = sample_rows(y, 50, seed=3)
    assert np.bincount(y[rows]).tolist() == [30, 15, 5] and len(set(rows)) == 50


def test_what_cannot_be_had_is_noted_and_the_rest_goes_on(monkeypatch):
    register_backbone("gone-of-test", lambda weights: 1 / 0, 3, 32)
    monkeypatch.setattr(module, "usable_parts", lambda: ["gone-of-test", NAMES[1]])
    try:
        classifier = ImageClassifier(minutes=1).fit(coloured_products(30))
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            BACKBONES.drop("gone-of-test", inplace=True)
        NETWORKS.pop("gone-of-test")
    assert classifier.found_["options"]["parts"] == (NAMES[1],)
    assert classifier.tried_.note.str.contains("cannot be had").sum() == 1


def test_another_part_must_be_worth_it_and_affordable():
    task = picture_task(ImageClassifier("probe", (16, 12)), coloured_products(60))
    features, tried = PartFeatures(task), Tried()
    features.seconds = dict.fromkeys(NAMES, 1e-6)
    rows = np.arange(60)
    losses = {NAMES[0]: 0.5, NAMES[1]: 0.6}
    assert grow_parts(losses, features, rows, tried, Budget(1), gain=1.0) == NAMES[:1]
    assert grow_parts(losses, features, rows, tried, Budget(1), gain=-99.0) == NAMES
    features.seconds = dict.fromkeys(NAMES, 1e6)
    assert grow_parts(losses, features, rows, tried, Budget(1), gain=-99.0) == NAMES  # all are seen
    rows = rows[::2]
    assert grow_parts(losses, features, rows, tried, Budget(1), gain=-99.0) == NAMES[:1]
    assert tried.rows[-1]["note"] == f"{2e6 * 30:.0f} s: there is no time for it"


def test_the_end_is_trained_where_it_can_see_every_picture_eight_times(monkeypatch):
    task = picture_task(ImageClassifier("probe", (16, 12)), coloured_products(60))
    features, tried = PartFeatures(task), Tried()
    features.seconds = {NAMES[0]: 0.25}  # 15 s for both views of all
    assert not end_fits(NAMES[0], features, tried, Budget(9)) and not tried.rows  # it has no end
    monkeypatch.setattr(module, "cheapest_end", lambda base: "its end")
    assert end_fits(NAMES[0], features, tried, Budget(1))  # 15 + 8 * 3.75 s
    assert not end_fits(NAMES[0], features, tried, Budget(0.99)) and not tried.rows
    assert not end_fits(NAMES[0], features, tried, Budget(1), 10)
    assert tried.rows[-1]["note"] == "there is no time to train its end"
    monkeypatch.setattr(module, "LARGE", 59)  # 15 + 16 * 3.75 s
    assert not end_fits(NAMES[0], features, tried, Budget(1.5))
    monkeypatch.undo()
    monkeypatch.setattr(module, "cheapest_end", lambda base: "its end")
    features.options["flip"] = False
    assert not end_fits(NAMES[0], features, tried, Budget(1))  # 15 + 8 * 7.5 s
    assert end_fits(NAMES[0], features, tried, Budget(2))


def test_time_that_no_end_can_use_goes_to_more_backbones(monkeypatch):
    task = picture_task(ImageClassifier("probe", (16, 12)), coloured_products(60))
    monkeypatch.setattr(module, "cheapest_end", lambda base: "its end")
    monkeypatch.setattr(PartFeatures, "compute_maps", lambda *_: None)
    monkeypatch.setattr(module, "try_end", lambda found, *_: found | {"end": True})
    monkeypatch.setattr(
        PartFeatures, "measure", lambda self, part: self.seconds.setdefault(part, 0.0)
    )
    given = []
    monkeypatch.setattr(module, "grow_parts", lambda *_, **more: given.append(more) or NAMES)
    for fits in (True, False):
        monkeypatch.setattr(module, "end_fits", lambda *_, fits=fits: fits)
        found = search_probes(PartFeatures(task), NAMES, Tried(), Budget(1))
        assert ("end" in found) == fits and bool(given[-1]) != fits


def test_a_given_validation_side_is_solved_for_once(monkeypatch):
    train, test = coloured_products(60), coloured_products(21, 100)
    solved = []
    monkeypatch.setattr(
        module, "fit_head", lambda *more: solved.append(len(more[1])) or fit_head(*more)
    )
    for given in (None, test):
        task = picture_task(ImageClassifier("probe", (16, 12)), train, given)
        found = finish_probe(NAMES[:1], PartFeatures(task), Tried())
        answers = found["proba"][np.isfinite(found["proba"]).all(1)]
        assert len(answers) == (60 if given is None else 21)
    assert solved == [60]  # in folds, the winner learns from more than the first fold did


@pytest.mark.parametrize("given", [True, False])
def test_many_products_find_the_same_head_in_fewer_steps(given, monkeypatch):
    train = coloured_products(60)
    task = picture_task(
        ImageClassifier("probe", (16, 12)), train, coloured_products(30, 100) if given else None
    )
    monkeypatch.setattr(module, "PENALTIES", [1e-4])
    plain = finish_probe(NAMES[:1], PartFeatures(task), Tried())
    monkeypatch.setattr(linear, "LARGE", 20)
    monkeypatch.setattr(module, "LARGE", 20)
    asked, solve = [], linear.fit_softmax
    monkeypatch.setattr(
        linear, "fit_softmax", lambda *more, **how: asked.append(how) or solve(*more, **how)
    )
    turned = finish_probe(NAMES[:1], PartFeatures(task), Tried())
    rows = np.isfinite(plain["proba"]).all(1)
    np.testing.assert_allclose(turned["proba"][rows], plain["proba"][rows], atol=0.03)
    assert all(how["steps"] == 40 and len(how["shares"]) == 12 for how in asked) and asked


def test_a_part_is_compiled_once(monkeypatch):
    task = picture_task(ImageClassifier("probe", (16, 12)), coloured_products(60))
    patience, swift = [], module.Swift
    monkeypatch.setattr(module, "Swift", lambda model, n: patience.append(n) or swift(model, n))
    features = PartFeatures(task)
    assert features.measure(NAMES[0]) > 0 and features.engine(NAMES[0]) is features.engine(NAMES[0])
    wanted = probe_features((16, 12), NAMES[:1]).predict_on_batch(task.pixels[:60])
    np.testing.assert_allclose(features(NAMES[:1], np.arange(60)), power_root(wanted), atol=1e-5)
    monkeypatch.setattr(module, "SAMPLE", 59)
    PartFeatures(task).engine(NAMES[0])
    assert patience == [8, 0]  # few products are computed before anything is compiled


def test_an_interruption_keeps_the_best_so_far(monkeypatch):
    task = picture_task(ImageClassifier("probe", (16, 12)), coloured_products(60))
    features, tried = PartFeatures(task), Tried()

    def interrupted(*args, **shares):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "grow_parts", interrupted)
    found = search_probes(features, NAMES, tried, Budget(1))
    assert found["options"]["parts"][0] in NAMES and "interrupted" in tried.frame().note.to_string()
    monkeypatch.setattr(module, "try_each", interrupted)
    with pytest.raises(KeyboardInterrupt):  # nothing is there yet
        search_probes(features, NAMES, tried, Budget(1))


def test_without_weights_it_learns_from_nothing_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "usable_parts", list)
    monkeypatch.setattr(module, "online", lambda: False)
    classifier = ImageClassifier(minutes=1, image_size=(32, 24)).fit(
        coloured_products(24), epochs=1
    )
    assert "offline" in classifier.chosen_ and classifier.name == "auto: compact"
    assert len(classifier.history_) == 1 and classifier.predict(coloured_products(3, 50)).shape == (
        3,
    )


def test_epochs_follow_from_the_clock():
    assert scratch_epochs(1, Budget(60)) == 24 and scratch_epochs(1e9, Budget(1)) == 2
    assert scratch_epochs(1e9, Budget(1), most=1) == 1 and scratch_epochs(10, Budget(1)) == 5


def test_minutes_and_options_go_with_auto_alone():
    with pytest.raises(ValueError, match="`minutes` is for network .auto."):
        ImageClassifier("compact", minutes=1)
    with pytest.raises(TypeError, match="takes no options of a network, received dense"):
        ImageClassifier(dense=(3,))
    with pytest.raises(ValueError, match="`minutes` must be above zero"):
        ImageClassifier(minutes=0)
