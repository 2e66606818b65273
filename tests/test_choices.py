"""Weights from choices, worth that fades, and means of few ratings."""

import numpy as np
import pandas as pd

from prodrec.recommend.choices import (
    bayesian_rating,
    decayed_matrix,
    fit_conditional_logit,
    product_facts,
    time_decay,
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
