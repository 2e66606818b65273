"""What a column holds, and what products share."""

import pandas as pd
import pytest

from prodrec.recommend.attributes import Attributes, column_kind, column_kinds, said_values

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
