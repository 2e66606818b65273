"""The report's figures against scikit-learn, and its intervals against what they promise."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from prodrec.models.report import Report, bootstrap_interval

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
    proba = rng.dirichlet(np.full(len(classes), draw(st.sampled_from([0.05, 0.5, 5]))), n).astype(np.float32)
    return labels, proba, classes


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's
@quick
@given(answers())
def test_figures_are_those_of_scikit_learn(answer):
    labels, proba, classes = answer
    report = Report(labels, proba, classes)
    predicted = [classes[c] for c in proba.argmax(1)]
    names = classes + sorted(set(labels) - set(classes))
    assert list(report.confusion.index) == list(report.confusion.columns) == list(report.per_class.index) == names
    assert report.predicted.tolist() == predicted and report.unseen == names[len(classes) :]
    assert report.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
    assert report.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-12)
    np.testing.assert_array_equal(report.confusion, confusion_matrix(labels, predicted, labels=names))
    found = report.per_class[["precision", "recall", "f1", "support"]].to_numpy(float).T
    wanted = precision_recall_fscore_support(labels, predicted, labels=names, zero_division=np.nan)
    np.testing.assert_allclose(found[:2], wanted[:2], atol=1e-12)
    np.testing.assert_array_equal(found[3], wanted[3])
    defined = ~np.isnan(found[2])
    np.testing.assert_allclose(found[2][defined], np.nan_to_num(wanted[2])[defined], atol=1e-12)
    assert (defined == [n in {*labels, *predicted} for n in names]).all()
    assert report.interval[0] - 1e-12 <= report.accuracy <= report.interval[1] + 1e-12 or len(labels) < 10


@quick
@given(answers(unseen=()))
def test_top_k_is_that_of_scikit_learn(answer):
    labels, proba, classes = answer
    assume(all(len(set(row)) == len(row) for row in proba))  # among equals each library takes another one
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
    assert worst["label"].tolist() == ["new", "b", "a"] and worst["predicted"].tolist() == ["b", "a", "b"]
    assert worst["confidence"].tolist() == [0.95, 0.8, 0.7] and worst["of_truth"].tolist() == [0, 0.2, 0.3]
    assert Report(labels, proba, ["a", "b"]).worst(1)["id"].tolist() == [3]


@pytest.mark.parametrize("labels", [["a", "b"], ["x", "x"], ["a", "new"], ["a"] * 40, ["<script>", "a"]])
def test_what_is_shown(labels):
    import matplotlib.pyplot as plt

    report = Report(labels, np.tile([0.7, 0.3], (len(labels), 1)), ["a", "b"], name="<i>net</i>", seed=5)
    assert "seed 5" in repr(report) and "<script>" not in report._repr_html_() and "<i>" not in report._repr_html_()
    row = report.to_frame()
    assert row.index.tolist() == ["<i>net</i>"] and row["accuracy"].item() == report.accuracy
    assert row["n"].item() == len(labels) and not row.isna().any(axis=None)
    assert report.figure().get_xlabel() == "predicted"
    plt.close("all")


def test_more_classes_than_a_figure_shows():
    import matplotlib.pyplot as plt

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
