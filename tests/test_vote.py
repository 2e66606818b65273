"""A vote: who may, with which weight, and the one network that it becomes."""

import keras
import numpy as np
import pytest

from prodrec.models.networks import embedding_network
from prodrec.models.vote import choose_votes, vote_network


def answers(y, wrong, sure=0.8):
    "Return answers (n, 3) that name the true class, but the next one for the rows of `wrong`."
    named = np.where(np.isin(np.arange(len(y)), wrong), (y + 1) % 3, y)
    return np.where(np.arange(3) == named[:, None], sure, (1 - sure) / 2)


def loss(proba, y):
    return -np.log(proba[np.arange(len(y)), y]).mean()


def test_errors_on_different_products_make_a_vote_better_than_its_members():
    y = np.arange(90) % 3
    apart = [answers(y, range(0, 20)), answers(y, range(20, 40)), answers(y, range(40, 60))]
    weights = choose_votes(apart, y)
    np.testing.assert_allclose(weights, 1 / 3, atol=0.02)
    mixed = sum(w * a for w, a in zip(weights, apart, strict=True))
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


@pytest.mark.parametrize("temperatures", [None, (2.0, 0.5)])
def test_one_network_answers_as_its_members_do_together(temperatures, tmp_path):
    members = [network(0, 5), network(1, 2)]
    vote = vote_network(members, (0.3, 0.7), temperatures)
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    expected = 0
    for member, weight, t in zip(members, (0.3, 0.7), temperatures or (1, 1), strict=True):
        powers = member.predict_on_batch(x) ** (1 / t)
        expected = expected + weight * powers / powers.sum(1, keepdims=True)
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
