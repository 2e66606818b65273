"""Tables that go wrong in silence: read as they were meant, or refused with the line."""

import gzip
import io
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import encoded, pixels
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec.data.pictures import decode
from prodrec.data.tables import (
    as_numbers,
    as_text,
    check_fields,
    check_storable,
    csv_line,
    one_type,
    picture_refs,
    read_csv,
    split_cell,
)


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


# -- rows with too many fields


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("id,title,category\n1,Mug,a,\n2,Cup,b,\n", {}),
        ("id,title,category\n1,Mug,a,,\n2,Cup,b,,\n", {}),
        ("id;title;category\n1;Mug;a;\n2;Cup;b;\n", {"sep": ";"}),
        ("id,title,category,\n1,Mug,a,\n2,Cup,b,\n", {}),
        ("id,title,category\n1,Mug,a\n2,Cup,b,\n", {}),
        ("\n\nid,title,category\n\n1,Mug,a,\n2,Cup,b,\n", {}),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "packed", "open"])
def test_separators_at_the_end_of_a_line(tmp_path, text, read, kind):
    path = write(tmp_path / "a.csv", text)
    if kind == "packed":
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    df = read_csv(io.StringIO(text) if kind == "open" else path, ["id"], read)
    assert df.columns.tolist() == ["id", "title", "category"]
    assert df.values.tolist() == [["1", "Mug", "a"], ["2", "Cup", "b"]]


@pytest.mark.parametrize("row", range(3))
def test_a_separator_in_a_title_is_named_whichever_row_has_it(tmp_path, row):
    rows = ["1,Mug,a", "2,Cup,b", "3,Pan,b"]
    rows[row] = rows[row].replace(",", ", red,", 1)
    path = write(tmp_path / "a.csv", "\n".join(["id,title,category", *rows]))
    says = f"line {row + 2}: 4 fields where the header has 3.*in quotes"
    with pytest.raises(ValueError, match=says):
        read_csv(path)


def test_a_column_of_decimal_commas_is_no_index(tmp_path):
    path = write(tmp_path / "a.csv", "user,id,value\nu1,p1,2,5\nu2,p2,1,0\n")
    with pytest.raises(ValueError, match="line 2: 4 fields where the header has 3"):
        read_csv(path)


def test_the_line_counts_breaks_inside_of_fields(tmp_path):
    path = write(tmp_path / "a.csv", 'id,title\n1,"two\nlines"\n\n2,Cup\n3,Pan,x\n')
    with pytest.raises(ValueError, match="line 6: 3 fields"):
        check_fields(path)
    assert [csv_line(path, n) for n in range(4)] == [2, 5, 6, None]


def test_another_separator_or_encoding_is_told(tmp_path):
    path = write(tmp_path / "a.csv", "id;title\n1;Mug, red\n")
    with pytest.raises(ValueError, match="separated by ';', so give `read="):
        read_csv(path)
    path = write(tmp_path / "b.csv", "id,title\n1,Größe\n", "latin-1")
    with pytest.raises(
        ValueError,
        match='b.csv\' is not UTF-8, with f6 at byte .* give `read={"encoding": "cp1252"}`',
    ):
        read_csv(path)
    assert read_csv(path, read={"encoding": "latin-1"}).title[0] == "Größe"


def test_a_sign_of_thousands_changes_no_other_number(tmp_path):
    mixed = {"sep": ";", "decimal": ",", "thousands": "."}
    path = write(tmp_path / "a.csv", "id;price;since\n1;1.299,00;01.02.2024\n2;5;x\n")
    assert read_csv(path, read=mixed).price.tolist() == [1299, 5]  # `since` stays text
    path = write(tmp_path / "b.csv", "id;price;since\n1;1.299,00;01.02.2024\n")
    for file in (path, path.open(encoding="utf-8-sig")):
        with pytest.raises(ValueError, match="`since` holds '01.02.2024', in which '.' separates"):
            read_csv(file, read=mixed)
    path = write(tmp_path / "c.csv", "id;price\n1;-1,299.5\n2;12\n3;\n")
    assert read_csv(path, read={"sep": ";", "thousands": ","}).price[0] == -1299.5
    path = write(tmp_path / "d.csv", "id;price;new\n1;1,299.5;True\n2;12;False\n")
    assert read_csv(path, read={"sep": ";", "thousands": ","}).new.tolist() == [True, False]


def test_what_a_caller_asks_pandas_for_is_done(tmp_path):
    path = write(tmp_path / "a.csv", "id|title|x\n007|Mug|1\n")
    assert read_csv(path, ["id"], {"sep": "|", "usecols": ["id", "x"]}).values.tolist() == [
        ["007", 1]
    ]
    assert read_csv(path, ["id"], {"sep": None, "engine": "python"}).id.tolist() == ["007"]
    assert read_csv(path, ["id"], {"sep": "|", "dtype": {"x": float}}).x.dtype == float
    assert read_csv(path, read={"sep": "|", "dtype": str}).x.tolist() == ["1"]
    assert read_csv(path, read={"sep": "|", "nrows": 0}).empty


plain = st.text("ab ,;\"'\n", max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(plain, plain), min_size=1, max_size=5), st.integers(0, 2))
def test_what_pandas_writes_comes_back(rows, empty):
    table = pd.DataFrame(rows, columns=["a", "b"]).replace("", np.nan)
    text = table.to_csv(index=False)
    df = read_csv(io.StringIO(text), ["a", "b"])
    kept = table.dropna(how="all") if "\n\n" in text else table  # a blank line is no row
    assert len(df) in (len(table), len(kept))


# -- one type a column


def test_codes_become_text():
    values = pd.Series([7.0, None, 10, 10.0, True, "7", 2.5, date(2024, 1, 2)], dtype=object)
    assert as_text(values).dropna().tolist() == ["7", "10", "10", "True", "7", "2.5", "2024-01-02"]
    assert as_text(pd.Series([7, 8])).tolist() == ["7", "8"]
    assert as_text(pd.Series([7.0, np.nan])).tolist()[0] == "7"
    assert as_text(pd.Categorical(["b", "a"]).astype(object)) is not None
    assert as_text(pd.Series(pd.Categorical([1, 2]))).tolist() == ["1", "2"]
    same = pd.Series(["a", None])
    assert as_text(same) is same


@pytest.mark.parametrize("value", [["a"], {"a": 1}, ("a",), np.array([1]), {"a"}])
def test_a_label_is_no_container(value):
    values = pd.Series(["x", value], index=["p", "q"], name="category")
    with pytest.raises(ValueError, match="`category` of product 'q' holds a"):
        as_text(values)


def test_a_column_of_several_types_becomes_text():
    table = pd.DataFrame(
        {
            "size": [38, "M", 39.0],
            "stock": pd.Series([1, None, 2], dtype=object),
            "weight": pd.Series([1, 2.5, None], dtype=object),
            "new": pd.Series([True, None, False], dtype=object),
            "tags": [["a"], None, ["b"]],
            "name": ["a", "b", None],
        }
    )
    settled, notes = one_type(table)
    assert settled["size"].tolist() == ["38", "M", "39"]
    assert settled.dtypes.astype(str).to_dict()["stock"] == "Int64"
    assert settled["weight"].dtype == float and str(settled["new"].dtype) == "boolean"
    assert settled["tags"] is not None and settled["tags"][0] == ["a"]
    assert notes == ["column `size` holds float and int and str: kept as text"]
    assert one_type(table, skip=["size"])[1] == []


def test_a_late_word_changes_the_whole_column(tmp_path):
    lines = "".join(f"{n},{38 + n % 8}\n" for n in range(60_000))
    df = read_csv(write(tmp_path / "a.csv", f"id,size\n{lines}x,M\n"), ["id"])
    sizes = one_type(df)[0]["size"]
    assert (sizes == "38").sum() == 7_500 and set(map(type, sizes)) == {str}


# -- values that cannot be saved


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        ([["a"], ["b", 1]], "q"),
        ([{}, {}], "p"),
        ([{"a": 1}, {"a": "x"}], "q"),
        ([Path("a"), Path("b")], "p"),
        ([1, 2**64], "q"),
        (["a", "\ud800"], "q"),
        ([object(), None], "p"),
    ],
)
def test_a_value_that_parquet_cannot_hold_is_named(values, bad):
    table = pd.DataFrame({"odd": pd.Series(values, index=["p", "q"], dtype=object)})
    with pytest.raises(ValueError, match=f"column `odd` of product '{bad}' holds .*drop") as e:
        check_storable(table)
    assert len(str(e.value)) < 400 and str(e.value).isascii()
    check_storable(table, skip=["odd"])


good = st.sampled_from(["a", None, 1.5, 3, True, b"x", ["a"], {"a": 1}, date(2024, 1, 1)])


@settings(max_examples=80, deadline=None)
@given(st.lists(good, min_size=1, max_size=6))
def test_what_is_not_refused_can_be_saved(values):
    table = pd.DataFrame({"odd": pd.Series(values, dtype=object)})
    table = one_type(table)[0]
    try:
        check_storable(table)
    except ValueError:
        return
    back = io.BytesIO()
    table.to_parquet(back)
    assert len(pd.read_parquet(back)) == len(values)


# -- numbers


def test_the_first_price_that_is_none_is_shown(tmp_path):
    text = "id,price\n" + "".join(f"{n},{n % 9 + 0.5}\n" for n in range(2000)) + "2000,N/A\n"
    path = write(tmp_path / "a.csv", text)
    values = read_csv(path, ["id"]).set_index("id")["price"]
    says = "`price` must hold numbers, and 1 of 2,001 .*'2000', line 2002 of .*, is 'N/A'"
    with pytest.raises(ValueError, match=says):
        as_numbers(values, path)
    assert as_numbers(values[:-1]).sum() == values[:-1].astype(float).sum()
    for word in ("inf", "nan", "1,5", "5 $", ""):
        with pytest.raises(ValueError, match="is none of|none; the first"):
            as_numbers(pd.Series(["1", word], index=["p", "q"], name="price"))


# -- cells that name pictures


def test_cells_of_every_kind(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.jpg").write_bytes(b"x")
    (tmp_path / "a/e\u0301.jpg").write_bytes(b"x")  # as a Mac writes it
    root, here = str(tmp_path), str(tmp_path / "a/0.jpg")
    png = encoded(pixels())
    for cell in [
        "a/0.jpg",
        "a\\0.jpg",
        "/a/0.jpg",
        "./a/0.jpg",
        " a/0.jpg ",
        here,
        Path("a/0.jpg"),
    ]:
        assert [Path(r).resolve() for r in picture_refs(cell, root)] == [Path(here).resolve()], cell
    for cell in [f"file://{here}", f"FILE://{here}", {"bytes": None, "path": here}]:
        assert picture_refs(cell, root) == [here]
    for cell in ["a/\u00e9.jpg", "a/e\u0301.jpg"]:
        assert Path(picture_refs(cell, root)[0]).exists()
    for cell in ["//x.example/a.jpg", "HTTPS://x.example/a.jpg", " https://x.example/a.jpg"]:
        assert picture_refs(cell, root) == ["https://x.example/a.jpg"]
    for cell in [png, bytearray(png), memoryview(png), {"bytes": png, "path": None}]:
        assert picture_refs(cell, root) == [png]
    for cell in [Image.fromarray(pixels()), pixels()]:
        np.testing.assert_array_equal(decode(picture_refs(cell)[0]), pixels())
    assert picture_refs(np.zeros((2, 3), np.uint8))[0][:4] == b"\x89PNG"
    for cell in [
        None,
        "",
        " ",
        np.nan,
        pd.NA,
        pd.NaT,
        b"",
        [],
        "[]",
        {"bytes": None, "path": None},
    ]:
        assert picture_refs(cell, root) == []
    for cell in [17, 1.5, True, object(), np.zeros((2, 3)), {"url": "x"}]:
        with pytest.raises(TypeError, match="a picture is a path, URL"):
            picture_refs(cell, root)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ('["a/0.jpg", "a/1.jpg"]', ["a/0.jpg", "a/1.jpg"]),
        (
            "https://x.example/1, https://x.example/2",
            ["https://x.example/1", "https://x.example/2"],
        ),
        ("http://x.example/1?a=1,2", ["http://x.example/1?a=1,2"]),
        ("https://x.example/1|HTTP://x.example/2", ["https://x.example/1", "HTTP://x.example/2"]),
        ("0.jpg|1.PNG", ["0.jpg", "1.PNG"]),
        ("0.jpg\n1.png", ["0.jpg", "1.png"]),
        ("red, white.jpg", ["red, white.jpg"]),
        ("[draft].jpg", ["[draft].jpg"]),
        ("[draft]", ["[draft]"]),
        ("C:\\a;b\\c.jpg", ["C:\\a;b\\c.jpg"]),
    ],
)
def test_several_pictures_in_a_cell(cell, names):
    assert split_cell(cell) == names


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_any_text_names_pictures(text):
    assert all(isinstance(ref, str) for ref in picture_refs(text, "/r"))
