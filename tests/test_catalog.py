"""Catalogues of any ids and columns: selected, mapped, saved, shown."""

import io
import os
import re
import string
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from builders import encoded, pixels
from builders import shop as drawn_shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec.data.catalog import Catalog, draw_picture

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


# -- tables that go wrong in silence


def csv_catalog(tmp_path, text, **how):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    return Catalog.from_csv(tmp_path / "a.csv", **how)


def test_separators_at_the_end_of_a_line_make_no_ids(tmp_path):
    for end in (",", ",,"):
        catalog = csv_catalog(tmp_path, f"id,title,category\n1,Mug,a{end}\n2,Cup,b{end}\n")
        assert catalog.ids == ["1", "2"] and catalog.products["title"].tolist() == ["Mug", "Cup"]
    text = "id;title;category\n1;Mug;a;\n2;Cup;b;\n"
    assert csv_catalog(tmp_path, text, read={"sep": ";"}).ids == ["1", "2"]
    with pytest.raises(ValueError, match="separated by ';', so give `read="):
        csv_catalog(tmp_path, text.replace(";\n", "\n"))
    with pytest.raises(ValueError, match="line 2: 4 fields where the header has 3"):
        csv_catalog(tmp_path, "id,title,category\n1,Mug, red,a\n2,Cup,b\n3,Pan,b\n")


def test_categories_and_brands_are_text(tmp_path):
    text = "id,title,kind,brand\n1,Mug,007,01\n2,Cup,7,1\n3,Pan,,\n"
    table = csv_catalog(tmp_path, text, category="kind").products
    assert table["category"].tolist()[:2] == ["007", "7"] and table["brand"][0:2].tolist() == [
        "01",
        "1",
    ]
    assert table[["category", "brand"]].isna().sum().tolist() == [1, 1]
    for codes in ([10, 40], [10.0, 40.0], ["10", "40"], pd.Categorical([10, 40])):
        frame = pd.DataFrame({"category": codes}, index=["a", "b"])
        assert Catalog(frame).products["category"].tolist() == ["10", "40"]
    for odd in (["a"], {"a": 1}):
        with pytest.raises(ValueError, match="`category` of product 'p' holds a"):
            Catalog(pd.DataFrame({"category": [odd]}, index=["p"]))


def test_a_column_has_one_type_and_a_note_says_so(tmp_path):
    frame = pd.DataFrame({"size": [38, "M", 38.0]}, index=["a", "b", "c"])
    with pytest.warns(UserWarning, match="`size` holds float and int and str: kept as text"):
        catalog = Catalog(frame)
    assert catalog.note == "column `size` holds float and int and str: kept as text"
    assert catalog.note in catalog._repr_html_() and catalog[["a"]].note == catalog.note
    assert catalog.products["size"].tolist() == ["38", "M", "38"]
    catalog.save(tmp_path / "c")
    same(catalog, Catalog.load(tmp_path / "c"))
    lines = "".join(f"{n},{38 + n % 8}\n" for n in range(60_000))
    with pytest.warns(UserWarning, match="`size` holds numbers and 1 words, e.g. 'M'"):
        catalog = csv_catalog(tmp_path, f"id,size\n{lines}x,M\n")
    assert (catalog.products["size"] == "38").sum() == 7_500 and "'M'" in catalog.note


def test_what_cannot_be_saved_is_refused_at_the_beginning():
    for odd in (["a", 1], Path("a"), 2**64, "\ud800", {}):
        frame = pd.DataFrame({"odd": pd.Series([None, odd], index=["p", "q"], dtype=object)})
        with pytest.raises(ValueError, match="column `odd` of product 'q' holds"):
            Catalog(frame)


def test_a_price_that_is_none_is_shown_with_its_line(tmp_path):
    text = "id,title,cost\n" + "".join(f"{n},Mug,{n % 9 + 0.5}\n" for n in range(2000))
    says = "`price` must hold numbers, and 1 of 2,001 .*product '2000', line 2002 of .* is 'N/A'"
    with pytest.raises(ValueError, match=says):
        csv_catalog(tmp_path, text + "2000,Cup,N/A\n", price="cost")
    assert csv_catalog(tmp_path, text, price="cost").products["price"].sum() > 0
    late = pd.DataFrame({"price": ["1", "2", "x"]}, index=["a", "b", "c"])
    with pytest.raises(ValueError, match="of product 'c', is 'x'"):
        Catalog(late)
    assert Catalog(late[:2]).products["price"].tolist() == [1.0, 2.0]


def test_pictures_of_a_table_are_found_however_they_are_written(tmp_path):
    (tmp_path / "photos/a").mkdir(parents=True)
    for n in range(3):
        (tmp_path / f"photos/a/{n}.png").write_bytes(encoded(pixels(seed=n)))
    for path in ("a\\{}.png", "/a/{}.png", '"[""a/{}.png"", ""a/0.png""]"', "a/{}.png|a/0.png"):
        text = "id,image\n" + "".join(f"{n},{path.format(n)}\n" for n in range(3))
        catalog = csv_catalog(tmp_path, text, root=tmp_path / "photos")
        assert [catalog.open(i) for i in catalog] == [encoded(pixels(seed=n)) for n in range(3)]
        several = "|" in path or "[" in path
        assert ("more_images" in catalog.products) == several
        if several:
            assert catalog.products["more_images"]["2"] == str(tmp_path / "photos/a/0.png")
    data = encoded(pixels())
    cells = {
        "hub": {"bytes": data, "path": None},
        "pil": Image.open(io.BytesIO(data)),
        "np": pixels(),
    }
    catalog = Catalog(pd.DataFrame({"image": pd.Series(cells, dtype=object)}))
    assert all((catalog.pixels(i) == pixels()).all() for i in catalog)
    with pytest.raises(ValueError, match="`image` of product 'p': a picture is a path, .* '17'"):
        Catalog(pd.DataFrame({"image": [17]}, index=["p"]))


@pytest.mark.parametrize("file, id", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_are_one_character_or_two(tmp_path, file, id):
    name = unicodedata.normalize(file, "é 1")
    (tmp_path / f"{name}.png").write_bytes(encoded(pixels()))
    id = unicodedata.normalize(id, "é 1")
    assert Catalog(pd.DataFrame({"title": ["x"]}, index=[id]), tmp_path).image(id).size == (30, 20)
    frame = pd.DataFrame({"image": [f"{id}.png"]}, index=["p"])
    assert Catalog(frame, tmp_path).image("p").size == (30, 20)


# -- rows


def test_rows_of_ids():
    catalog = Catalog(pd.DataFrame({"title": list("abc")}, index=["007", "mug-1", "mug-2"]))
    assert catalog.rows(["mug-2", "007", "007"]).tolist() == [2, 0, 0]
    assert catalog.rows("mug-1").tolist() == [1] and catalog.rows([]).tolist() == []
    assert catalog.rows(pd.Index(["007"])).dtype == catalog.rows([]).dtype == np.int64
    for unknown, says in [
        (["mug-3"], "did you mean 'mug-.' or"),
        (["7"], "differ here in their leading zeros"),
        ([7], "leading zeros"),
        (["xyz", "007"], "1 not in the catalogue, e.g. 'xyz'\""),
    ]:
        with pytest.raises(KeyError, match=says):
            catalog.rows(unknown)
    numbers = Catalog(pd.DataFrame({"title": ["a"]}, index=[7]))
    with pytest.raises(KeyError, match="ids are text, received int"):
        numbers.rows([7])


def test_columns_with_other_names_than_text(tmp_path):
    catalog = Catalog(pd.DataFrame({1: ["a"], "1.5": [2]}, index=["p"]))
    catalog.save(tmp_path / "c")
    assert list(Catalog.load(tmp_path / "c").products) == ["1", "1.5", "image"]
    with pytest.raises(ValueError, match="columns of the same name"):
        Catalog(pd.DataFrame({1: ["a"], "1": [2]}, index=["p"]))


def test_a_product_is_drawn_or_the_reason_is():
    _, axes = plt.subplots(1, 3)
    images = [encoded(pixels()), None]
    catalog = Catalog(pd.DataFrame({"image": pd.Series(images, dtype=object)}).set_axis(["p", "q"]))
    assert draw_picture(catalog, "p", axes[0]) is axes[0] and len(axes[0].images) == 1
    draw_picture(catalog, "q", axes[1])
    assert axes[1].texts[0].get_text() == "(missing)"
    draw_picture(catalog, "p", axes[2], box=(10, 20, 30))
    left, right, bottom, top = axes[2].images[0].get_extent()
    assert (left, right, top, bottom) == (10, 40, 20, 40)
    plt.close("all")


def test_a_catalogue_that_is_brought_up_to_date_is_what_concat_makes_of_it():
    table = pd.DataFrame(
        {"title": ["a", "b", "c"], "price": [1.0, 2.0, None], "size": [38, 39, 40], "image": None},
        index=["1", "2", "3"],
    )
    old = Catalog(table)
    new = Catalog(table.iloc[1:].assign(title=["B", "C"], price=[5.0, 6.0]).set_axis(["2", "4"]))
    both = old.updated(new)
    assert both.ids == ["1", "2", "3", "4"] and both.products.title.tolist() == ["a", "B", "c", "C"]
    pd.testing.assert_frame_equal(both.products, Catalog(both.products).products)
    assert list(old.updated(old).products.title) == ["a", "b", "c"] and old.ids == ["1", "2", "3"]
    words = Catalog(pd.DataFrame({"title": ["d"], "size": ["M"], "image": None}, index=["5"]))
    with pytest.warns(UserWarning, match="size"):
        mixed = old.updated(words)
    assert mixed.products["size"].tolist() == ["38", "39", "40", "M"]
    data = encoded(pixels(), "PNG")
    seen = old.updated(Catalog(pd.DataFrame({"title": ["p"], "image": [data]}, index=["3"])))
    assert seen.open("3") == data and old.products["image"].isna().all()


@pytest.mark.parametrize("wrong", [3, 3.5, None, ("title", 3), [None]])
def test_names_of_columns_that_are_none_are_refused_everywhere(wrong):
    from prodrec.models.text import TextClassifier
    from prodrec.recommend import embedders, filters, metric_learning, sentences, sparse
    from prodrec.recommend.attributes import Attributes

    words, shop = embedders.TfidfEmbedder(8), drawn_shop(3)
    calls = [lambda how=how: how(fields=wrong) for how in (sparse.WordIndex, TextClassifier)]
    calls += [lambda: embedders.TfidfEmbedder(fields=wrong), lambda: shop.texts(wrong)]
    calls += [lambda: sentences.SentenceEmbedder("minilm", wrong)]
    calls += [lambda: sparse.SearchEmbedder(words, wrong)]
    for call in calls:
        with pytest.raises(TypeError, match=r"^`fields` must be names of columns, such as \("):
            call()
    with pytest.raises(TypeError, match=f"`target` must be .* received {re.escape(repr(wrong))}$"):
        metric_learning.MetricEmbedder(embedders.ColorHistogram(), target=wrong)
    if wrong is not None:  # there it says: choose for me
        for call in (
            lambda: sparse.WordIndex(attributes=wrong),
            lambda: sparse.SearchEmbedder(words, attributes=wrong),
        ):
            with pytest.raises(TypeError, match="^`attributes` must be names of columns"):
                call()
        for call in (filters.filter_table, Attributes):
            with pytest.raises(TypeError, match="^`columns` must be names of columns"):
                call(shop.products, wrong)


def test_one_name_of_a_column_is_no_list_of_letters():
    from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
    from prodrec.recommend.sparse import SearchEmbedder

    shop = drawn_shop(3)
    assert shop.texts("title").tolist() == shop.texts(["title"]).tolist()
    assert shop.texts("title").ne("").all()
    assert TfidfEmbedder(fields="title").fields == ("title",)
    both = SearchEmbedder(TfidfEmbedder(8), "title", attributes="brand")
    assert both.fields == ("title",) and both.attributes == ("brand",)
    with pytest.raises(ValueError, match="`image_size` must be .height, width. in pixels"):
        ColorHistogram(3)
