"""Catalogues of any ids and columns: selected, mapped, saved, shown."""

import os
import string
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import encoded, pixels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodrec.data.catalog import Catalog

quick = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# -- any table


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
any_id = st.one_of(
    texts.filter(lambda t: t.strip()),
    st.from_regex(r"0{0,3}[0-9]{1,4}", fullmatch=True),
    st.sampled_from(
        [
            "NA",
            "nan",
            "None",
            "null",
            "True",
            "1.0",
            "1e3",
            " a",
            "a ",
            "é",
            "é",
            "鞋",
            "👟",
            "-",
            "a/b",
        ]
    ),
)
any_ids = st.lists(any_id, min_size=1, max_size=8, unique=True)


@st.composite
def tables(draw, ids=any_ids):
    names = draw(ids)
    n = len(names)

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    numbers = st.floats(allow_nan=True, allow_infinity=False, width=32)
    days = st.datetimes(pd.Timestamp("1980-01-01"), pd.Timestamp("2060-01-01"))
    whole = st.integers(-(2**40), 2**40)
    return pd.DataFrame(
        {
            "title": pd.Series(column(st.none() | texts), dtype="str"),
            "price": column(numbers),
            "stock": pd.array(column(st.none() | whole), dtype="Int64"),
            "sold": column(whole),
            "made": pd.Series(column(st.none() | days), dtype="datetime64[us]"),
            "new": column(st.booleans()),
            "kind": pd.Categorical(column(st.sampled_from(["a", "b"])), categories=["b", "a", "c"]),
            "blob": pd.Series(column(st.none() | st.binary(max_size=5)), dtype=object),
            "image": pd.Series(
                column(st.none() | st.binary(min_size=1, max_size=20)), dtype=object
            ),
        }
    ).set_axis(pd.Index(names, dtype=object), axis=0)


def same(a, b):
    pd.testing.assert_frame_equal(
        a.products.drop(columns="image"), b.products.drop(columns="image")
    )
    assert a.ids == b.ids
    for i in a:
        missing = a.products.loc[i, "image"] is None
        assert (b.products.loc[i, "image"] is None) == missing
        if not missing:
            assert a.open(i) == b.open(i)


@quick
@given(tables())
def test_save_and_load_give_back_what_was_there(tmp_path, table):
    catalog = Catalog(table)
    assert catalog.ids == table.index.tolist()
    catalog.save(tmp_path / "c")
    same(catalog, Catalog.load(tmp_path / "c"))
    Catalog.load(tmp_path / "c").save(tmp_path / "d")
    same(catalog, Catalog.load(tmp_path / "d"))


@quick
@given(tables(), st.randoms(use_true_random=False))
def test_selections(table, random):
    before = table.copy(deep=True)
    catalog = Catalog(table)
    order = catalog.ids
    random.shuffle(order)
    part = order[: random.randint(1, len(order))]
    for key in (
        part,
        tuple(part),
        pd.Index(part, dtype=object),
        pd.Series(part),
        np.array(part, object),
    ):
        assert catalog[key].ids == part
    mask = pd.Series([i in part for i in order], index=order)
    wanted = [i for i in catalog if i in part]
    assert catalog[mask].ids == wanted  # aligned by its index, not by position
    assert catalog[mask.reindex(catalog.ids).to_numpy()].ids == wanted
    assert catalog[mask.reindex(catalog.ids).tolist()].ids == wanted
    assert catalog[mask.astype("boolean").where(mask)].ids == wanted  # NA is no
    assert [catalog[i].name for i in part] == part
    pd.testing.assert_frame_equal(table, before)  # nobody's table is changed


@quick
@given(tables(), st.integers(0, 5))
def test_sample_and_concat(table, seed):
    catalog = Catalog(table)
    n = 1 + seed % len(catalog)
    drawn = catalog.sample(n, seed)
    assert drawn.ids == catalog.sample(n, seed).ids and len(set(drawn.ids)) == n
    assert sorted(catalog.sample(len(catalog), seed).ids) == sorted(catalog.ids)
    rest = [i for i in catalog if i not in drawn.ids]
    if rest:
        both = Catalog.concat([drawn, catalog[rest]])
        same(both[catalog.ids], catalog)
    with pytest.raises(ValueError, match="not unique"):
        Catalog.concat([catalog, drawn])


def test_sample_has_limits():
    catalog = Catalog(pd.DataFrame({"title": ["a", "b"]}, index=["x", "y"]))
    for n in (0, -1, 3):
        with pytest.raises(ValueError, match="`n` must be between 1 and 2"):
            catalog.sample(n)


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([1.0, 2.0], "holds floats"),
        (["a", None], "missing in 1 of 2 rows, the first at position 1"),
        (["a", "  "], "missing in 1 of 2"),
        (["a", "a"], "not unique"),
        (pd.Index([1, "1"], dtype=object), "not unique"),
    ],
)
def test_ids_that_are_none(ids, says):
    with pytest.raises(ValueError, match=says):
        Catalog(pd.DataFrame({"title": ["a", "b"]}, index=ids))


def test_what_cannot_be_selected():
    catalog = Catalog(pd.DataFrame({"title": ["a", "b"]}, index=["x", "y"]))
    with pytest.raises(KeyError, match="'z'"):
        catalog[["x", "z"]]
    with pytest.raises(KeyError, match="'z'"):
        catalog["z"]
    with pytest.raises(KeyError, match="'z'"):
        catalog.open("z")
    with pytest.raises(ValueError, match="3 values for 2 products"):
        catalog[[True, False, True]]
    with pytest.raises(ValueError, match="more than once"):
        catalog[["x", "x"]]
    for nothing in ([], [False, False], np.zeros(2, bool)):
        with pytest.raises(ValueError, match="selection is empty"):
            catalog[nothing]


plain = st.text(string.ascii_letters + string.digits + " ,;'\"\n#é鞋", max_size=8)


@quick
@given(
    st.lists(any_id.filter(lambda i: i.isprintable()), min_size=1, max_size=6, unique=True),
    st.data(),
)
def test_a_csv_of_pandas_comes_back(tmp_path, ids, data):
    titles = data.draw(
        st.lists(plain.map(lambda t: f"t {t}"), min_size=len(ids), max_size=len(ids))
    )
    table = pd.DataFrame(
        {"title": titles, "price": np.arange(len(ids)) / 4}, index=pd.Index(ids, name="id")
    )
    table.to_csv(tmp_path / "a.csv")
    back = Catalog.from_csv(tmp_path / "a.csv")
    assert back.ids == ids
    assert (
        back.products["title"].tolist() == titles
        and back.products["price"].tolist() == table["price"].tolist()
    )


def test_columns_may_change_names():
    df = pd.DataFrame(
        {
            "id": ["1", "2"],
            "title": ["shoes", "hats"],
            "category": ["red shoe", "hat"],
            "x": [1, 2],
            "sku": ["a", "b"],
        }
    )
    swapped = Catalog.from_frame(df, title="category", category="title").products
    assert swapped["title"].tolist() == ["red shoe", "hat"] and swapped["category"].tolist() == [
        "shoes",
        "hats",
    ]
    assert sorted(swapped) == ["category", "image", "sku", "title", "x"]
    moved = Catalog.from_frame(df, title="category").products
    assert moved["title"].tolist() == ["red shoe", "hat"] and "category" not in moved
    both = Catalog.from_frame(df, id="sku", title="sku", brand="title").products
    assert both.index.tolist() == both["title"].tolist() == ["a", "b"] and both[
        "brand"
    ].tolist() == ["shoes", "hats"]
    kept = Catalog.from_frame(df, id="sku", title="title").products
    assert list(kept) == ["id", "title", "category", "x", "sku", "image"]
    one_for_two = Catalog.from_frame(df, title="category", brand="category").products
    assert one_for_two["title"].tolist() == one_for_two["brand"].tolist() == ["red shoe", "hat"]
    assert list(df) == ["id", "title", "category", "x", "sku"]


names = st.sampled_from(["title", "description", "category", "brand"])


@quick
@given(
    st.dictionaries(names, st.sampled_from(["title", "description", "category", "brand", "a", "b"]))
)
def test_any_mapping_takes_the_column_it_names(mapping):
    df = pd.DataFrame(
        {
            c: [f"{c}{n}" for n in range(2)]
            for c in ["title", "description", "category", "brand", "a", "b"]
        }
    )
    out = Catalog.from_frame(df, **mapping).products
    assert out.columns.is_unique
    for name, column in mapping.items():
        assert out[name].tolist() == df[column].tolist()
    for c in set(df) - set(mapping) - set(mapping.values()):
        assert out[c].tolist() == df[c].tolist()


def test_mappings_that_are_wrong():
    df = pd.DataFrame({"id": ["a"], "name": ["x"]})
    with pytest.raises(
        ValueError, match="`title` names column 'nom', which is not in the table; it has id, name"
    ):
        Catalog.from_frame(df, title="nom")
    with pytest.raises(TypeError, match="`colour` is no standard column"):
        Catalog.from_frame(df, colour="name")
    with pytest.raises(TypeError, match="DataFrame"):
        Catalog.from_frame([1])


def test_columns_without_names_can_be_looked_at():
    catalog = Catalog.from_frame(pd.DataFrame({0: ["a"], 1: ["x"], 2: [3]}), id=0, title=1)
    assert "2" in repr(catalog) and catalog._repr_html_()


@quick
@given(texts, texts)
def test_html_is_escaped(title, category):
    evil = "<script>alert('1')</script>\"><img src=x onerror=y>"
    catalog = Catalog(
        pd.DataFrame(
            {"title": [title + evil], "category": [evil + category], "image": [encoded(pixels())]},
            index=["<b>" + title],
        ),
    )
    seen = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attributes):
            seen.append(tag)
            assert not any(name.startswith("on") for name, _ in attributes)
            assert all(v.startswith("data:image/jpeg") for name, v in attributes if name == "src")

    Tags().feed(catalog._repr_html_())
    assert set(seen) == {"p", "table", "tr", "td", "img", "br", "small"} and seen.count("img") == 1


def test_pictures_are_found_by_their_names(tmp_path):
    for name in ("007.png", "7.jpg", "a.b.webp", ".hidden.png", "A.PNG"):
        Path(tmp_path, name).write_bytes(encoded(pixels()))
    catalog = Catalog(
        pd.DataFrame({"title": list("abcde")}, index=["007", "7", "a.b", "A", "hidden"]), tmp_path
    )
    found = catalog.products["image"].map(os.path.basename, na_action="ignore").tolist()
    assert found[:4] == ["007.png", "7.jpg", "a.b.webp", "A.PNG"] and pd.isna(found[4])
