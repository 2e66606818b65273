"""A vote: who may, with which weights, and the one network that it becomes."""

import keras
import numpy as np
import pytest

from prodrec.models.networks import embedding_network
from prodrec.models.vote import choose_votes, fusion_weight, log_pool, pool_weights, vote_network


def answers(y, wrong, sure=0.8):
    "Return answers (n, 3) that name the true class, but the next one for the rows of `wrong`."
    named = np.where(np.isin(np.arange(len(y)), wrong), (y + 1) % 3, y)
    return np.where(np.arange(3) == named[:, None], sure, (1 - sure) / 2)


def loss(proba, y):
    return -np.log(proba[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_are_the_best_of_many(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=50)
    views = [rng.dirichlet(np.ones(4), 50) + np.eye(4)[y] * rng.random((50, 1)) for _ in range(2)]
    views = [v / v.sum(1, keepdims=True) for v in views]

    def penalised(w):
        return loss(log_pool(views, w), y) + w.sum() ** 2 / 2 / 50

    found = pool_weights(views, y)
    assert (found >= 0).all()
    grid = [np.array([a, b]) for a in np.linspace(0, 3, 31) for b in np.linspace(0, 3, 31)]
    assert penalised(found) <= min(map(penalised, grid)) + 1e-6


def test_no_member_rules_a_class_out():
    veto, other = np.array([[1.0, 0.0]]), np.array([[1e-12, 1.0]])
    assert 0.4 < log_pool([veto, other], (1, 1))[0, 0] < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_the_weight_of_the_mean_is_the_best_of_many(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(4), 50), rng.dirichlet(np.ones(4), 50)
    y = rng.integers(4, size=50)
    w = fusion_weight(a, b, y)
    losses = [loss(v * a + (1 - v) * b, y) for v in np.linspace(0, 1, 501)]
    assert 0 <= w <= 1 and loss(w * a + (1 - w) * b, y) <= min(losses) + 1e-6


def test_errors_on_different_products_make_a_vote_better_than_its_members():
    y = np.arange(90) % 3
    apart = [answers(y, range(0, 20)), answers(y, range(20, 40)), answers(y, range(40, 60))]
    weights = choose_votes(apart, y)
    np.testing.assert_allclose(weights, weights[0], rtol=0.05)
    mixed = log_pool(apart, weights)
    assert (mixed.argmax(1) == y).all() and loss(mixed, y) < loss(apart[0], y) - 0.1
    assert np.count_nonzero(choose_votes(apart, y, most=2)) == 2


def test_errors_on_the_same_products_leave_the_best_alone():
    y = np.arange(90) % 3
    same = [answers(y, range(20), 0.7), answers(y, range(20), 0.8), answers(y, range(25), 0.7)]
    weights = choose_votes(same, y)
    assert weights.tolist() == np.eye(3)[np.argmin([loss(a, y) for a in same])].tolist()


def test_a_lead_within_the_standard_error_is_no_lead():
    rng, y = np.random.default_rng(0), np.arange(40) % 3
    alone = 0
    for _ in range(20):  # candidates that differ by noise, on few products
        base = rng.normal(size=(40, 3)) + 2 * np.eye(3)[y]
        noisy = [np.exp(base + 0.05 * rng.normal(size=(40, 3))) for _ in range(5)]
        noisy = [a / a.sum(1, keepdims=True) for a in noisy]
        alone += np.count_nonzero(choose_votes(noisy, y)) == 1
    assert alone >= 17


def network(seed, size):
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((4,))
    x = keras.layers.Dense(size, activation="relu", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def test_one_network_answers_as_its_members_do_together(tmp_path):
    members = [network(0, 5), network(1, 2)]
    vote = vote_network(members, (0.3, 0.7))
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    expected = members[0].predict_on_batch(x) ** 0.3 * members[1].predict_on_batch(x) ** 0.7
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(vote.predict_on_batch(x), expected, atol=1e-5)
    vote.save(tmp_path / "vote.keras")
    again = keras.models.load_model(tmp_path / "vote.keras")
    np.testing.assert_allclose(again.predict_on_batch(x), expected, atol=1e-5)
    seen = [embedding_network(m).predict_on_batch(x) for m in members]
    both = embedding_network(vote).predict_on_batch(x)
    np.testing.assert_allclose(both, np.concatenate(seen, axis=1), atol=1e-5)


def test_what_members_learn_later_the_vote_has_learned():
    members = [network(0, 5), network(1, 2)]
    vote = vote_network(members, (0.5, 0.5))
    members[0].layers[-1].set_weights([np.zeros((5, 3)), np.array([9.0, 0.0, 0.0])])
    assert vote.predict_on_batch(np.zeros((1, 4), "float32"))[0, 0] > 0.5
