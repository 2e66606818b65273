"""The question, the reasons, the whole page as a value, and the table for pages without a kernel."""  # noqa: E501

import io
import json

import numpy as np
import pytest
from PIL import Image

from prodrec.apps.browser_cards import Answers, Showcase
from prodrec.apps.browser_state import BrowserState
from prodrec.apps.browser_view import (
    customer_cards,
    explain_card,
    fallback_html,
    filter_words,
    heat_overlay,
    heat_pictures,
    large_question,
    page_view,
    question_chips,
    static_table,
)
from prodrec.data.demo import load_demo, load_demo_events
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.history import History
from prodrec.recommend.recommender import Recommender

N = 80


@pytest.fixture(scope="module")
def catalog():
    return load_demo(n=N)


@pytest.fixture(scope="module")
def recommender(catalog):
    made = Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder(dim=16))
    return made.fit(catalog, History(load_demo_events(n=N)))


@pytest.fixture(scope="module")
def showcase(recommender):
    return Showcase(recommender)


def plain(value) -> bool:
    "True for what a message can carry: JSON and bytes."
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return isinstance(value, bytes) or json.loads(json.dumps(value)) == value


def test_the_page_is_a_plain_value(showcase, recommender, catalog):
    questions = [
        {"id": catalog.ids[0]},
        {"id": catalog.ids[:3]},
        {"text": "red dress"},
        {"image": catalog.open(catalog.ids[1])},
        {"user": recommender.profiles.history.users[0]},
        {"user": "nobody"},
    ]
    for question in questions:
        state = BrowserState({"k": 5}).ask(**question).pick(catalog.ids[:2]).select(catalog.ids[:9])
        view = page_view(showcase, state, Answers(recommender.recommend(**state.query)))
        assert plain(view), question
        assert (view["question"] is not None) == (
            view["trail"][-1] not in ("red dress", "u001", "nobody") and len(view["chips"]) == 1
        )
    assert plain(page_view(showcase, BrowserState({"k": 5}), Answers()))


def test_reasons_add_up_and_name_what_is_shared(showcase, recommender, catalog):
    for question in ({"id": catalog.ids[4]}, {"id": catalog.ids[:2]}, {"text": "boots"}):
        state = BrowserState({"k": 4}).ask(**question)
        hits = recommender.recommend(**state.query)
        for id in hits.ids:
            why, heat = explain_card(showcase, state, hits, id)
            assert sum(why["parts"].values()) == pytest.approx(why["score"], abs=1e-5)
            assert heat == []  # colours and words look with no network
            if "id" in question and isinstance(question["id"], str):
                row, asked = catalog[id], catalog[question["id"]]
                assert all(str(row[n]) == str(asked[n]) == v for n, v in why["shared"] if n in row)
                assert why["asked"] == asked.title
            else:
                assert why["shared"] == [] and why["asked"] is None


class Looking:
    "A recommender whose network sees everything in the upper left corner."

    def __init__(self, catalog):
        self.catalog, self.weights, self.asked = catalog, {"image": 1.0}, []

    def explain(self, query, hit, layer=None):
        self.asked.append((query, hit))
        heat = np.zeros((8, 6), np.float32)
        heat[:4, :3] = 1
        return heat


def test_heat_lies_on_both_pictures(catalog):
    looking = Looking(catalog)
    shop = Showcase(looking)
    a, b = catalog.ids[:2]
    pictures = heat_pictures(shop, a, b)
    assert looking.asked == [(b, a), (a, b)] or looking.asked == [(a, b), (b, a)]
    assert len(pictures) == 2
    assert len(heat_pictures(shop, catalog.open(a), b)) == 2  # an upload as well
    for data in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        height, width = pixels.shape[:2]
        warm = pixels[..., 0] - pixels[..., 2]
        assert (
            warm[: height // 3, : width // 3].mean() > 60 > 15 > abs(warm[2 * height // 3 :].mean())
        )


def test_an_overlay_keeps_the_picture(catalog):
    pixels = catalog.pixels(catalog.ids[0])
    cold = np.asarray(Image.open(io.BytesIO(heat_overlay(pixels, np.zeros((3, 3)), 96))))
    assert max(cold.shape[:2]) <= 96 and np.abs(cold[..., 0].astype(int) - cold[..., 2]).max() < 12


def test_the_large_picture_is_of_one_question(showcase, catalog):
    state = BrowserState()
    assert large_question(showcase, state.ask(id=catalog.ids[:2]), {}) is None
    assert large_question(showcase, state.ask(image="lost.jpg"), {}) is None
    file = catalog.open(catalog.ids[0])
    asked = state.ask(image=file).steer(crop=(0, 0, 0.5, 1))
    shown = large_question(showcase, asked, {file: "me.jpg"})
    assert (shown["title"], shown["crop"], shown["id"]) == ("me.jpg", [0, 0, 0.5, 1], None)
    assert max(Image.open(io.BytesIO(shown["picture"])).size) <= 300


def test_filters_in_words():
    said = {
        (None, 60.0): "up to 60", (5.5, None): "from 5.5", ("2024-01-01", None): "from 2024-01-01",
        (1, 2): "1 to 2",
    }  # fmt: skip
    assert {w: filter_words(w) for w in said} == said
    assert filter_words("red") == "red" and filter_words(list("abcde")) == "a or b or c or 2 others"


def test_chips_of_everything_that_is_asked(showcase, catalog):
    state = BrowserState().ask(id=catalog.ids[:2], text="boots", user="u001")
    state = state.say(catalog.ids[5], "like", "me").steer(where={"id": catalog.ids[:7]})
    kinds = [c["kind"] for c in question_chips(showcase, state, {})]
    assert kinds == ["id", "id", "text", "user", "positive", "where"]
    assert question_chips(showcase, state, {})[-1]["label"] == "7 chosen products"


def test_a_customer_is_shown_by_products(showcase, recommender):
    user = recommender.profiles.history.users[0]
    shown = customer_cards(showcase, BrowserState().ask(user=user))
    bought = recommender.profiles.profile(user)[0].had
    assert shown["n"] >= len(set(bought)) and shown["cards"][0]["id"] == bought[-1]
    assert customer_cards(showcase, BrowserState().ask(user=[user, "u002"])) is None
    assert customer_cards(showcase, BrowserState().ask(text="boots")) is None


def test_the_table_has_titles_for_those_who_cannot_see(showcase, recommender, catalog):
    state = BrowserState({"k": 5}).ask(id=catalog.ids[0])
    hits = recommender.recommend(**state.query)
    table = static_table(showcase, state, hits)
    for id in hits.ids:
        assert f'alt="{catalog[id].title}"' in table or "&" in table
    whole = fallback_html(table, "abc")
    assert whole.count("abc") >= 4 and table in whole and "<script" not in whole
