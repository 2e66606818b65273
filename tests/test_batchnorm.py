"""BatchNorm's statistics: recomputed against numpy, looked at without a trace, and what is warned
of.
"""

import warnings

import keras
import numpy as np
import pytest

from prodrec.models.batchnorm import (
    BatchNormWarning,
    all_layers,
    batchnorm_gap,
    batchnorm_layers,
    recalibrate_batchnorm,
    recompute_statistics,
)
from prodrec.models.epochs import Batches

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
RNG = np.random.default_rng(0)
X = RNG.normal([3, -2, 0, 7], [1, 2, 0.5, 3], size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 3).astype(int)


def norm(**options):
    return keras.layers.BatchNormalization(**options)


def network(*before, after=()):
    "What is given, BatchNorm in the middle, and a decision."
    inputs = keras.Input((4,))
    x = inputs
    for layer in (
        *before,
        norm(name="norm"),
        *after,
        keras.layers.Dense(2, activation="softmax", name="decision"),
    ):
        x = layer(x)
    return keras.Model(inputs, x)


def statistics(layer):
    return np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


def rates(model):
    return [layer.rate for layer in all_layers(model) if isinstance(layer, keras.layers.Dropout)]


# -- recomputing


@pytest.mark.parametrize("most,shuffle", [(100, False), (100, True), (3, False), (1, True)])
def test_recomputed_statistics_are_the_means_over_batches(most, shuffle):
    "Also of the last batch, which is shorter, and whatever the layer held before."
    model, batches = network(), Batches(X, Y, 8, shuffle=shuffle, seed=2)
    layer = model.get_layer("norm")
    layer.set_weights([np.full(4, 2.0), np.full(4, 0.5), np.full(4, -99.0), np.full(4, 99.0)])
    before = [np.asarray(w) for w in model.trainable_weights]
    recompute_statistics(model, batches, most)
    seen = [batches[n][0] for n in range(min(7, most))]
    np.testing.assert_allclose(
        statistics(layer)[0], np.mean([x.mean(0) for x in seen], 0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        statistics(layer)[1], np.mean([x.var(0) for x in seen], 0), rtol=1e-4
    )
    assert layer.momentum == 0.99
    for a, b in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_dropout_would_drop_counts():
    "Statistics belong to what is seen in inference."
    model = network(keras.layers.Dropout(0.5, seed=1))
    recompute_statistics(model, Batches(X, Y, 50))
    np.testing.assert_allclose(
        statistics(model.get_layer("norm"))[0], X.mean(0), rtol=1e-4, atol=1e-5
    )
    assert rates(model) == [0.5]


def test_the_second_of_two_sees_what_the_first_gives():
    model = network(norm(name="first"), keras.layers.Dense(4, name="mixed"))
    recompute_statistics(model, Batches(X, Y, 50))
    gamma, beta, _, _ = model.get_layer("first").get_weights()
    once = gamma * (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3) + beta
    kernel, bias = model.get_layer("mixed").get_weights()
    np.testing.assert_allclose(
        statistics(model.get_layer("norm"))[1], (once @ kernel + bias).var(0), rtol=1e-3
    )


@pytest.mark.parametrize("how", ["the layer", "its model"])
def test_frozen_layers_keep_what_they_came_with(how):
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, norm(name="frozen")(inputs), name="backbone")
    (inner if how == "its model" else inner.get_layer("frozen")).trainable = False
    model = keras.Model(inputs, network()(inner(inputs)))
    came = [np.full(4, 5.0), np.full(4, 6.0)]
    inner.get_layer("frozen").set_weights([np.ones(4), np.zeros(4), *came])
    learning = next(x for x in all_layers(model) if x.name == "norm")
    recompute_statistics(model, Batches(X, Y, 50))
    np.testing.assert_array_equal(statistics(inner.get_layer("frozen")), came)
    np.testing.assert_allclose(
        statistics(learning)[0], (X.mean(0) - 5) / np.sqrt(6.001), rtol=1e-3, atol=1e-4
    )
    assert batchnorm_layers(model) == [learning]
    batchnorm_gap(model, X, Y)
    np.testing.assert_array_equal(statistics(inner.get_layer("frozen")), came)


class Broken:
    "Batches that fail at the second."

    def __len__(self):
        return 3

    def __getitem__(self, n):
        if n:
            raise OSError("no such batch")
        return X[:8], Y[:8]


def test_an_error_leaves_rates_and_momenta():
    inner = network(keras.layers.Dropout(0.3))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(keras.layers.Dropout(0.2)(norm(momentum=0.7)(inputs))))
    with pytest.raises(OSError, match="no such batch"):
        recompute_statistics(model, Broken())
    assert rates(model) == [0.2, 0.3]
    assert [layer.momentum for layer in batchnorm_layers(model)] == [0.7, 0.99]
    with pytest.raises(ValueError):
        batchnorm_gap(model, X[:, :3], Y)
    assert rates(model) == [0.2, 0.3]


# -- looking


def test_layers_of_models_in_models_are_found():
    deep = keras.Sequential([keras.Input((4,)), norm(name="deep")])
    inputs = keras.Input((4,))
    middle = keras.Model(inputs, norm(name="middle")(deep(inputs)))
    model = keras.Model(inputs, norm(name="top")(middle(inputs)))
    assert [layer.name for layer in batchnorm_layers(model)] == ["deep", "middle", "top"]
    assert (
        batchnorm_layers(keras.Sequential([keras.Input((4,)), keras.layers.LayerNormalization()]))
        == []
    )


def gap_network():
    """Right where the first number is above the mean of those it normalises by; the running mean
    is far away.
    """
    model = network(keras.layers.Dropout(0.9))
    model.get_layer("norm").set_weights([np.ones(4), np.zeros(4), np.full(4, 99.0), np.ones(4)])
    model.get_layer("decision").set_weights([np.array([[-1.0, 1], *[[0, 0]] * 3]), np.zeros(2)])
    return model


def test_the_gap_is_that_of_the_statistics_alone():
    model = gap_network()
    before = statistics(model.get_layer("norm"))
    wanted = ((X[:, 0] > X[:, 0].mean()) == Y).mean(), (Y == 0).mean()
    assert wanted[0] > wanted[1] + 0.2
    assert batchnorm_gap(model, X, Y) == pytest.approx(wanted)
    np.testing.assert_array_equal(statistics(model.get_layer("norm")), before)
    assert rates(model) == [0.9]
    model.get_layer("norm").set_weights([np.ones(4), np.zeros(4), X.mean(0), X.var(0)])
    assert batchnorm_gap(model, X, Y) == pytest.approx((wanted[0], wanted[0]))


# -- after training


def test_a_collapsed_network_is_warned_of():
    right = ((X[:, 0] > X[:, 0].mean()) == Y).mean()
    told = rf"right in {right:.2f} in training mode and in {(Y == 0).mean():.2f} in inference mode.*recompute_batchnorm"  # noqa: E501
    with pytest.warns(BatchNormWarning, match=told):
        recalibrate_batchnorm(gap_network(), Batches(X, Y, 50), recompute=False)


def test_a_healthy_or_cured_one_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchNormWarning)
        cured = gap_network()
        recalibrate_batchnorm(cured, Batches(X, Y, 50))
        recalibrate_batchnorm(cured, Batches(X, Y, 50), recompute=False)
        recalibrate_batchnorm(gap_network(), Batches(X, Y, 50), recompute=False, tolerance=0.99)
        plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        recalibrate_batchnorm(plain, None)  # nothing is asked of what has no BatchNorm


def test_what_recomputing_cannot_cure_is_warned_of_too():
    "Batches so different that no mean fits any of them."
    x = np.concatenate([X[:25] * [1, 0, 0, 0], X[25:] * [1, 0, 0, 0] + 1000]).astype(np.float32)
    model = gap_network()
    with pytest.warns(BatchNormWarning, match="larger batches"):
        recalibrate_batchnorm(model, Batches(x, Y, 25))


@pytest.mark.parametrize("weights", [None, np.ones(50, np.float32)])
def test_batches_with_weights_are_taken(weights):
    model = gap_network()
    recalibrate_batchnorm(model, Batches(X, Y, 50, weights=weights))
    np.testing.assert_allclose(
        statistics(model.get_layer("norm"))[0], X.mean(0), rtol=1e-4, atol=1e-5
    )
