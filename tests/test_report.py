"""The report's figures against scikit-learn, and its intervals against what they promise."""

import json
import shutil

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from prodrec.core import Profiler
from prodrec.data.catalog import Catalog
from prodrec.models.calibration import fit_temperature, with_temperature
from prodrec.models.classifier import Classifier, ImageClassifier
from prodrec.models.fusion import learned_weights, rare_classes
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.report import Report, compare, comparison_figure, difference, write_results
from prodrec.models.text import TextClassifier
from prodrec.models.vote import log_pool
from prodrec.stats import bootstrap_interval

matplotlib.use("Agg")
quick = settings(max_examples=25, deadline=None)
CLASSES = ["ant", "bee", "Käfer", "蝶", "z<b>"]


@st.composite
def answers(draw, unseen=("new", "newer")):
    "(labels, proba, classes), where some labels may not be among the classes."
    classes = CLASSES[: draw(st.integers(1, 5))]
    n = draw(st.integers(1, 40))
    labels = draw(st.lists(st.sampled_from([*classes, *unseen]), min_size=n, max_size=n))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    proba = rng.dirichlet(np.full(len(classes), draw(st.sampled_from([0.05, 0.5, 5]))), n).astype(
        np.float32
    )
    return labels, proba, classes


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's
@quick
@given(answers())
def test_figures_are_those_of_scikit_learn(answer):
    labels, proba, classes = answer
    report = Report(labels, proba, classes)
    predicted = [classes[c] for c in proba.argmax(1)]
    names = classes + sorted(set(labels) - set(classes))
    assert (
        list(report.confusion.index)
        == list(report.confusion.columns)
        == list(report.per_class.index)
        == names
    )
    assert report.predicted.tolist() == predicted and report.unseen == names[len(classes) :]
    assert report.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
    assert report.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-12)
    np.testing.assert_array_equal(
        report.confusion, confusion_matrix(labels, predicted, labels=names)
    )
    found = report.per_class[["precision", "recall", "f1", "support"]].to_numpy(float).T
    wanted = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=np.nan)
    np.testing.assert_allclose(found[:2], wanted[:2], atol=1e-12)
    np.testing.assert_array_equal(found[3], wanted[3])
    defined = ~np.isnan(found[2])
    np.testing.assert_allclose(found[2][defined], np.nan_to_num(wanted[2])[defined], atol=1e-12)
    assert (defined == [n in {*labels, *predicted} for n in names]).all()
    assert (
        report.interval[0] - 1e-12 <= report.accuracy <= report.interval[1] + 1e-12
        or len(labels) < 10
    )


@quick
@given(answers(unseen=()))
def test_top_k_is_that_of_scikit_learn(answer):
    labels, proba, classes = answer
    assume(
        all(len(set(row)) == len(row) for row in proba)
    )  # among equals each library takes another one
    report = Report(labels, proba, classes)
    assert report.top_k(1) == report.accuracy
    assert report.top_k(len(classes)) == report.top_k(99) == 1
    if len(classes) > 2:
        for k in range(1, len(classes)):
            number = [classes.index(label) for label in labels]
            wanted = top_k_accuracy_score(number, proba, k=k, labels=np.arange(len(classes)))
            assert report.top_k(k) == pytest.approx(wanted, abs=1e-12)


@quick
@given(answers())
def test_calibration_error(answer):
    labels, proba, classes = answer
    report = Report(labels, proba, classes)
    total = 0.0
    for b in range(15):  # written out once more: bins (b/15, (b+1)/15]
        inside = [
            (float(p.max()), classes[p.argmax()] == label)
            for p, label in zip(proba, labels, strict=True)
            if b / 15 < p.max() * (1 - 1e-9) <= (b + 1) / 15
        ]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            total += len(inside) / len(labels) * abs(confidence - right)
    assert report.ece == pytest.approx(total, abs=1e-6)
    assert report.calibration["count"].sum() == len(labels)
    assert 0 <= report.ece <= 1


def test_a_calibrated_classifier_has_no_calibration_error():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 20_000)
    labels = np.where(rng.random(len(p)) < p, "a", "b")
    assert Report(labels, np.stack([p, 1 - p], 1), ["a", "b"]).ece < 0.02
    sure = np.tile([1.0, 0.0], (len(p), 1))
    assert Report(labels, sure, ["a", "b"]).ece == pytest.approx((labels == "b").mean(), abs=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, inside, narrow = np.random.default_rng(1), 0, 0
    for seed in range(300):
        sample = rng.random(120) < 0.8
        low, high = bootstrap_interval(sample, n_resamples=200, seed=seed)
        inside += low <= 0.8 <= high
        low, high = bootstrap_interval(sample, level=0.5, n_resamples=200, seed=seed)
        narrow += low <= 0.8 <= high
    assert 0.91 <= inside / 300 <= 0.98  # 0.95 promised; +- 3 standard errors
    assert 0.41 <= narrow / 300 <= 0.63  # 0.5 promised; shares of 120 come in steps


def test_intervals_are_drawn_from_the_seed():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values.tolist(), seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)
    low, high = bootstrap_interval(values)
    wide = bootstrap_interval(values, level=0.99)
    assert wide[0] < low < values.mean() < high < wide[1]
    error = values.std() / np.sqrt(50)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    with pytest.raises(ValueError, match="`values` is empty"):
        bootstrap_interval([])


def test_macro_f1_interval_holds_the_truth():
    rng, inside, n = np.random.default_rng(2), 0, 150
    for _ in range(40):
        labels = rng.integers(0, 3, n)
        answer = np.where(rng.random(n) < 0.7, labels, rng.integers(0, 3, n))
        report = Report([CLASSES[c] for c in labels], np.eye(3)[answer], CLASSES[:3])
        low, high = report.macro_f1_interval
        assert low <= report.macro_f1 <= high
        inside += low <= 0.8 <= high  # 0.7 known, and a third of the rest guessed
    assert 34 <= inside <= 40


def test_perfect_and_all_wrong():
    labels = ["a", "b", "c"] * 4
    right = np.eye(3)[[0, 1, 2] * 4]
    perfect = Report(labels, right, list("abc"))
    assert (perfect.accuracy, perfect.macro_f1, perfect.ece) == (1, 1, 0)
    assert perfect.interval == perfect.macro_f1_interval == (1, 1) and len(perfect.worst()) == 0
    wrong = Report(labels, np.roll(right, 1, axis=1), list("abc"))
    assert (wrong.accuracy, wrong.macro_f1, wrong.ece) == (0, 0, 1)
    assert wrong.interval == wrong.macro_f1_interval == (0, 0) and len(wrong.worst(99)) == 12
    assert (wrong.per_class[["precision", "recall", "f1"]] == 0).all(axis=None)
    none = Report(["x", "y"], np.ones((2, 1)), ["a"])
    assert none.accuracy == none.macro_f1 == 0 and none.unseen == ["x", "y"]
    one = Report(["a", "a"], np.ones((2, 1)), ["a"])
    assert one.accuracy == one.macro_f1 == 1 and one.confusion.to_numpy().tolist() == [[2]]


def test_the_worst_errors():
    labels = ["a", "b", "a", "new", "b"]
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.05, 0.95], [0.4, 0.6]])
    worst = Report(labels, proba, ["a", "b"], ids=list("vwxyz")).worst()
    assert worst["id"].tolist() == ["y", "w", "x"]
    assert worst["label"].tolist() == ["new", "b", "a"] and worst["predicted"].tolist() == [
        "b",
        "a",
        "b",
    ]
    assert worst["confidence"].tolist() == [0.95, 0.8, 0.7] and worst["of_truth"].tolist() == [
        0,
        0.2,
        0.3,
    ]
    assert Report(labels, proba, ["a", "b"]).worst(1)["id"].tolist() == [3]


@pytest.mark.parametrize(
    "labels", [["a", "b"], ["x", "x"], ["a", "new"], ["a"] * 40, ["<script>", "a"]]
)
def test_what_is_shown(labels):
    report = Report(
        labels, np.tile([0.7, 0.3], (len(labels), 1)), ["a", "b"], name="<i>net</i>", seed=5
    )
    assert (
        "seed 5" in repr(report)
        and "<script>" not in report._repr_html_()
        and "<i>" not in report._repr_html_()
    )
    row = report.to_frame()
    assert row.index.tolist() == ["<i>net</i>"] and row["accuracy"].item() == report.accuracy
    assert row["n"].item() == len(labels) and not row.isna().any(axis=None)
    assert report.figure().get_xlabel() == "predicted"
    plt.close("all")


def test_more_classes_than_a_figure_shows():
    names = [f"c{n:02d}" for n in range(40)]
    labels = [name for n, name in enumerate(names) for _ in range(n + 1)]
    ax = Report(labels, np.eye(40)[[names.index(label) for label in labels]], names).figure(most=10)
    assert {t.get_text() for t in ax.get_yticklabels()} == set(
        names[30:]
    ) and "10 most frequent of 40" in ax.get_title()
    plt.close("all")


def test_what_cannot_be_reported():
    with pytest.raises(ValueError, match="`labels` is empty"):
        Report([], np.empty((0, 2)), ["a", "b"])
    for shape in ((1, 2), (2, 3), (2,)):
        with pytest.raises(ValueError, match=r"`proba` must be \(2, 2\)"):
            Report(["a", "b"], np.ones(shape), ["a", "b"])
    assert Report(pd.Series(["a", "b"], index=[7, 8]), np.eye(2), ["a", "b"]).accuracy == 1


# -- many classes


def test_classes_that_are_confused_stand_together():
    rng, names = np.random.default_rng(0), [f"c{n:02d}" for n in range(40)]
    partner = np.empty(40, int)
    pairs = rng.permutation(40).reshape(20, 2)
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    true = np.repeat(np.arange(40), 20)
    answer = np.where(np.arange(800) % 20 < 6, partner[true], true)
    report = Report([names[t] for t in true], np.eye(40)[answer], names)
    ax = report.figure()
    shown = [names.index(t.get_text()) for t in ax.get_yticklabels()]
    assert sorted(shown) == list(range(40)) and [t.get_text() for t in ax.get_xticklabels()] == [
        names[n] for n in shown
    ]
    assert all(abs(shown.index(a) - shown.index(b)) == 1 for a, b in pairs)
    found = report.confusions(100)
    assert len(found) == 40 and (found["count"] == 6).all() and np.allclose(found["share"], 0.3)
    assert {(r.true, r.predicted) for r in found.itertuples()} == {
        (names[n], names[partner[n]]) for n in range(40)
    }
    assert len(report.confusions_figure(7).patches) == 7
    plt.close("all")


@quick
@given(answers())
def test_confusions_are_the_errors(answer):
    report = Report(*answer)
    table = report.confusions(1000)
    assert (
        table["count"].sum() == (~report.right).sum()
        and (table["true"] != table["predicted"]).all()
    )
    assert table["count"].is_monotonic_decreasing
    for row in table.itertuples():
        truly = report.labels == row.true
        assert row.count == (truly & (report.predicted == row.predicted)).sum()
        assert row.share == pytest.approx(row.count / truly.sum())


def test_nothing_to_draw():
    perfect = Report(["a", "b"], np.eye(2), ["a", "b"])
    assert perfect.confusions().empty and not perfect.confusions_figure().patches
    assert len(perfect.worst_figure(Catalog(pd.DataFrame({"title": ["x"]}, index=["1"])))) == 0
    plt.close("all")


# -- temperature


def overconfident(n=3000, classes=5, by=3.0, seed=0):
    "(probabilities that are too sure by a factor, labels drawn from the honest ones)"
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    honest = softmax(logits, axis=1)
    return softmax(by * logits, axis=1).astype(np.float32), (
        honest.cumsum(1) > rng.random((n, 1))
    ).argmax(1)


@pytest.mark.parametrize("by", [0.4, 1.0, 3.0])
def test_the_temperature_is_found(by):
    proba, labels = overconfident(by=by)
    found = fit_temperature(proba, labels)
    assert found == pytest.approx(by, rel=0.08)
    exact = with_temperature(proba, found).astype(float)
    exact /= exact.sum(1, keepdims=True)
    grid = [
        log_loss(labels, softmax(np.log(proba.astype(float)) / t, axis=1))
        for t in np.geomspace(0.05, 20, 200)
    ]
    assert log_loss(labels, exact) <= min(grid) + 1e-5


@quick
@given(st.integers(0, 1000), st.floats(0.05, 20), st.integers(1, 6))
def test_temperature_is_a_softmax_of_divided_logits(seed, temperature, classes):
    logits = np.random.default_rng(seed).normal(0, 4, (30, classes))
    proba = softmax(logits, axis=1).astype(np.float32)
    cooled = with_temperature(proba, temperature)
    assert cooled.dtype == np.float32 and (cooled.argmax(1) == proba.argmax(1)).all()
    np.testing.assert_allclose(cooled, np.exp(log_softmax(logits / temperature, axis=1)), atol=1e-4)


@pytest.mark.parametrize("temperature", [0.05, 3.0, 20.0, 1e6])
def test_no_answer_changes(temperature):
    near = np.float32(0.5)
    proba = np.array(
        [[near, np.nextafter(near, np.float32(1))], [0, 1], [1, 0], [1e-30, 1]], np.float32
    )
    cooled = with_temperature(proba, temperature)
    assert cooled.argmax(1).tolist() == [1, 1, 0, 1]
    assert np.isfinite(cooled).all() and np.allclose(cooled.sum(1), 1, atol=1e-5)
    assert with_temperature(np.empty((0, 3), np.float32), temperature).shape == (0, 3)


def test_what_has_no_temperature():
    assert (
        fit_temperature([[0.0, 1.0], [0.4, 0.6]], [0, 1]) > 1
    )  # sure, and wrong: a zero is no infinite loss
    assert (
        0.05 <= fit_temperature([[0.2, 0.8]] * 3, [1, 1, 1]) < 0.1
    )  # never wrong: as sure as may be
    for labels in ([], [0], [0, 2], [0, -1]):
        with pytest.raises(ValueError, match="`labels` must be"):
            fit_temperature([[0.5, 0.5], [0.5, 0.5]], labels)
    for t in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="`temperature` must be above zero"):
            with_temperature(np.eye(2), t)


def shop(start, stop, seed=0):
    "Coloured pictures and words that say the class most of the time."
    rng, rows = np.random.default_rng([seed, start]), []
    for n in range(start, stop):
        kind = n % 3
        seen = kind if rng.random() < 0.75 else rng.integers(3)
        pixels = rng.integers(0, 120, (32, 32, 3), np.uint8)
        pixels[8:24, 8:24, seen] = 220
        ok, png = cv2.imencode(".png", pixels)
        rows.append(
            {
                "image": png.tobytes(),
                "title": f"{('sip', 'glow', 'sole')[seen]} {n}",
                "category": "abc"[kind],
            }
        )
    return Catalog(pd.DataFrame(rows, index=[f"s{n}" for n in range(start, stop)]))


def part(kind, **more):
    same = {"batch_size": 16, "learning_rate": 0.01, **more}
    if kind == "image":
        return ImageClassifier("cnn", (32, 32), filters=(4,), dense=(16,), dropout=0.0, **same)
    return TextClassifier(
        "conv1d", fields="title", length=4, dims=8, filters=8, dense=8, baseline=False, **same
    )


@pytest.fixture(scope="module", params=["image", "text", "concat", "late", "late of calibrated"])
def calibrated(request):
    "(classifier, its report before, its report after) on validation"
    train, validation = shop(0, 60), shop(60, 120)
    if request.param in ("image", "text"):
        classifier = part(request.param).fit(train, epochs=12)
    else:
        parts = [part("image"), part("text")]
        if request.param == "late of calibrated":
            parts = [p.fit(train, epochs=12).calibrate(validation) for p in parts]
            assert all(p.temperature_ != 1 for p in parts)
        fusion = request.param.split()[0]
        classifier = HybridClassifier(*parts, fusion=fusion, batch_size=16, learning_rate=0.01)
        classifier.fit(train, validation, epochs=12)
    before = classifier.evaluate(validation)
    assert classifier.temperature_ == 1 and not any("temperature" in note for note in before.notes)
    assert classifier.calibrate(validation) is classifier
    return classifier, before, classifier.evaluate(validation)


def loss_of(report):
    return log_loss(
        report.labels,
        report.proba / report.proba.sum(1, keepdims=True, dtype=float),
        labels=report.classes,
    )


def test_calibration_lowers_the_loss_and_changes_no_label(calibrated):
    classifier, before, after = calibrated
    assert classifier.temperature_ != 1
    assert loss_of(after) < loss_of(before)
    assert (
        after.predicted.tolist()
        == before.predicted.tolist()
        == classifier.predict(shop(60, 120)).tolist()
    )
    np.testing.assert_allclose(
        after.proba, with_temperature(before.proba, classifier.temperature_), atol=1e-6
    )
    assert f"temperature {classifier.temperature_:.2f}, fitted on validation" in after.notes


def test_the_temperature_is_saved(calibrated, tmp_path):
    classifier, _, after = calibrated
    classifier.save(tmp_path / "c")
    back = Classifier.load(tmp_path / "c")
    assert back.temperature_ == classifier.temperature_
    np.testing.assert_allclose(back.predict_proba(shop(60, 120)), after.proba, atol=1e-5)
    for name in ("image_", "text_"):
        if hasattr(classifier, name):
            assert getattr(back, name).temperature_ == getattr(classifier, name).temperature_
    # as it was saved before there were temperatures
    old = shutil.copytree(tmp_path / "c", tmp_path / "old")
    manifest = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    meta = manifest["meta"]["state"]
    for state in [meta, *(meta[k] for k in ("image", "text") if k in meta)]:
        del state["temperature"]
    manifest |= {"kind": type(classifier).__name__, "format": 1, "meta": meta}
    (old / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert Classifier.load(old).temperature_ == 1


def test_a_mixture_is_that_of_calibrated_answers():
    train, validation = shop(0, 60), shop(60, 120)
    parts = [part(kind).fit(train, epochs=12) for kind in ("image", "text")]
    raw = [p.predict_proba(validation) for p in parts]
    for p in parts:
        p.calibrate(validation)
    late = HybridClassifier(*parts, fusion="late").fit(train, validation)
    views = [with_temperature(q, p.temperature_) for q, p in zip(raw, parts, strict=True)]
    rarity = rare_classes(train, late.classes_, "category")
    weights, _ = learned_weights(*parts, rarity, validation, late.classes_, "category")
    wanted = log_pool([*views, np.broadcast_to(rarity, views[0].shape)], weights)
    np.testing.assert_allclose(late.predict_proba(validation), wanted, atol=1e-4)
    pictures = shop(120, 150)
    pictures = Catalog(pictures.products.assign(title=""))
    alone = parts[0].predict_proba(pictures)  # at its own temperature, and not that of the vote
    np.testing.assert_allclose(late.predict_proba(pictures), alone, atol=1e-4)


def test_calibration_needs_labels_it_knows():
    classifier = part("image")
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        classifier.calibrate(shop(0, 6))
    classifier.fit(shop(0, 30), epochs=1)
    new = shop(60, 90)
    with pytest.raises(ValueError, match="`validation` has none of the labels"):
        classifier.calibrate(Catalog(new.products.assign(category="new")))
    alone = classifier.calibrate(new).temperature_
    gone = Catalog(shop(90, 93).products.assign(image=b"no picture"))
    strange = Catalog(shop(93, 96).products.assign(category="new"))
    with pytest.warns(UserWarning, match="3 of 36 products cannot be read"):
        assert classifier.calibrate(
            Catalog.concat([gone, new, strange])
        ).temperature_ == pytest.approx(alone, rel=1e-4)
    assert classifier.fit(shop(0, 30), epochs=1).temperature_ == 1


# -- several classifiers


@quick
@given(st.integers(0, 1000), st.integers(5, 60))
def test_the_difference_is_that_of_the_accuracies(seed, n):
    rng = np.random.default_rng(seed)
    labels = rng.choice(["a", "b"], n)
    a, b = (Report(labels, rng.random((n, 2)), ["a", "b"]) for _ in range(2))
    low, mid, high = difference(a, b)
    assert mid == pytest.approx(a.accuracy - b.accuracy) and low <= mid <= high
    assert difference(a, a) == (0, 0, 0)


def test_the_difference_is_paired():
    labels, right = ["a"] * 400, np.arange(400) < 200
    a, b = (
        Report(labels, np.stack([r, ~r], 1).astype(float), ["a", "b"])
        for r in (right, np.arange(400) < 192)
    )
    low, mid, high = difference(a, b)
    error = np.sqrt(0.02 * 0.98 / 400)  # eight of 400 differ, all in one direction
    assert mid == pytest.approx(0.02) and (high - low) / (2 * 1.96 * error) == pytest.approx(
        1, abs=0.15
    )
    with pytest.raises(ValueError, match="the same products"):
        difference(a, Report(labels, b.proba, b.classes, ids=range(1, 401)))


def test_comparing(tmp_path):
    train, test = shop(0, 30), shop(60, 90)
    image, text = (part(kind).fit(train, epochs=2) for kind in ("image", "text"))
    table = compare([image, text], test)
    assert table.index.tolist() == [image.name, text.name] and not table.isna().any(axis=None)
    for c, row in zip((image, text), table.itertuples(), strict=True):
        report = c.evaluate(test)
        assert (row.accuracy, row.macro_f1, row.ece) == (
            report.accuracy,
            report.macro_f1,
            report.ece,
        )
        assert (row.accuracy_low, row.accuracy_high) == report.interval
        assert row.parameters == sum(int(np.prod(w.shape)) for w in c.model.weights)
        assert (
            row.train_seconds == pytest.approx(c.history_["seconds"].sum())
            and row.ms_per_product > 0
        )
        c.save(tmp_path / row.Index)
        size = sum(f.stat().st_size for f in (tmp_path / row.Index).rglob("*") if f.is_file())
        assert row.megabytes == pytest.approx(size / 1e6, rel=0.02)
    with pytest.raises(ValueError, match="two of the same name"):
        compare([image, image], test)
    assert compare({"one": image, "two": image}, test).index.tolist() == ["one", "two"]
    assert comparison_figure(table, "parameters").get_xscale() == "log"
    with pytest.raises(ValueError, match="`cost` 'price' is no column"):
        comparison_figure(table, "price")
    plt.close("all")


def test_the_worst_errors_are_shown():
    test = shop(0, 6)
    broken = Catalog(test.products.assign(image=[b"no picture", *test.products["image"][1:]]))
    report = Report(
        ["a", "b", "c"] * 2,
        np.eye(3)[[1, 2, 0] * 2] * 0.8 + 0.0667,
        list("abc"),
        ids=test.ids,
        name="net",
    )
    axes = report.worst_figure(broken, n=5, columns=3)
    assert len(axes) == 5 and axes[0].get_title() == "a\ntaken for b\n87% sure"
    assert [len(ax.images) for ax in axes] == [0, 1, 1, 1, 1]
    assert report.reliability_figure(before=report).get_title().count(f"{report.ece:.3f}") == 2
    plt.close("all")


# -- without the rare classes


def tail():
    """Ninety-six products of two kinds, four of four rare kinds, and answers that name the rare
    kinds now and then.
    """
    names = ["a", "b", "r0", "r1", "r2", "r3"]
    labels = ["a"] * 48 + ["b"] * 48 + names[2:]
    proba = np.full((100, 6), 0.02)
    proba[np.arange(100), [names.index(label) for label in labels]] = 0.9
    proba[:3] = [[0.3, 0.1, 0.5, 0.1, 0, 0], [0.3, 0.1, 0, 0.6, 0, 0], [0.1, 0.3, 0, 0.6, 0, 0]]
    return Report(
        labels,
        proba,
        names,
        ids=[f"p{n}" for n in range(100)],
        name="net",
        seed=4,
        notes=["so it is"],
    )


def test_rare_classes_are_neither_asked_nor_answered():
    whole = tail()
    report = whole.restrict(0.02)
    assert report.classes == ["a", "b"] and report.ids == whole.ids[:96] and report.seed == 4
    assert list(report.confusion) == ["a", "b"] and not report.unseen
    np.testing.assert_allclose(report.proba.sum(1), 1, atol=1e-6)
    assert report.predicted[:3].tolist() == ["a", "a", "b"]  # the best answers that are left
    wanted = f1_score(report.labels, report.predicted, average="macro")
    assert report.macro_f1 == pytest.approx(wanted) and report.macro_f1 > 0.98
    # the same products with the rare columns kept: three classes that nothing can belong to
    kept = Report(whole.labels[:96], whole.proba[:96], whole.classes)
    assert kept.macro_f1 < 0.6
    assert (
        report.notes[0] == "so it is"
        and "4 products of 4 classes with less than 2%" in report.notes[1]
    )
    assert report.name == "net, kinds of at least 2%"


def test_what_restricting_leaves_alone():
    whole = tail()
    same = whole.restrict(0.0)
    assert (same.accuracy, same.macro_f1, same.classes) == (
        whole.accuracy,
        whole.macro_f1,
        whole.classes,
    )
    with pytest.raises(ValueError, match="`min_share` 0.6 leaves no class"):
        whole.restrict(0.6)
    new = Report(["a"] * 5 + ["new"] * 5, np.tile([1.0, 0.0], (10, 1)), ["a", "r"]).restrict(0.1)
    assert (
        new.unseen == ["new"] and new.accuracy == 0.5
    )  # frequent, and never shown: still an error
    nothing = Report(["a", "b", "b"], np.array([[0, 0, 1.0]] * 3), ["a", "b", "r"]).restrict(0.1)
    np.testing.assert_allclose(nothing.proba, 0.5)  # no answer among the kinds that are left


def test_a_confusion_matrix_of_many_classes_can_be_read():
    "The labels of neighbouring ticks do not overlap, whatever the number of classes."
    for n in (5, 30, 31, 104):
        names = [f"a class with a rather long name {k}" for k in range(n)]
        rng = np.random.default_rng(n)
        labels = [names[k] for k in rng.integers(n, size=20 * n)]
        ax = Report(labels, rng.dirichlet(np.ones(n), 20 * n), names).figure()
        ax.figure.canvas.draw()
        boxes = [t.get_window_extent() for t in ax.get_yticklabels()]
        assert len(boxes) == min(n, 50)
        assert all(
            a.y0 >= b.y1 - 1 or b.y0 >= a.y1 - 1 for a, b in zip(boxes, boxes[1:], strict=False)
        )
    plt.close("all")


def test_seconds_of_a_stage_that_comes_again_are_added_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODREC_RESULTS", str(tmp_path))
    stages = Profiler()
    stages.rows = [("read", 1.5, 90.0), ("train", 2.0, 80.0), ("read", 0.5, 95.0)]
    path = write_results("again", "a test", {}, stages, figures=pd.DataFrame({"n": [1]}))
    written = json.loads(path.read_text())
    assert written["stages"] == {
        "read": {"seconds": 2.0, "peak_mb": 95.0},
        "train": {"seconds": 2.0, "peak_mb": 80.0},
    }
    assert written["figures"] == [{"n": 1}]
