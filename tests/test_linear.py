"""A linear head: scikit-learn's answers, folds without leaks, and penalties that are chosen."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as reference_loss

from prodrec.models.linear import (
    choose_penalty,
    decorrelate,
    feature_scale,
    fit_head,
    fit_softmax,
    linear_proba,
    log_loss,
    make_folds,
    solver_axes,
    tempered_loss,
    unscale_weights,
)


def points(n=240, d=6, classes=3, noise=1.0, seed=0):
    "Return features and classes of three clouds of points."
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (rng.normal(size=(classes, d))[y] + noise * rng.normal(size=(n, d))).astype("f4"), y


@pytest.mark.parametrize("penalty", [0.3, 0.01])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_solution_is_that_of_scikit_learn(penalty, weighted):
    x, y = points()
    weights = np.where(y == 0, 3.0, 1.0) if weighted else None
    w = fit_softmax(x, y, 3, penalty, weights=weights, steps=1000, tolerance=1e-12)
    total = len(y) if weights is None else weights.sum()
    theirs = LogisticRegression(C=1 / (penalty * total), max_iter=5000, tol=1e-8)
    theirs.fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(linear_proba(x, w), theirs.predict_proba(x), atol=2e-3)


def test_sparse_and_dense_features_give_the_same():
    x, y = points()
    x[x < 0] = 0
    dense, sparse = (fit_softmax(some, y, 3, 0.01) for some in (x, csr_array(x)))
    np.testing.assert_allclose(
        linear_proba(csr_array(x), sparse), linear_proba(x, dense), atol=1e-3
    )


def test_a_start_at_the_solution_stays_there():
    x, y = points()
    w = fit_softmax(x, y, 3, 0.05, steps=1000, tolerance=1e-12)
    np.testing.assert_allclose(fit_softmax(x, y, 3, 0.05, start=w), w, atol=2e-3)


def test_a_class_that_is_not_there_is_never_likely():
    x, y = points()
    proba = linear_proba(x, fit_softmax(x, y, 5, 0.01))
    assert proba.shape == (len(y), 5) and proba[:, 3:].max() < 0.05


def test_folding_the_scale_in_changes_no_score():
    x, y = points()
    x[:, 2] = 7.0  # never changes
    x[:, 3] *= 1e4
    mean, factor = feature_scale(x)
    scaled = (x - mean) * factor
    assert factor[2] == 0 and np.isclose((scaled**2).sum(1).mean(), 5 / 6, atol=1e-3)
    w = fit_softmax(scaled, y, 3, 1e-3)
    plain = unscale_weights(w, mean, factor)
    np.testing.assert_allclose(linear_proba(x, plain), linear_proba(scaled, w), atol=2e-3)


def test_folds_tear_no_group_and_check_each_row_once():
    y = np.arange(90) % 3
    groups = np.arange(90) // 4
    folds = make_folds(y, 4, groups, seed=1)
    assert sorted(np.concatenate([check for _, check in folds])) == list(range(90))
    for learn, check in folds:
        assert not set(groups[learn]) & set(groups[check]) and len(learn) + len(check) == 90


def test_folds_of_rare_classes_say_nothing_and_work():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(make_folds(np.array([0] * 9 + [1]), 4)) == 4
        assert len(make_folds(np.array([0, 1, 2]), 4)) == 3


def test_the_loss_is_the_usual_one_and_unknown_labels_count_as_never_said():
    proba, y = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]), np.array([0, 1, 0])
    assert log_loss(proba, y) == pytest.approx(reference_loss(y, proba))
    assert log_loss(proba[:1], np.array([-1])) == pytest.approx(-np.log(1e-7))


def test_a_temperature_makes_up_for_shyness():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    right = np.where(rng.random(400) < 0.9, y, 1 - y)
    shy = np.where(np.arange(2) == right[:, None], 0.55, 0.45)
    loss, temperature = tempered_loss(shy, y)
    assert temperature < 1 and loss < log_loss(shy, y)
    assert loss == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), abs=0.05)


def test_noise_wants_a_stronger_penalty_than_signal():
    best = {}
    for noise in (0.3, 4.0):
        x, y = points(noise=noise)
        folds = make_folds(y, 4)
        table, proba, weights = choose_penalty(x, y, 3, folds)
        best[noise] = table.log_loss.idxmin()
        assert table.accuracy[best[noise]] == pytest.approx((proba.argmax(1) == y).mean())
        assert list(table.columns) == ["log_loss", "accuracy", "temperature", "seconds"]
        check = folds[0][1]
        np.testing.assert_allclose(linear_proba(x[check], weights), proba[check], atol=1e-5)
    assert best[4.0] > best[0.3]


def test_correlated_features_arrive_in_fewer_steps():
    "The same solution, in other axes: features of very different spread along them."
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    hidden = rng.normal(size=(900, 30)) + 0.7 * np.eye(30)[y] * 3
    x = (hidden * np.logspace(0, -2, 30) @ rng.normal(size=(30, 30)) / 6).astype(np.float32)
    exact = fit_softmax(x, y, 3, 1e-5, steps=5000, tolerance=1e-12)
    basis, shares = decorrelate(x)
    turned = fit_softmax(x @ basis, y, 3, 1e-5, steps=25, shares=shares)
    back = np.vstack([basis @ turned[:-1], turned[-1:]])
    far = fit_softmax(x, y, 3, 1e-5, steps=25)
    truth = linear_proba(x, exact)
    near, further = (np.abs(linear_proba(x, w) - truth).mean() for w in (back, far))
    assert near < further / 3, (near, further)


@pytest.mark.parametrize("columns", [1, 40])
def test_features_without_spread_or_more_of_them_than_products(columns):
    x = np.zeros((6, columns), np.float32)
    x[:3, 0] = 1
    basis, shares = decorrelate(x)
    assert np.isfinite(basis).all() and np.isfinite(shares).all() and basis.shape[0] == columns


def test_fewer_products_than_features_have_the_same_head():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 120)).astype(np.float32)
    x[:, 100:] = 2.0  # says nothing
    y = np.arange(30) % 3
    axes, shares, back = solver_axes(x)
    assert axes.shape == (30, 29) and shares is None  # less the mean
    w = back(fit_softmax(axes, y, 3, 1e-3))
    mean, factor = feature_scale(x)
    plain = unscale_weights(fit_softmax((x - mean) * factor, y, 3, 1e-3), mean, factor)
    np.testing.assert_allclose(linear_proba(x, w), linear_proba(x, plain), atol=2e-3)
    assert w.shape == (121, 3) and not w[100:120].any()


def test_features_that_are_all_the_same_leave_the_frequencies_of_the_classes():
    x, y = np.ones((5, 20), np.float32), np.array([0, 0, 0, 1, 1])
    np.testing.assert_allclose(linear_proba(x, fit_head(x, y, 2, 1e-3))[0], [0.6, 0.4], atol=1e-3)
