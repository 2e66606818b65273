"""The answer as a table, as JSON, as text and as pictures; its reasons."""

import json

import numpy as np
import pytest
from builders import shop

from prodrec.recommend.hits import Hits, reason, space_words


@pytest.fixture(scope="module")
def hits():
    parts = {"image": [0.5, 0.25], "text": [0.25, 0.0]}
    reasons = ["looks alike 0.90", "little in common"]
    return Hits(["001", "002"], [0.75, 0.25], parts, reasons, shop(5), [["004"], []])


def test_a_table_and_json_say_the_same(hits):
    table = hits.to_frame()
    columns = [
        "rank",
        "id",
        "score",
        "image",
        "text",
        "reason",
        "duplicates",
        "title",
        "category",
        "price",
    ]
    assert table.columns.tolist() == columns and table["duplicates"].tolist() == ["004", ""]
    assert json.loads(json.dumps(hits.to_dicts())) == json.loads(table.to_json(orient="records"))
    assert list(hits) == hits.ids and len(hits) == 2


def test_it_reads_in_a_terminal_and_without_css(hits):
    text, html = repr(hits), hits._repr_html_()
    assert text.startswith("Hits(2 products, scores 0.750 to 0.250)") and "looks alike 0.90" in text
    assert (
        "score 0.75" in html and "also 004" in html and "style" not in html and "class" not in html
    )
    hits.note = "passed over: <x>"
    assert "passed over: <x>" in repr(hits) and "passed over: &lt;x&gt;" in hits._repr_html_()
    hits.note = ""
    empty = Hits([], [], {}, [], shop(2), note="sold out")
    assert repr(empty) == "Hits(none)\nsold out" and "No product matches" in empty._repr_html_()
    assert empty.to_frame().empty and empty.to_dicts() == []


def many(n, note=""):
    return Hits(["001"] * n, np.ones(n), {}, ["x"] * n, shop(5), note=note)


def test_a_long_answer_says_how_many_it_does_not_show():
    whole, one_more = repr(many(24)), repr(many(25, "sold out: 2"))
    assert len(whole.splitlines()) == 26 and "more" not in whole
    assert one_more.splitlines()[-2:] == ["… and 1 more: `to_frame()` has all", "sold out: 2"]
    assert repr(many(1_999)).endswith("… and 1,975 more: `to_frame()` has all")
    assert many(99).to_text("scroll").endswith("… and 75 more: scroll")
    html = many(99)._repr_html_()
    assert html.count("<td") == 24 and "… and 75 more" in html
    assert "more" not in many(24)._repr_html_()


def test_a_figure(hits):
    axes = hits.figure(columns=2)
    assert axes.get_title() == "0.75" and axes.figure.get_suptitle()


def test_reasons_say_the_similarity_and_not_its_share():
    assert reason({"image": 0.55}, {"image": 0.55}) == "looks alike 0.55"
    assert (
        reason({"image": 0.1, "text": 0.6}, {"image": 0.2, "text": 0.9})
        == "described alike 0.90, looks alike 0.20"
    )
    said = reason(
        {"history": 0.3, "text": 0.01},
        {"text": 0.5},
        ["brand", "colour", "kind", "size"],
        ["like x"],
    )
    assert said == "like x; same brand, colour, kind; chosen by similar users"
    assert reason({}, otherwise="nobody had it yet") == "nobody had it yet"


def test_words_for_spaces_are_different():
    words = space_words({"a": {"image"}, "b": {"image"}, "c": {"text"}, "d": {"image", "text"}})
    assert words["a"] == "looks alike (a)" and words["c"] == "described alike"
    assert len(set(words.values())) == 4
