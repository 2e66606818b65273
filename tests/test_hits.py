"""The answer as a table, as JSON, as text and as pictures; its reasons, and what products share."""

import json

import numpy as np
import pandas as pd
import pytest
from builders import shop

from prodrec.recommend.attributes import Attributes, column_kind, column_kinds, said_values
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
    many = Hits(["001"] * 99, np.ones(99), {}, ["x"] * 99, shop(5))
    assert len(repr(many).splitlines()) < 30 and many._repr_html_().count("<td") == 24


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


COLUMNS = {
    "brand": (["Acme", "Bolt"], "choice"),
    "category": (["1", "2"], "choice"),  # labels may be digits
    "size": (["38", "40", "M"], "choice"),
    "season": (["winter2024", "summer2024"], "choice"),
    "rating": (["No rating available", "4.5", "4"], "number"),
    "cost": (["$12.50", "$3.99"], "number"),
    "crawl_time": (["2016-03-25 22:59:23 +0000", "2016-03-26 01:00:00 +0000"], "time"),
    "day": (["25/03/2016", "1.4.2016"], "time"),
    "page": (["https://x.example/1", "http://y.example/2"], "link"),
    "seller_id": (["s1", "s2"], "id"),
    "SKU": ([7, 8], "id"),
    "stock": ([7, 8], "number"),
    "new": ([True, False], "yes or no"),
    "checked": (["n/a", "unknown", "-"], "nothing"),
    "empty": ([None], "nothing"),
    "tags": ([["t"]], "nothing"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_column_holds(name):
    some, kind = COLUMNS[name]
    values = pd.Series((some * 20)[:20], name=name)
    assert column_kind(values) == kind
    assert column_kind(pd.Series(values, dtype=object)) == kind or kind in (
        "id",
        "number",
        "yes or no",
    )


def test_texts_of_their_own_and_numbers_of_the_machine():
    frame = pd.DataFrame(
        {"title": [f"shirt {n}" for n in range(99)], "pid": [f"SHO{n // 2:07d}" for n in range(99)]}
    )
    assert column_kinds(frame).to_dict() == {"title": "text", "pid": "id"}


def test_empty_words_are_shared_by_nobody():
    frame = pd.DataFrame({"fit": ["slim", "not specified", "Not specified", "slim"]})
    attributes = Attributes(frame)
    assert attributes.shared([1, 2, 3], 0) == [[], [], ["fit"]] and attributes.shared([2], 1) == [
        []
    ]
    assert said_values(frame["fit"]).notna().tolist() == [True, False, False, True]
    assert attributes.named([0, 1], "slim and not specified") == [["slim"], []]
    assert repr(attributes) == "Attributes(4 products; fit)"


def test_values_are_found_in_a_text_in_any_script():
    frame = pd.DataFrame({"category": ["Ankle Boots", "鞋", "Größe M"] * 2})
    attributes = Attributes(frame)
    assert attributes.named([0, 1, 2], "brown ankle boot") == [["Ankle Boots"], [], []]
    assert attributes.named([0, 1, 2], "男鞋") == [[], ["鞋"], []]
    assert attributes.named([0, 1, 2], "GRÖSSE m") == [[], [], ["Größe M"]]
