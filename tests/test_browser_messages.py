"""What the page says to the kernel: any message, in any order, leaves the browser whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodrec.apps.browser import Browser
from prodrec.apps.browser_messages import HANDLERS, message, reply_to
from prodrec.data.demo import load_demo
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.recommender import Recommender

N = 60


@pytest.fixture(scope="module")
def recommender():
    return Recommender(text=TfidfEmbedder(dim=8)).fit(load_demo(n=N))


@pytest.fixture
def browser(recommender):
    places = np.random.default_rng(0).random((N, 2))
    plane = pd.DataFrame(places, index=recommender.catalog.products.index, columns=["x", "y"])
    return Browser(recommender, map=plane, k=4, paths=False)


IDS = st.sampled_from([*load_demo(n=N).ids[:6], "no such"])
MESSAGES = st.one_of(
    st.fixed_dictionaries({"do": st.just("ask"), "kind": st.just("id"), "value": IDS, "add": st.booleans(), "again": st.booleans()}),  # noqa: E501
    st.fixed_dictionaries({"do": st.just("ask"), "kind": st.sampled_from(["text", "user", "image", "at", "odd"]), "value": st.sampled_from(["boots", "xyzzy", "", 3, -1, 10**6, None])}),  # noqa: E501
    st.fixed_dictionaries({"do": st.just("say"), "id": IDS, "event": st.sampled_from(["like", "dislike", "hate"])}),  # noqa: E501
    st.fixed_dictionaries({"do": st.just("drop"), "kind": st.sampled_from(["id", "text", "positive", "where", "filter"]), "at": st.sampled_from([0, 1, 9, "price"])}),  # noqa: E501
    st.fixed_dictionaries({"do": st.just("steer"), "options": st.sampled_from([{"k": 3}, {"k": 0}, {"k": "x"}, {"where": {"price": [None, 60]}}, {"where": {"price": [9, 1]}}, {"where": {"odd": [0]}}, {"weights": {"text": 1}}, {"diversity": 7}, {"where": {}}])}),  # noqa: E501
    st.fixed_dictionaries({"do": st.sampled_from(["back", "page", "sort", "vote", "crop", "pick", "csv", "why", "peek", "map", "find", "select", "like_tray", "odd"]),  # noqa: E501
                           "to": st.sampled_from([0, 5, None]), "page": st.sampled_from([0, 2, "x"]), "by": st.sampled_from(["", "price", "-price", "odd"]), "side": st.just("left"),  # noqa: E501
                           "box": st.sampled_from([None, [0, 0, 0.5, 0.5], [1, 1, 0, 0]]), "ids": st.lists(IDS, max_size=2), "id": IDS, "at": st.sampled_from([0, 59, 60]), "text": st.just("boot")}),  # noqa: E501
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(MESSAGES, max_size=10))
def test_no_message_breaks_the_browser(recommender, messages):
    places = np.zeros((N, 2))
    plane = pd.DataFrame(places, index=recommender.catalog.products.index, columns=["x", "y"])
    browser, sent = Browser(recommender, map=plane, k=4, paths=False), []
    browser.send = lambda content, buffers=None: sent.append(content)
    for n, content in enumerate(messages):
        sent.clear()
        browser._received(browser, {**content, "n": str(n)}, [])
        assert len(sent) + (browser._view["n"] == str(n)) >= 1  # the page is never left waiting
        assert browser.query == browser.state.query and browser.selection == browser.state.selection
        assert (
            eval(
                browser.code(), {"recommender": recommender, "Browser": Browser, "browser": browser}
            )
            is not None
        )


def test_every_error_is_a_sentence(browser):
    reply, _ = reply_to(browser, {"do": "nonsense"})
    assert reply["kind"] == "error" and "nonsense" in reply["text"]
    assert isinstance(browser.error, ValueError)
    reply, _ = reply_to(browser, {"do": "ask"})  # without what to ask
    assert reply["kind"] == "error" and isinstance(browser.error, KeyError)


def test_a_message_of_ones_own(browser):
    @message("shout")
    def shout(browser, content, buffers):
        return {"kind": "shout", "text": content["text"].upper()}, [b"!"]

    try:
        assert reply_to(browser, {"do": "shout", "text": "hi"}) == (
            {"kind": "shout", "text": "HI"},
            [b"!"],
        )
    finally:
        del HANDLERS["shout"]


def test_strangers_reach_no_file(browser, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8")
    for value in (str(tmp_path / "secret.jpg"), "http://127.0.0.1:9/x.jpg"):
        reply, _ = reply_to(browser, {"do": "ask", "kind": "image", "value": value})
        assert reply["text"] == "Upload the picture instead of naming a file."


def test_what_a_filter_fades_is_not_selected(browser, recommender):
    products = recommender.catalog.products
    browser.steer(where={"category": ["boot"]})
    everything = np.arange(N, dtype=np.uint32).tobytes()
    reply_to(browser, {"do": "select"}, [everything])
    assert set(browser.selection) == set(products.index[products.category == "boot"])
    reply_to(browser, {"do": "pick", "selection": True})
    assert browser.tray.index.tolist() == list(browser.selection)
    reply_to(browser, {"do": "pick", "ids": list(browser.selection), "put": False})
    assert browser.tray.empty
