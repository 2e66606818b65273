"""Weights from choices, worth that fades, and means of few ratings."""

import numpy as np
import pandas as pd

from prodrec.recommend.choices import (
    bayesian_rating,
    decayed_matrix,
    fit_conditional_logit,
    product_facts,
    time_decay,
    tried_weights,
)
from prodrec.recommend.history import History


def test_a_useless_part_counts_nothing_and_impossible_choices_are_passed_over():
    rng = np.random.default_rng(0)
    offers = rng.normal(size=(500, 8, 2))
    best = offers[..., 0].argmax(1)
    people, others = np.arange(500), offers.copy()
    others[people, best] = np.nan
    weights = fit_conditional_logit(offers[people, best], people, others, l2=1e-3)
    assert weights[0] > 2 and weights[1] < 0.3 * weights[0]
    nothing = np.full((1, 3, 2), np.nan)
    assert np.isfinite(fit_conditional_logit(np.ones((1, 2)), np.zeros(1, int), nothing)).all()


def test_recency_and_stars():
    times = pd.Series(pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"]))
    np.testing.assert_allclose(time_decay(times, 2), [0.25, 0.5, 1])
    assert time_decay(pd.Series([pd.NaT])).tolist() == [1] and time_decay(times[:1]).tolist() == [1]
    assert bayesian_rating(
        pd.DataFrame({"id": ["p00"], "event": ["purchase"], "value": [1.0]}), ["p00"]
    ).tolist() == [0]


def test_facts_are_of_every_product_in_order():
    table = pd.DataFrame(
        {
            "user": ["a", "b", "a", "b"],
            "id": ["x", "x", "y", "y"],
            "event": ["purchase", "rating", "purchase", "rating"],
            "value": [1, 2, 1, 5],
            "time": ["2024-01-01", "2024-01-11", "2024-01-11", "2024-01-11"],
        }
    )
    history = History(table)
    fresh = decayed_matrix(history, half_life=10)
    np.testing.assert_allclose(fresh.toarray(), [[0.5, 1], [0, 1.5]])
    facts = product_facts(history, fresh)
    np.testing.assert_allclose(facts["popularity"], np.log1p([1, 2]), rtol=1e-6)
    np.testing.assert_allclose(facts["trend"], np.log1p([0.5, 2.5]), rtol=1e-6)
    assert facts["rating"][1] > facts["rating"][0]
    assert "rating" not in product_facts(history.only("purchase"), fresh)


def test_one_rating_is_hardly_believed():
    rated = pd.DataFrame(
        {
            "id": ["often"] * 45 + ["once", "bad"],
            "event": "rating",
            "value": [4.0] * 45 + [5.0, 1.0],
        }
    )
    mean = (45 * 4 + 6) / 47
    found = bayesian_rating(rated, ["often", "once", "bad", "never"])
    expected = [(180 + 5 * mean) / 50, (5 + 5 * mean) / 6, (1 + 5 * mean) / 6, mean]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(
        bayesian_rating(rated, ["once"], prior=1), [(5 + mean) / 2], rtol=1e-6
    )


def test_each_user_counts_once():
    "Nine users take what is red, one each; a tenth takes what is blue, ninety times."
    of = np.array([*range(9), *[9] * 90])
    chosen = np.where((of < 9)[:, None], [1.0, 0.0], [0.0, 1.0])
    others = np.tile(np.eye(2)[None], (10, 3, 1)).reshape(10, 6, 2)
    red, blue = fit_conditional_logit(chosen, of, others)
    assert red > 0.5 and blue < 0.3 * red


def test_what_is_old_is_worth_less_in_matrix_and_trend():
    events = {"user": ["a", "b"], "id": ["x", "y"], "event": "purchase"}
    history = History(pd.DataFrame(events | {"time": ["2024-01-01", "2024-01-31"]}))
    fresh = decayed_matrix(history, half_life=30)
    np.testing.assert_allclose(fresh.toarray(), [[0.5, 0], [0, 1]])
    facts = product_facts(history, fresh)
    assert (
        facts["popularity"][0] == facts["popularity"][1] and facts["trend"][0] < facts["trend"][1]
    )


def test_weights_replace_the_best_part_only_where_they_are_ahead_beyond_chance():
    rng = np.random.default_rng(0)
    alone = rng.random(500)
    noisy = alone + rng.normal(0, 0.3, 500)
    noisy += 0.005 - (noisy - alone).mean()  # ahead by less than the error of the mean
    values = pd.DataFrame({"best part": alone, "logit": noisy})
    assert tried_weights(values)["chosen"].idxmax() == "best part"
    tried = tried_weights(values.assign(greedy=alone + 0.05))
    assert tried["chosen"].idxmax() == "greedy" and tried.loc["greedy", "ahead"] > 0.04
