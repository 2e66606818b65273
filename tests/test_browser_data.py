"""Search, filters, maps and messages as a page gets them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.apps.browser_data import (
    FilterFacts,
    bin_codes,
    bin_counts,
    bin_edges,
    default_colour,
    filter_counts,
    filter_masks,
    find_products,
    human_name,
    plain_note,
    plain_reason,
    plain_value,
    point_colours,
    search_texts,
    shopper_words,
    where_for_page,
    where_from_page,
)
from prodrec.core import ImageError
from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.filters import filter_table, where_mask
from prodrec.recommend.recommender import Recommender

N = 80


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_counts_are_what_would_be_left(data):
    products = load_demo(n=N).products
    table = filter_table(products)
    columns = data.draw(
        st.lists(st.sampled_from(["category", "colour", "gender"]), unique=True, max_size=2)
    )
    where = {
        c: data.draw(
            st.lists(st.sampled_from(sorted(products[c].unique())), min_size=1, max_size=3)
        )
        for c in columns
    }
    if data.draw(st.booleans()):
        where["price"] = (data.draw(st.sampled_from([None, 20.0, 60.0])), 90.0)
    counts = filter_counts(table, filter_masks(products, where))
    column = data.draw(st.sampled_from(["category", "colour", "brand"]))
    value = data.draw(st.sampled_from(sorted(products[column].unique())))
    rows = products[products[column] == value]
    for c, wanted in where.items():
        if c != column:
            rows = rows[
                rows[c].isin(wanted)
                if isinstance(wanted, list)
                else (rows[c] >= (wanted[0] or 0)) & (rows[c] <= wanted[1])
            ]
    assert counts[column][value] == len(rows)


def test_columns_that_make_filters():
    n = 40
    products = pd.DataFrame(
        {
            "title": "t",
            "sku": [f"s{i}" for i in range(n)],  # each its own: nothing to choose
            "kind": ["mug", "lamp"] * (n // 2),
            "flag": [True, False] * (n // 2),
            "one": 1.0,
            "price": np.arange(n, dtype=float),
            "day": pd.date_range("2024-01-01", periods=n),
            "list": [[1]] * n,
            "mixed": ["a", None] * (n // 2),
        },
        index=[str(i) for i in range(n)],
    )
    assert filter_table(products).columns.tolist() == ["kind", "flag", "price", "day"]
    assert filter_table(products, ["sku"]).columns.tolist() == ["sku"]
    assert filter_table(products.assign(kind=["mug", None] * (n // 2)))["price"].notna().all()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["a", "b", None, "c"] * 5),
        pd.Series(range(20)),
        pd.Series(pd.date_range("2024-01-01", periods=20)),
        pd.Series([True, False] * 10),
        pd.Series([1.0] * 20),
        pd.Series([None] * 20),
    ],
)
def test_every_column_has_colours(values):
    codes, labels = point_colours(values, n=2)
    assert codes.dtype == np.uint8 and len(codes) == 20 and set(codes) <= set(range(len(labels)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=60),
    st.integers(1, 30),
)
def test_every_number_lies_in_a_bin(numbers, n):
    values = pd.Series(numbers, dtype=float)
    if values.notna().sum() == 0:
        return
    edges = bin_edges(values, n)
    codes = bin_codes(values, edges)
    assert (np.diff(edges) >= 0).all() and len(edges) <= n + 1
    assert ((codes == -1) == values.isna()).all() and codes.max() < len(edges) - 1
    counts = bin_counts({"x": codes}, {"x": len(edges) - 1}, {})["x"]
    assert counts.sum() == values.notna().sum()
    for code, value in zip(codes, values, strict=True):
        assert (
            code == -1 or edges[code] <= value <= edges[code + 1] or np.isclose(edges[code], value)
        )


def test_dates_and_whole_numbers_have_bins_too():
    days = pd.Series([*pd.date_range("2024-01-01", periods=99), pd.NaT])
    codes = bin_codes(days, bin_edges(days))
    assert codes[-1] == -1 and set(codes[:-1]) == set(range(24))
    stock = pd.Series(pd.array([3, None, 3, 1], dtype="Int64"))
    assert bin_codes(stock, bin_edges(stock)).tolist() == [1, -1, 1, 0]


def test_filters_of_the_page_and_back():
    table = filter_table(load_demo(n=N).products)
    where = {
        "colour": ["red", "blue"],
        "price": (None, 60.0),
        "added": ("2024-01-01", None),
        "title": "x",
    }
    shown = where_for_page(table, where)
    back = where_from_page(table, shown, where)
    assert back | {"colour": sorted(back["colour"])} == where | {"colour": ["blue", "red"]}
    assert where_from_page(table, {"price": [None, None], "colour": []}, None) == {}


def test_the_search_box_knows_forms_of_words_and_other_scripts():
    titles = ["Red Dresses", "Größe Schuhe", "red shoe", "赤い靴", None]
    shop = Catalog(pd.DataFrame({"title": titles, "brand": "Acme"}, index=list("abcd") + ["Z-9"]))
    texts = search_texts(shop)
    for words, ids in [
        ("dress", ["a"]), ("DRESSES red", ["a"]), ("re", ["a", "c"]), ("grosse", ["b"]),
        ("靴", ["d"]), ("acme shoe", ["c"]), ("Z-9", ["Z-9"]), ("dress blue", []), ("", []),
    ]:  # fmt: skip
        assert find_products(texts, words) == ids, words
    assert find_products(texts, "acme", 2) == ["a", "b"]


def test_names_and_reasons_are_words():
    assert [human_name(c) for c in ("masterCategory", "base_colour", "brand", "UPC code")] == [
        "master category", "base colour", "brand", "UPC code",
    ]  # fmt: skip
    said = plain_reason(
        "same a_b, other; like 7, which the user likes; looks alike 0.5", ["a_b"], {}
    )
    assert said == "same a b; like “7”; looks alike 0.5"
    assert plain_reason("same as before", ["brand"], {}) == "same as before"


def raised(call) -> Exception:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def test_shoppers_read_no_names_of_arguments():
    catalog = load_demo(n=N)
    made = Recommender(text=TfidfEmbedder(dim=8)).fit(catalog)
    picture = catalog.open(catalog.ids[0])
    errors = [
        raised(lambda: made.recommend(image=picture)),
        raised(lambda: made.recommend(text="xyzzy")),
        raised(lambda: made.recommend(text=" ")),
        raised(lambda: made.recommend(text="dress", within="predicted")),
        raised(lambda: made.recommend(text="dress", within="category")),
        raised(lambda: made.recommend(text="dress", where={"price": (9, 3)})),
        raised(lambda: made.complementary(catalog.ids[0])),
        ImageError("unreadable", "this is no picture; send a JPEG, PNG or WebP"),
    ]
    for e in errors:
        words = shopper_words(e)
        assert "`" not in words and words[0].isupper() and words.endswith("."), words
    assert shopper_words(RuntimeError("boom")) == "RuntimeError: boom"
    assert shopper_words(ValueError()) == "ValueError"


def test_the_map_is_coloured_by_category_first():
    assert default_colour(["brand", "category", "colour"]) == "category"
    assert default_colour(["brand", "articleType"]) == "articleType"
    assert default_colour(["brand"]) == "brand" and default_colour([]) is None


def test_notes_of_filters_are_sentences():
    catalog = load_demo(n=N)
    made = Recommender(text=TfidfEmbedder(dim=8)).fit(catalog)
    id, products = catalog.ids[0], catalog.products
    dear = float(products.price.max()) + 1
    for where, words in [
        ({"price": (dear, None)}, f"No product has “price” from {dear}: here it goes from"),
        ({"added": ("1990-01-01", "1991-01-01")}, "No product has “added” from 1990-01-01 to 1991"),
        ({"colour": "grene"}, "No product has 'grene' as colour; the nearest is 'green'"),
        ({"category": "boot", "price": (0, 0.5)}, "No product has “price” from 0 to 0.5"),
    ]:
        assert words in plain_note(made.recommend(3, id=id, where=where).note)
    unknown = "passed over, not in the catalogue: x"
    assert plain_note(unknown) == unknown


@pytest.mark.parametrize("days", [4, 90])
def test_bars_of_dates_with_a_time_hold_what_their_filter_finds(days):
    draw = np.random.default_rng(days)
    seconds = draw.integers(0, days * 86_400, 60)
    sold = pd.Timestamp("2024-02-27") + pd.to_timedelta(seconds, unit="s")
    products = pd.DataFrame({"sold": sold}, index=[f"p{n}" for n in range(60)])
    facts = FilterFacts(products)
    edges, counts = facts.edges["sold"], facts.counts({})[2]["sold"]
    assert counts.sum() == 60 and (edges == edges.astype("datetime64[D]")).all()
    ends = [*(edges[1:-1] - np.timedelta64(1, "D")), edges[-1]]  # the last day of each bar
    for low, high, count in zip(edges, ends, counts, strict=False):
        wish = {"sold": (plain_value(low), plain_value(high))}
        assert where_mask(products, wish).sum() == count
