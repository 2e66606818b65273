"""Filters: a dict, a mask or a function against a comparison one value at a time; JSON and
conditions.
"""

import datetime
import time

import numpy as np
import pandas as pd
import pytest
from builders import SIZE, TABLE, filters, shop
from hypothesis import HealthCheck, given, settings

from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.filters import (
    MAX_HINTS,
    absent_note,
    common_range,
    end_of_day,
    filter_table,
    filter_values,
    is_plain,
    json_object,
    json_wish,
    listed_values,
    parse_where,
    read_where,
    typed_value,
    where_mask,
    where_note,
)
from prodrec.recommend.recommender import Recommender

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def both():
    return Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(45))


def reference(values, wanted):
    "What `wanted` means, one value at a time."

    def matches(value):
        if pd.isna(value):
            return False
        if isinstance(wanted, tuple):
            low, high = wanted
            return (low is None or value >= low) and (high is None or value <= high)
        return value in wanted if isinstance(wanted, list | set) else value == wanted

    return np.array([matches(v) for v in values], bool)


@settings(quick, max_examples=150)
@given(filters)
def test_dict_filters(where):
    wanted = np.ones(len(TABLE), bool)
    for column, value in where.items():
        wanted &= reference(TABLE[column], value)
    mask = where_mask(TABLE, where)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, wanted)


def test_dates_may_be_text():
    for day in (
        "2024-01-05",
        pd.Timestamp("2024-01-05"),
        datetime.datetime(2024, 1, 5),
        np.datetime64("2024-01-05"),
    ):
        wanted = (TABLE["made"] == pd.Timestamp("2024-01-05")).to_numpy()
        assert wanted.any()
        for form in (day, [day], (day, day)):
            np.testing.assert_array_equal(where_mask(TABLE, {"made": form}), wanted)
    with pytest.raises(ValueError, match="`where`"):
        where_mask(TABLE, {"made": "not a day"})


def test_filters_may_be_masks_and_functions(both):
    cheap = (TABLE["price"] < 5).to_numpy()
    unsure = (TABLE["price"] < 5).astype("boolean").mask(TABLE["price"].isna())
    for where in (
        cheap,
        TABLE["price"] < 5,
        (TABLE["price"] < 5)[::-1],
        unsure,
        unsure.array,
        lambda t: t["price"] < 5,
    ):
        np.testing.assert_array_equal(where_mask(TABLE, where), cheap)
        hits = both.recommend(50, id="001", where=where)
        assert set(hits.ids) == set(TABLE.index[cheap]) - {"001"}
    given = cheap.copy()
    where_mask(TABLE, given)[:] = False
    np.testing.assert_array_equal(given, cheap)  # the caller's mask stays the caller's
    np.testing.assert_array_equal(
        where_mask(TABLE, {"id": ["007", "008"]}), TABLE.index.isin(["007", "008"])
    )


def test_a_range_may_be_a_list():
    for column, low, high in (
        ("stock", 1, 3),
        ("price", None, 5),
        ("price", 3, None),
        ("stock", 10, None),
        ("made", None, "2024-01-05"),
    ):
        np.testing.assert_array_equal(
            where_mask(TABLE, {column: [low, high]}), where_mask(TABLE, {column: (low, high)})
        )
    two = where_mask(TABLE, {"stock": {1, 3}})
    np.testing.assert_array_equal(two, TABLE["stock"].isin([1, 3]).to_numpy())
    with pytest.raises(ValueError, match="a set for one or the other"):
        where_mask(TABLE, {"stock": [3, 1]})
    unnamed = where_mask(TABLE, {"category": [None, "nothing"]})  # words have no order: no range
    np.testing.assert_array_equal(unnamed, TABLE["category"].isna().to_numpy())


# What a filter that is text could do to the machine, where pandas evaluates it
CODE = [
    "title == '''a'b''' or title.map.__globals__['__builtins__']['open']('stolen', 'w').write('') == 0 or '''c'd''' == title",  # noqa: E501
    "title.map.__globals__['__builtins__']['open']('stolen', 'w')",
    "price < 5",
    "price.to_csv('stolen')",
    "`price`.to_csv('stolen')",
    "@pd.read_csv('x')",
    "__import__('os').system('touch stolen')",
    "",
]


@pytest.mark.parametrize("text", CODE)
def test_no_text_is_evaluated(text, both, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asking = [
        lambda where: where_mask(TABLE, where),
        lambda where: both.recommend(3, id="001", where=where),
        lambda where: both.recommend(3, id=["001", "002"], where=where, each=True),
    ]
    for ask in asking:
        for where in (text, lambda _: text):
            with pytest.raises(TypeError, match=r"text is never evaluated: give `where` as a dict"):
                ask(where)
    for condition in filter(None, CODE):
        try:
            read_where([condition], TABLE)
        except ValueError as e:
            assert "`where`" in str(e)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "where",
    [
        {"colour": "red"},
        {"price": (1, 2, 3)},
        {"price": ("a", "b")},
        {"category": (1, 2)},
        {"stock": ("a", None)},
        {"category": "price.to_csv('stolen') == 1", "price": "price < 5"},
        np.ones(3, bool),
        np.ones(len(TABLE)),
        np.ones((len(TABLE), 1), bool),
        TABLE["price"],
        pd.Series(True, index=[f"x{i}" for i in TABLE.index]),
    ],
    ids=lambda w: str(w)[:40],
)
def test_filters_that_cannot_be_used(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="`where`"):
        where_mask(TABLE, where)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [bool, "boolean"])
def test_yes_and_no_may_be_words(kind):
    table = pd.DataFrame({"new": pd.Series([True, False, True], dtype=kind)})
    for wish, found in (("True", [0, 2]), (["no"], [1]), (["yes", "False"], [0, 1, 2])):
        assert np.flatnonzero(where_mask(table, {"new": wish})).tolist() == found
    with pytest.raises(ValueError, match="received the text 'perhaps'"):
        where_mask(table, {"new": "perhaps"})


def test_filters_of_another_type(both):
    for where in (3, ["a"], [True] * len(TABLE), None, lambda t: {"price": 3}):
        with pytest.raises(TypeError, match="give `where` as a dict, as a mask or as a function"):
            where_mask(TABLE, where)
    assert len(both.recommend(3, id="000", where={"category": "nothing of the kind"})) == 0
    assert len(both.recommend(3, id="000", exclude=both.catalog.ids)) == 0


@pytest.mark.parametrize(
    "conditions, wanted",
    [
        (["price<=5"], TABLE["price"] <= 5),
        (["price >= 3", "price<=9"], TABLE["price"].between(3, 9)),
        (["price<9", "price>3"], (TABLE["price"] < 9) & (TABLE["price"] > 3)),
        (["price=3", "category=a"], (TABLE["price"] == 3) & (TABLE["category"] == "a")),
        (["category=a,b"], TABLE["category"].isin(["a", "b"])),
        (["category!=a"], TABLE["category"].notna() & (TABLE["category"] != "a")),
        (["category=a,b", "category!=a"], TABLE["category"] == "b"),
        (["category=a,b", "category=b"], TABLE["category"] == "b"),
        (["new=yes", "stock>10"], TABLE["new"] & (TABLE["stock"] > 10).fillna(False)),
        (
            ["made>=2024-01-05", "made<2024-01-09"],
            (TABLE["made"] >= "2024-01-05") & (TABLE["made"] < "2024-01-09"),
        ),
        (["id=001,002"], TABLE.index.isin(["001", "002"])),
        (
            ['{"price": [null, 5]}', "category=a"],
            (TABLE["price"] <= 5) & (TABLE["category"] == "a"),
        ),
        (['{"stock": [1, 30]}'], TABLE["stock"].between(1, 30).fillna(False)),
        (['{"stock": {"any": [1, 30]}}'], TABLE["stock"].isin([1, 30])),
        (['{"made": ["2024-01-05", null]}'], TABLE["made"] >= "2024-01-05"),
        (['{"category": ["a", "b"]}'], TABLE["category"].isin(["a", "b"])),
    ],
    ids=str,
)
def test_conditions_of_a_command_line(conditions, wanted):
    mask = where_mask(TABLE, read_where(conditions, TABLE))
    np.testing.assert_array_equal(mask, np.asarray(wanted, bool))


@pytest.mark.parametrize(
    "condition, told",
    [
        ("prise<5", r"names column 'prise'.*did you mean 'price'\?"),
        ("price<cheap", "column 'price' holds float64 values, received 'cheap'"),
        ("new=perhaps", "column 'new' holds bool values"),
        ("made>soon", "column 'made' holds datetime"),
        ("category<b", "column 'category' holds no numbers or dates"),
        ("price", "'price' is no condition"),
        ("price=", "'price=' is no condition"),
        ("{category", "no JSON"),
    ],
)
def test_conditions_that_cannot_be_read(condition, told):
    with pytest.raises(ValueError, match=told):
        read_where([condition], TABLE)


@pytest.mark.parametrize("where", [{"price": (5, 1)}, {"price": "5"}, {"stock": ["3"]}])
def test_filters_that_cannot_be_meant(where):
    with pytest.raises(ValueError, match="`where`"):
        where_mask(TABLE, where)


# -- filters of a page


def test_columns_of_the_machine_make_no_filter():
    n = 60
    frame = pd.DataFrame(
        {
            "title": [f"mug {i}" for i in range(n)],
            "colour": ["red", "blue", "not specified"] * (n // 3),
            "price": np.arange(n) / 2,
            "crawl_id": range(n),
            "crawled": [f"2016-03-25 22:{i % 30:02d}:00" for i in range(n)],
            "seen": pd.date_range("2024-01-01", periods=n),
            "scrape_timestamp": pd.date_range("2024-01-01", periods=n),
            "rating": ["No rating available", "4.5", "3.9"] * (n // 3),
            "page": [f"https://x.example/{i % 9}" for i in range(n)],
        }
    )
    table = filter_table(frame)
    assert table.columns.tolist() == ["colour", "price", "seen"]
    assert table["colour"].cat.categories.tolist() == ["blue", "red"]
    named = filter_table(frame, ["crawl_id", "page", "rating"])
    assert named.columns.tolist() == ["crawl_id", "page", "rating"]  # the shop knows better


def test_what_comes_from_outside_is_plain():
    for plain in ("x", 1, 1.5, True, None, -(2**62)):
        assert is_plain(plain)
    for strange in ("\ud800", "a\0", 2**64, float("inf"), float("nan"), [], {}):
        assert not is_plain(strange)
    with pytest.raises(ValueError, match="`weights` must be an object, e.g. {}, received '3'"):
        json_object("3", "weights", "{}")
    with pytest.raises(ValueError, match="`weights` is no JSON"):
        json_object("[" * 100_000, "weights", "{}")


def test_a_near_miss_in_long_texts_costs_no_time():
    texts = pd.Series(
        [f"{n} a cotton tee with a print of number {n * 7919}" * 4 for n in range(5_000)]
    )
    products = pd.DataFrame({"title": texts, "kind": ["mug", "lamp"] * 2_500})
    began = time.perf_counter()
    note = where_note(products, {"title": "a cotton tea with a print" * 9})
    assert time.perf_counter() - began < 1 and "no product has" in note and "nearest" not in note
    junk = [f"junk {n}" for n in range(2_000)]
    assert "the nearest is" not in where_note(products, {"title": junk})
    assert time.perf_counter() - began < 2


def test_what_makes_a_filter():
    def kept(*values) -> bool:
        return filter_values(pd.Series(values, name="size")) is not None

    assert kept(5, 6, 5, 5) and not kept(5, 5, 5, 5)
    assert kept("a", "b", "a") and not kept("a", "a", "a")
    assert kept(*["a", "b", "c"] * 2) and not kept(*"abcd", "e", "f")


def test_ranges_are_joined_and_other_wishes_are_not():
    assert common_range((1, 5), (3, None)) == (3, 5)
    assert common_range((None, 5), (None, 4)) == (None, 4)
    assert common_range((1, 5), [3]) is None and common_range("a", (1, 2)) is None


def test_wishes_from_outside_hold_plain_values():
    for value in ([["a"]], {"from": [1]}, {"any": [{}]}, float("inf")):
        with pytest.raises(ValueError, match="give a text or a finite number"):
            json_wish("price", value)
    for value in ({}, {"from": 1, "x": 2}, {"any": 3}):
        with pytest.raises(ValueError, match="give a range of 'price'"):
            json_wish("price", value)
    assert json_wish("price", {"to": 3}) == (None, 3) and json_wish("a", {"any": [1]}) == {1}


def test_only_none_finds_a_missing_number():
    products = pd.DataFrame({"price": [4.0, None, 7.0], "kind": ["mug", None, "cup"]})
    for wanted, found in ((None, [1]), ([4, None, 9], [0, 1]), ([], [])):
        assert np.flatnonzero(where_mask(products, {"price": wanted})).tolist() == found
    assert where_note(products, {"price": None}) == ""
    assert where_note(products, {"kind": None}) == ""
    assert "None" in where_note(products.iloc[[0, 2]], {"price": None})


def test_a_column_without_values_has_no_ends():
    nothing = pd.Series([np.nan, np.nan], name="price")
    assert "in price, which is empty" in absent_note(nothing, "price", (1, 5))
    assert "which is from 2.0 to 3.0" in absent_note(pd.Series([2.0, 3.0]), "price", (5, 9))


def test_whole_numbers_stay_whole():
    numbers = pd.Series([1.5, 2.0])
    for text, kind in (("5", int), ("-5", int), ("5.0", float), ("1e3", float), ("9" * 19, float)):
        value = typed_value(numbers, "price", text)
        assert type(value) is kind and value == float(text)


def test_numbers_ask_a_column_of_texts_by_their_text():
    texts = pd.DataFrame({"size": pd.Series(["5", "6", None], dtype="str")})
    assert where_mask(texts, {"size": 5}).tolist() == [True, False, False]
    assert where_mask(texts, {"size": [5, 6.0]}).tolist() == [True, True, False]


def test_a_filter_is_read_without_a_table_too():
    assert parse_where('{"category": ["mug"], "nowhere": 3}') == {"category": ["mug"], "nowhere": 3}
    with pytest.raises(ValueError, match="nowhere"):
        parse_where('{"nowhere": 3}', TABLE)


def test_a_comma_parts_values_unless_a_product_has_it():
    values = pd.Series(["red", "blue", "red, white"])
    assert listed_values(values, "red,blue") == ["red", "blue"]
    assert listed_values(values, "red, white") == ["red, white"]
    assert listed_values(values, "green") == ["green"]


def test_long_texts_are_no_hint():
    near = pd.Series(["a" * 60, "b" * 61])
    assert "the nearest is" in absent_note(near, "c", "a" * 58)
    assert "the nearest is" not in absent_note(near, "c", "b" * 58)


def test_a_day_without_a_time_ends_with_its_last_microsecond():
    days = pd.Series(
        pd.to_datetime(["2024-01-05 23:59:59.999999", "2024-01-06 00:00:00.000000"]), name="made"
    )
    last = pd.Timestamp("2024-01-05 23:59:59.999999")
    assert end_of_day("2024-01-05", days) == last
    zoned = days.dt.tz_localize("Asia/Tokyo")
    assert end_of_day("2024-01-05", zoned) == last.tz_localize("Asia/Tokyo")
    assert end_of_day("2024-01-05 08:00", days) == "2024-01-05 08:00"
    assert where_mask(days.to_frame(), {"made": (None, "2024-01-05")}).tolist() == [True, False]


def test_among_too_many_values_no_near_one_is_looked_for():
    near = [f"shade {n}" for n in range(MAX_HINTS + 1)]
    assert "the nearest is" not in absent_note(pd.Series(near), "c", "shade x")
    assert "the nearest is" in absent_note(pd.Series(near[1:]), "c", "shade x")


def test_texts_beside_other_things_make_no_filter():
    assert filter_values(pd.Series(["a", "b", "a", ("b",)], name="size")) is None


def test_conditions_that_are_values_stay_a_filter_that_can_be_read():
    products = pd.DataFrame({"kind": ["mug", "cup"], "price": [1.0, 5.0]})
    assert read_where(["kind=mug"], products) == {"kind": ["mug"]}
    assert read_where(["price>=1", "price<=4"], products) == {"price": (1, 4)}


def test_a_missing_value_that_is_asked_for_is_there():
    products = pd.DataFrame({"kind": ["mug", None]})
    for nothing in (None, np.nan, pd.NA):
        assert where_note(products, {"kind": ["mug", nothing]}) == ""
        assert where_mask(products, {"kind": [nothing]}).tolist() == [False, True]


def test_wishes_that_are_met_alone_but_not_together():
    products = pd.DataFrame({"kind": ["mug", "cup"], "colour": ["red", "blue"]})
    where = {"kind": "mug", "colour": "blue"}
    assert where_note(products, where) == f"no product matches {where!r}"
    assert where_note(products, lambda p: p["kind"] == "hat") == "no product matches `where`"
    assert where_note(products, {"kind": "hat"}) == absent_note(products["kind"], "kind", "hat")
