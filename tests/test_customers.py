"""Invented customers: repeatable, within their year, and with tastes that can be seen."""

import numpy as np
import pandas as pd
import pytest

from prodrec.data.customers import CUSTOMERS, ROLES, shopping
from prodrec.data.demo import product_ids, true_products
from prodrec.data.kinds import KINDS


@pytest.fixture(scope="module")
def year():
    truth = true_products(200, 0)[0]
    return truth, shopping(truth, product_ids(200), 0)


def test_every_kind_has_a_part_in_an_outfit():
    assert set(ROLES) == set(KINDS)


def test_the_year_repeats_and_another_seed_is_another_year(year):
    truth, events = year
    pd.testing.assert_frame_equal(events, shopping(truth, product_ids(200), 0))
    assert not events.equals(shopping(truth, product_ids(200), 1))


def test_events_are_of_known_customers_and_products_in_time(year):
    truth, events = year
    added = pd.Series(truth["added"].to_numpy(), product_ids(200))
    assert set(events.user) <= {f"u{n + 1:03d}" for n in range(CUSTOMERS)}
    assert (events.time >= events.id.map(added)).all() and events.time.is_monotonic_increasing
    assert events.value[events.event != "rating"].eq(1).all()
    assert events.value[events.event == "rating"].between(1, 5).all()
    assert not events[events.event == "purchase"].duplicated(["user", "id"]).any()


def test_outfits_hold_one_product_of_each_part(year):
    truth, events = year
    part = pd.Series(truth["category"].map(ROLES).to_numpy(), product_ids(200))
    outfits = events[events.outfit.notna()]
    assert set(outfits.event) == {"purchase"}
    assert (outfits.groupby("outfit").user.nunique() == 1).all()
    repeated = outfits.assign(part=outfits.id.map(part)).duplicated(["outfit", "part"])
    assert np.mean(repeated) == 0
