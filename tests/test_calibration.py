"""Calibration: the table by hand, temperatures that change no answer, and the one that fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from prodrec.models.calibration import (
    calibration_error,
    calibration_table,
    fit_temperature,
    reliability_figure,
    with_temperature,
)


def random_proba(seed, n=50, classes=4):
    return np.random.default_rng(seed).dirichlet([0.5] * classes, n).astype(np.float32)


def test_the_table_by_hand():
    confidence = np.array([0.05, 0.1, 0.11, 0.95, 1.0])
    right = np.array([False, True, True, True, False])
    table = calibration_table(confidence, right, bins=10)
    assert table.index.tolist() == [0, 1, 9]  # a bound belongs to the bin below it
    np.testing.assert_allclose(table.confidence, [0.075, 0.11, 0.975])
    np.testing.assert_allclose(table.accuracy, [0.5, 1, 0.5])
    assert table["count"].tolist() == [2, 1, 2]
    by_hand = (2 * abs(0.5 - 0.075) + abs(1 - 0.11) + 2 * abs(0.5 - 0.975)) / 5
    assert calibration_error(table) == pytest.approx(by_hand)


def test_confidence_zero_has_a_bin():
    assert calibration_table(np.array([0.0, 1.0]), np.array([False, True])).index.tolist() == [
        0,
        14,
    ]


@given(st.integers(0, 50), st.floats(0.05, 20))
def test_a_temperature_changes_no_answer(seed, temperature):
    proba = random_proba(seed)
    out = with_temperature(proba, temperature)
    assert out.dtype == np.float32 and out.shape == proba.shape
    assert (out.argmax(1) == proba.argmax(1)).all()
    np.testing.assert_allclose(out.sum(1), 1, atol=1e-4)
    surer = out.max(1) - proba.max(1)
    assert (surer >= -1e-6).all() if temperature <= 1 else (surer <= 1e-6).all()


def test_certainties_stay_certain():
    sure = np.float32([[1, 0, 0]])
    for temperature in (0.05, 1, 20):
        assert with_temperature(sure, temperature).argmax() == 0
    assert np.isfinite(with_temperature(sure, 20)).all()


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match="`temperature` must be above zero"):
        with_temperature(random_proba(0), temperature)


def test_the_fitted_one_is_the_best_of_a_grid():
    rng = np.random.default_rng(1)
    honest = random_proba(1, 2000)
    labels = (honest.cumsum(1) > rng.random((2000, 1))).argmax(1)

    def loss(t):
        return -np.log(with_temperature(too_sure, t)[np.arange(2000), labels].clip(1e-30)).mean()

    too_sure = with_temperature(honest, 0.5)
    found = fit_temperature(too_sure, labels)
    assert found == pytest.approx(2, abs=0.2)
    assert loss(found) <= min(map(loss, np.geomspace(0.1, 10, 60))) + 1e-6


def test_what_cannot_be_fitted():
    proba = random_proba(0)
    for labels in ([], [0], [0] * 51):
        with pytest.raises(ValueError, match="`labels` must be one for each row"):
            fit_temperature(proba[: len(labels) and 50], labels)
    for label in (-1, 4):
        with pytest.raises(ValueError, match="`labels` must be numbers from 0 to 3"):
            fit_temperature(proba, [label] + [0] * 49)


def test_the_figure_names_its_errors():
    table = calibration_table(np.full(10, 0.9), np.arange(10) < 5)
    ax = reliability_figure({"before": table, "after": table})
    assert ax.get_title() == "Calibration error (ECE): 0.400 before, 0.400 after"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("confidence", "accuracy")


def test_a_temperature_of_two_by_hand():
    proba = np.array([[0.8, 0.2]], np.float32)
    root = np.sqrt([0.8, 0.2])
    np.testing.assert_allclose(with_temperature(proba, 2)[0], root / root.sum(), atol=1e-6)


@pytest.mark.parametrize("true", [0.3, 0.7, 3.0])
def test_the_temperature_that_was_put_in_is_found(true):
    "Answers that are too careful, or too sure, by a known temperature."
    rng = np.random.default_rng(0)
    right = rng.dirichlet(np.ones(3), 20_000)
    labels = (right.cumsum(1) > rng.random((20_000, 1))).argmax(1)
    told = right**true / (right**true).sum(1, keepdims=True)
    found = fit_temperature(told, labels)
    grid = found * np.array([0.99, 0.997, 1.003, 1.01])
    losses = [
        -np.log(with_temperature(told, t)[np.arange(len(labels)), labels]).mean()
        for t in (found, *grid)
    ]
    assert found == pytest.approx(true, rel=0.05) and losses[0] <= min(losses[1:])


def test_certainty_a_hair_above_one_is_in_the_last_bin():
    table = calibration_table(np.array([np.nextafter(1.0, 2.0)]), np.array([True]), bins=4)
    assert table.index.tolist() == [3]


def test_a_temperature_of_one_is_the_same_table():
    proba = random_proba(3)
    assert with_temperature(proba, 1) is proba


def test_only_answers_that_rounding_made_equal_are_set_apart():
    half = np.float32(0.45)
    proba = np.float32([[0.1, half, np.nextafter(half, np.float32(1))], [0.2, 0.7, 0.1]])
    out = with_temperature(proba, 20)
    plain = np.exp(np.log(proba.astype(float)) / 20)
    plain = (plain / plain.sum(1, keepdims=True)).astype(np.float32)
    assert plain[0, 1] == plain[0, 2]  # so the first would win
    assert out[0, 2] == np.nextafter(plain[0, 1], np.float32(2))
    np.testing.assert_allclose(out, plain, atol=1e-7)
    scores = np.log(proba[1].astype(np.float64)) / 20
    untouched = np.exp(scores - logsumexp(scores)).astype(np.float32)
    assert out[1, 1] == pytest.approx(untouched[1], rel=1e-8)


def test_the_search_goes_from_a_twentieth_to_twenty():
    proba = np.tile(np.float32([0.9, 0.1]), (400, 1))
    assert fit_temperature(proba, [0, 1] * 200) == pytest.approx(20, rel=0.01)
