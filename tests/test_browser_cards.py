"""Cards and lists: what is folded, sorted, counted and hidden."""

import numpy as np
import pandas as pd
import pytest

from prodrec.apps.browser_cards import (
    Answers,
    Showcase,
    answer_list,
    beside_the_best,
    fold_identical,
    product_cards,
    product_line,
    product_title,
    shown_lists,
    sort_cards,
)
from prodrec.apps.browser_data import filter_masks
from prodrec.apps.browser_state import BrowserState
from prodrec.data.demo import load_demo
from prodrec.data.explore import prices_figure
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.recommender import Recommender

N = 80


@pytest.fixture(scope="module")
def catalog():
    return load_demo(n=N)


@pytest.fixture(scope="module")
def recommender(catalog):
    return Recommender(text=TfidfEmbedder(dim=16)).fit(catalog)


@pytest.fixture(scope="module")
def showcase(recommender, catalog):
    places = np.random.default_rng(0).random((N, 2))
    plane = pd.DataFrame(places, index=catalog.products.index, columns=["x", "y"])
    return Showcase(recommender, plane.sample(frac=0.9, random_state=1))


def test_products_without_title_or_price_have_a_face_too():
    row = pd.Series({"title": float("nan"), "category": None, "price": float("nan")})
    assert (product_title(row, "7"), product_line(row)) == ("7", "")
    assert product_line(pd.Series({"price": 3.0})) == "3.00"
    assert product_line({"price": 3.0}, "several currencies: EUR, USD") == "3.00"


def test_the_currency_comes_from_where_the_page_and_the_figures_have_it(recommender, monkeypatch):
    assert Showcase(recommender).setup()["currency"] is None
    monkeypatch.setenv("PRODREC_CURRENCY", "GBP")
    showcase = Showcase(recommender)
    assert showcase.setup()["currency"] == "GBP" and "£" in showcase.line(showcase.catalog.ids[0])
    assert prices_figure(recommender.catalog).get_xlabel() == "price in GBP (log scale)"
    assert Showcase(recommender, currency="CHF").line(showcase.catalog.ids[0]).count("CHF ") == 1


def test_bits_on_the_map_are_those_of_the_filter(showcase, catalog):
    masks = filter_masks(catalog.products, {"category": ["boot", "cap"]})
    bits = np.unpackbits(np.frombuffer(showcase.lit(masks), np.uint8))[: len(showcase.points)]
    category = catalog.products.category.loc[showcase.points.index]
    assert (bits.astype(bool) == category.isin(["boot", "cap"]).to_numpy()).all()
    assert showcase.lit({}) == b"" and len(showcase.points) == round(0.9 * N)


def test_counts_are_made_once_for_a_filter(showcase, catalog):
    masks = filter_masks(catalog.products, {"category": "boot"})
    first = showcase.counts(masks)
    assert showcase.counts(masks) is first and showcase.counts(dict(masks)) is not first
    assert first[0] == (catalog.products.category == "boot").sum()
    unfiltered = showcase.counts({})
    assert (
        unfiltered[0] == N and unfiltered[2]["price"].sum() == catalog.products.price.notna().sum()
    )


def test_products_nobody_asked_for_are_filtered_and_sorted(showcase, catalog):
    masks = filter_masks(catalog.products, {"category": ["boot", "cap"]})
    some = showcase.some(masks, N, "price")
    prices = catalog.products.price.loc[some]
    assert prices.is_monotonic_increasing and set(catalog.products.category.loc[some]) == {
        "boot",
        "cap",
    }
    assert showcase.some({}, 5) == showcase.some({}, 5) != catalog.ids[:5]


def test_missing_values_come_last_in_both_orders(recommender):
    products = recommender.catalog.products.copy()
    products.loc[products.index[:3], "price"] = np.nan
    shop = Showcase(recommender)
    shop.catalog = type(recommender.catalog)(products)
    cards = [{"id": i} for i in products.index[:6]]
    for sort in ("price", "-price"):
        last = [c["id"] for c in sort_cards(shop, cards, sort)][-3:]
        assert set(last) == set(products.index[:3])
    assert sort_cards(shop, [], "price") == []


def test_copies_of_copies_are_folded_into_the_first():
    cards = [
        {"id": "a", "thumb": b"1", "copies": [{"id": "x", "thumb": b"9"}]},
        {"id": "b", "thumb": None},
        {"id": "c", "thumb": b"1", "copies": [{"id": "y", "thumb": b"1"}]},
        {"id": "d", "thumb": None},
    ]
    folded = fold_identical(cards)
    assert [c["id"] for c in folded] == ["a", "b", "d"]  # no picture is like no other
    assert [c["id"] for c in folded[0]["copies"]] == ["x", "c", "y"]


def test_scores_that_are_logarithms_fit_their_bars():
    shown = {
        "cards": [
            {"score": 8.0, "parts": {"a": 5.0, "b": -1.0}},
            {"score": 2.0, "parts": {"a": 0.0}},
        ]
    }
    for card in beside_the_best(shown)["cards"]:
        assert 0 <= sum(card["parts"].values()) <= card["score"] + 1e-9 <= 1 + 1e-9
    assert beside_the_best({"cards": []}) == {"cards": []}


def test_what_was_said_and_picked_is_on_the_card(showcase, catalog):
    state = BrowserState().say(catalog.ids[0], "dislike", "me").pick([catalog.ids[1]])
    first, second = product_cards(showcase, state, catalog.ids[:2])
    assert (first["said"], second["said"]) == ("dislike", None)
    assert (first["tray"], second["tray"]) == (False, True)
    assert first["at"] == showcase.at.get(catalog.ids[0])


def test_a_blind_comparison_hides_all_that_tells(showcase, recommender, catalog):
    state = BrowserState({"k": 4}).ask(id=catalog.ids[0])
    hits, other = recommender.recommend(**state.query), recommender.recommend(4, id=catalog.ids[1])
    for left in (True, False):
        lists = shown_lists(showcase, state, Answers(hits, other), True, left)
        ids = [[c["id"] for c in one["cards"]] for one in lists]
        assert ids == ([hits.ids, other.ids] if left else [other.ids, hits.ids])
        for card in (c for one in lists for c in one["cards"]):
            told = (card["score"], card["parts"], card["reason"], card["because"], card["both"])
            assert told == (None, {}, "", None, False)


def test_the_list_says_what_hits_say(showcase, recommender, catalog):
    hits = recommender.recommend(6, id=catalog.ids[3])
    shown = answer_list(showcase, BrowserState({"k": 6}), hits, "Here")
    assert [c["id"] for c in shown["cards"]] == hits.ids and shown["name"] == "Here"
    np.testing.assert_allclose([c["score"] for c in shown["cards"]], hits.scores, rtol=1e-6)
    for card in shown["cards"]:
        assert sum(card["parts"].values()) == pytest.approx(card["score"], abs=1e-5)
