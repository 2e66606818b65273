"""The readers, on files of the exact published shape, whole and damaged."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec.core import ImageError
from prodrec.data import datasets
from prodrec.data.datasets import (
    parse_price,
    plain_text,
    read_amazon,
    read_amazon_reviews,
    read_fashion,
    read_retail,
    read_walmart,
)
from prodrec.data.tables import read_json_lines


def jpeg(colour="red", size=(6, 8)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


HEAD = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"  # noqa: E501
STYLES = [
    "15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Acme Men Check Shirt",
    "39386,Men,Apparel,Bottomwear,Jeans,Blue,,,Casual,Acme Jeans, slim, blue",
    '59263,Women,Accessories,Watches,Watches,NA,Winter,2016,NA,"Acme EpochLogger, silver"',
    "01855,Men,Apparel,Topwear,Tshirts,Grey,Summer,2011,Casual,Acme “Café” T‑shirt 日本",
    '30805,Men,Apparel,Topwear,Shirts,Green,Summer,2012,Ethnic,"Big" Kurta, green',
]
TITLES = [
    "Acme Men Check Shirt",
    "Acme Jeans, slim, blue",
    "Acme EpochLogger, silver",
    "Acme “Café” T‑shirt 日本",
    '"Big" Kurta, green',
]


def fashion_zip(
    path, lines=None, encoding="utf-8", newline="\n", wrapped="", pictures=("15970", "01855")
):
    text = newline.join([HEAD, *(STYLES if lines is None else lines)]) + newline
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(wrapped + "styles.csv", text.encode(encoding))
        for id in pictures:
            z.writestr(f"{wrapped}images/{id}.jpg", jpeg())
    return path


# ---- fashion


@pytest.mark.parametrize("encoding, newline", [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
@pytest.mark.parametrize("wrapped", ["", "fashion-dataset/"])
def test_fashion_archive_loses_nothing(tmp_path, encoding, newline, wrapped):
    catalog = read_fashion(
        fashion_zip(tmp_path / "f.zip", encoding=encoding, newline=newline, wrapped=wrapped)
    )
    assert catalog.ids == ["15970", "39386", "59263", "01855", "30805"]
    assert catalog.products.title.tolist() == TITLES
    assert catalog.products.category.tolist() == ["Shirts", "Jeans", "Watches", "Tshirts", "Shirts"]
    assert catalog["59263"].baseColour == catalog["59263"].usage == "NA"
    assert catalog.products.year.dtype == "Int64" and catalog.products.year.isna().tolist() == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert catalog.products.season.isna().tolist() == [False, True, False, False, False]
    assert catalog.image("01855").size == (6, 8)
    assert catalog["39386"].image is None
    with pytest.raises(ImageError, match="of product '39386' is missing: the catalogue names none"):
        catalog.image("39386")


def test_fashion_folder_and_folder_with_the_archive(tmp_path):
    archive = fashion_zip(tmp_path / "outer.zip")
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as z:
        z.extractall(folder)
    (tmp_path / "broken.zip").write_bytes(b"PK")  # another download that never finished
    whole = read_fashion(archive)
    for root in (folder, str(folder)):
        other = read_fashion(root)
        pd.testing.assert_frame_equal(
            other.products.drop(columns="image"), whole.products.drop(columns="image")
        )
        assert other.open("15970") == whole.open("15970")
        assert other["39386"].image is None
    (tmp_path / "holder").mkdir()
    archive.rename(tmp_path / "holder" / "outer.zip")
    assert read_fashion(tmp_path / "holder").open("15970") == jpeg()


def test_fashion_takes_the_table_and_pictures_at_the_top_of_the_kaggle_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as z:  # the archive holds everything twice
        z.writestr("myntradataset/styles.csv", HEAD + "\n" + STYLES[0] + "\n")
        z.writestr("myntradataset/images/15970.jpg", jpeg("blue"))
        z.writestr("styles.csv", HEAD + "\n" + STYLES[0] + "\n")
        z.writestr("images/15970.jpg", jpeg("red"))
    assert read_fashion(tmp_path / "f.zip").open("15970") == jpeg("red")


def test_fashion_category_and_columns(tmp_path):
    catalog = read_fashion(fashion_zip(tmp_path / "f.zip"), category="masterCategory")
    assert catalog["59263"].category == "Accessories"
    assert catalog["59263"].articleType == "Watches"
    assert "masterCategory" not in catalog.products


@pytest.mark.parametrize(
    "lines, message",
    [
        ([STYLES[0], "1164,Men,Apparel"], r"line 3: 3 of 10 fields"),
        ([STYLES[0].replace("2011", "MMXI")], r"`year` must hold whole numbers"),
        ([STYLES[0], STYLES[0]], r"`id` is not unique: 1 ids stand more than once, e.g. '15970'"),
        ([STYLES[0].replace("15970", "")], r"`id` is missing in 1 of 1 rows"),
        ([], r"no rows"),
    ],
)
def test_fashion_refuses_bad_tables(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read_fashion(fashion_zip(tmp_path / "f.zip", lines=lines))


def test_fashion_refuses_what_is_not_it(tmp_path):
    (tmp_path / "styles.csv").write_bytes(b"\xff\xfe\x00\x81binary")
    with pytest.raises(ValueError, match=r"styles.csv' is no text in UTF-8"):
        read_fashion(tmp_path)
    (tmp_path / "styles.csv").write_text("")
    with pytest.raises(ValueError, match="styles.csv has no column 'id', 'gender'"):
        read_fashion(tmp_path)
    (tmp_path / "styles.csv").write_text("id,gender\n1,Men\n")
    with pytest.raises(ValueError, match="has no column 'masterCategory'.*it has id, gender"):
        read_fashion(tmp_path)
    half = fashion_zip(tmp_path / "whole.zip").read_bytes()[:400]
    (tmp_path / "half.zip").write_bytes(half)
    with pytest.raises(
        ValueError, match="neither a folder nor a whole zip archive.*fetch it again"
    ):
        read_fashion(tmp_path / "half.zip")
    with pytest.raises(FileNotFoundError, match="is not there"):
        read_fashion(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no styles.csv"):
        read_fashion(tmp_path / "empty")
    with pytest.raises(TypeError, match="`root` must be a path, received int"):
        read_fashion(3)


names = (
    st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"),
        min_size=1,
    )
    .map(str.strip)
    .filter(bool)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(names, min_size=1, max_size=5))
def test_every_title_survives_quoted_or_not(titles):
    quoted, bare = io.StringIO(), "id,name\n"
    writer = csv.writer(quoted, lineterminator="\n")
    writer.writerow(["id", "name"])
    for n, title in enumerate(titles):
        writer.writerow([n, title])
        bare += f"{n},{title}\n"
    assert datasets._split_rows(quoted.getvalue(), "x").name.tolist() == titles
    # without quotes a title that is quoted as a whole cannot be told from one that only needed it
    plain = [t for t in titles if not t.startswith('"')]
    if plain == titles:
        assert datasets._split_rows(bare, "x").name.tolist() == titles


def fashion_table(rows, ids=int):
    table = datasets._split_rows("\n".join([HEAD, *rows]), "x").replace("", None)
    table["id"] = table["id"].map(ids)
    table["year"] = table["year"].astype(float)  # as the published parquet has it
    table["image"] = [{"bytes": jpeg(), "path": None}] + [None] * (len(rows) - 1)
    return pa.Table.from_pandas(table, preserve_index=False)


def test_fashion_parquet_one_file_several_and_below_data(tmp_path):
    (tmp_path / "data").mkdir()
    first, second = (
        tmp_path / "data" / "train-00000-of-00002.parquet",
        tmp_path / "data" / "train-00001-of-00002.parquet",
    )
    pq.write_table(fashion_table(STYLES[:2]), first)
    pq.write_table(fashion_table(STYLES[2:]), second)
    for root in (tmp_path, tmp_path / "data"):
        catalog = read_fashion(root)
        assert catalog.ids == ["15970", "39386", "59263", "1855", "30805"]
        assert catalog.products.title.tolist() == TITLES
        assert catalog.products.year.dtype == "Int64"
        assert [ref is None for ref in catalog.products.image] == [False, True, False, True, True]
        assert catalog.image("15970").size == (6, 8)
    assert read_fashion(first).ids == ["15970", "39386"]


def test_fashion_parquet_refuses_damage_and_missing_columns(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match="x.parquet' is no parquet file that can be read"):
        read_fashion(tmp_path)
    pq.write_table(fashion_table(STYLES).drop_columns(["season"]), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="has no column 'season'"):
        read_fashion(tmp_path / "x.parquet")
    pq.write_table(fashion_table([STYLES[0], STYLES[0]]), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="not unique"):
        read_fashion(tmp_path / "x.parquet")


def test_fashion_details(tmp_path):
    archive = fashion_zip(tmp_path / "f.zip")
    rows = [
        {
            "id": 15970,
            "brandName": "Acme",
            "price": 895,
            "discountedPrice": 500.5,
            "descriptors": {"description": "A<br>B &amp; C"},
        },
        {"id": 39386, "brandName": "NA", "price": None, "descriptors": {}},
        {"id": 99999, "brandName": "Other", "descriptors": None},
    ]
    text = "".join(json.dumps(r) + "\n" for r in rows)
    with pytest.raises(FileNotFoundError, match="`details` is True"):
        read_fashion(archive, details=True)
    (tmp_path / "products.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    for source in (None, True, tmp_path / "products.jsonl.gz"):
        p = read_fashion(archive, details=source).products
        assert p.loc["15970", ["description", "brand", "price", "discountedPrice"]].tolist() == [
            "A B & C",
            "Acme",
            895.0,
            500.5,
        ]
        assert (
            p.loc["39386", "brand"] == "NA"
            and pd.isna(p.loc["39386", "price"])
            and pd.isna(p.loc["39386", "description"])
        )
        assert pd.isna(p.loc["59263", "brand"]) and "99999" not in p.index
    assert "brand" not in read_fashion(archive, details=False).products
    (tmp_path / "products.jsonl.gz").write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(ValueError, match="products.jsonl.gz' is cut off or damaged after line"):
        read_fashion(archive)


# ---- fetching


def test_download_asks_the_clients_and_reads_what_they_return(tmp_path, monkeypatch):
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pq.write_table(
        fashion_table(STYLES), tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"
    )
    (tmp_path / "kaggle").mkdir()
    fashion_zip(tmp_path / "kaggle" / "f.zip")
    (tmp_path / "retail").mkdir()
    (tmp_path / "retail" / "train.csv").write_text("ImgId,title,description,categories\n1,A,B,C\n")
    calls = []

    def answering(name, folder):
        return lambda *args, **kwargs: calls.append((name, args, kwargs)) or str(tmp_path / folder)

    monkeypatch.setitem(
        sys.modules,
        "huggingface_hub",
        SimpleNamespace(snapshot_download=answering("snapshot", "hub")),
    )
    kaggle = SimpleNamespace(
        dataset_download=answering("dataset", "kaggle"),
        competition_download=answering("competition", "retail"),
    )
    monkeypatch.setitem(sys.modules, "kagglehub", kaggle)

    assert read_fashion(download=True).products.title.tolist() == TITLES
    assert read_fashion(download="huggingface").image("15970").size == (6, 8)
    assert read_fashion(download="kaggle").products.title.tolist() == TITLES
    assert read_retail(download=True).ids == ["1"]
    hub = (
        "snapshot",
        ("ashraq/fashion-product-images-small",),
        {"repo_type": "dataset", "allow_patterns": ["*.parquet"]},
    )
    assert calls == [
        hub,
        hub,
        ("dataset", ("paramaggarwal/fashion-product-images-small",), {}),
        ("competition", ("retail-products-classification",), {}),
    ]


def test_download_arguments_fit_the_real_clients():
    import inspect

    hub, kaggle = pytest.importorskip("huggingface_hub"), pytest.importorskip("kagglehub")
    inspect.signature(hub.snapshot_download).bind(
        "a/b", repo_type="dataset", allow_patterns=["*.parquet"]
    )
    inspect.signature(kaggle.dataset_download).bind("a/b")
    inspect.signature(kaggle.competition_download).bind("a")


@pytest.mark.parametrize(
    "read, module, page",
    [
        (
            lambda: read_fashion(download=True),
            "huggingface_hub",
            "https://huggingface.co/datasets/ashraq/fashion-product-images-small",
        ),
        (
            lambda: read_fashion(download="kaggle"),
            "kagglehub",
            "https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
        ),
        (
            lambda: read_retail(download=True),
            "kagglehub",
            "https://www.kaggle.com/competitions/retail-products-classification",
        ),
    ],
)
def test_download_says_what_is_missing(read, module, page, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf'`{module}` is not installed: pip install "prodrec\[download\]"'
    ):
        read()

    def fail(*args, **kwargs):
        raise OSError("Name or service not known")

    client = SimpleNamespace(
        snapshot_download=fail, dataset_download=fail, competition_download=fail
    )
    monkeypatch.setitem(sys.modules, module, client)
    with pytest.raises(ConnectionError) as e:
        read()
    assert (
        page in str(e.value)
        and "Name or service not known" in str(e.value)
        and "give its folder as `root`" in str(e.value)
    )


def test_download_and_root_exclude_each_other(tmp_path):
    with pytest.raises(TypeError, match="`root` and `download` cannot both be given"):
        read_fashion(tmp_path, download=True)
    with pytest.raises(TypeError, match="`root` is missing"):
        read_retail()


# ---- retail


@pytest.mark.parametrize("zipped", [False, True])
def test_retail(tmp_path, zipped):
    files = {
        "train.csv": '\ufeffImgId,title,description,categories\r\n0042,"Pan, steel","Two\r\nlines",Home & Kitchen\r\n,Hose,,Patio\r\n77,Café NA,NA,Grocery\r\n',  # noqa: E501
        "test.csv": "ImgId,title,description\n0042,Duck,Yellow\n",
        "train/train/0042.jpg": jpeg("red"),
        "test/test/0042.jpg": jpeg("blue"),
    }
    for name, data in files.items():
        (tmp_path / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "r" / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    root = tmp_path / "r"
    if zipped:
        with zipfile.ZipFile(tmp_path / "r.zip", "w") as z:
            for name in files:
                z.write(root / name, name)
        root = tmp_path / "r.zip"
    train, test = read_retail(root), read_retail(root, part="test")
    assert train.ids == ["0042", "train-3", "77"]
    assert train.products.title.tolist() == ["Pan, steel", "Hose", "Café NA"]
    assert train["77"].description == "NA" and pd.isna(train["train-3"].description)
    assert train.products.category.tolist() == ["Home & Kitchen", "Patio", "Grocery"]
    assert train.open("0042") == jpeg("red") and test.open("0042") == jpeg("blue")
    assert train["77"].image is None
    assert "category" not in test.products


def test_retail_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no train.csv"):
        read_retail(tmp_path)
    (tmp_path / "train.csv").write_text("")
    with pytest.raises(ValueError, match="train.csv' is no CSV table"):
        read_retail(tmp_path)
    (tmp_path / "train.csv").write_text("ImgId,title,description\n1,a,b\n")
    with pytest.raises(ValueError, match="has no column 'categories'"):
        read_retail(tmp_path)
    (tmp_path / "train.csv").write_text("ImgId,title,description,categories\n1,a,b,c\n1,a,b,c\n")
    with pytest.raises(ValueError, match="not unique"):
        read_retail(tmp_path)
    with pytest.raises(ValueError, match='`part` must be "train" or "test", received \'all\''):
        read_retail(tmp_path, part="all")
    (tmp_path / "train.csv").write_text("title,description,categories\na,b,c\n")
    assert read_retail(tmp_path).ids == ["train-2"]


# ---- amazon

A2014 = {
    "asin": "0000037214",
    "related": {"also_viewed": ["B00JO8II76"]},
    "title": 'Purple "Sequin" Tiny Dancer\'s Tutu',
    "price": 6.99,
    "salesRank": {"Clothing": 1233557},
    "imUrl": "http://pics.example/a.jpg",
    "brand": "Big Dreams",
    "categories": [["Clothing, Shoes & Jewelry", "Girls", "Active"], ["Toys"]],
}
A2018 = {
    "category": ["Clothing, Shoes & Jewelry", "Women", "Tops &amp; Tees"],
    "description": ["First.", "<b>Second</b>"],
    "title": "Blouse",
    "also_buy": ["B1", "B2"],
    "imageURL": ["http://pics.example/s.jpg"],
    "imageURLHighRes": ["http://pics.example/l.jpg", "http://pics.example/2.jpg"],
    "brand": "Acme",
    "feature": ["Cotton", "Loose"],
    "price": "$1,012.99 - $2,020.00",
    "asin": "B00A",
}
A2023 = {
    "main_category": "All Beauty",
    "title": "Brush",
    "average_rating": 4.8,
    "features": [],
    "description": [],
    "price": None,
    "images": [
        {
            "thumb": "http://pics.example/t2.jpg",
            "large": "http://pics.example/l2.jpg",
            "variant": "PT01",
            "hi_res": None,
        },
        {
            "thumb": "http://pics.example/t.jpg",
            "large": "http://pics.example/l.jpg",
            "variant": "MAIN",
            "hi_res": "http://pics.example/h.jpg",
        },
    ],
    "store": "Howard",
    "categories": [],
    "details": {"Brand": "x"},
    "parent_asin": "B01CUPMQZE",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("literal", [False, True])
def test_amazon_forms(tmp_path, packed, literal):
    rows = [A2014, A2018, A2023, {"asin": "B9"}]
    text = "".join((repr(r) if literal else json.dumps(r)) + "\n" for r in rows)
    (tmp_path / "meta").write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    p = read_amazon(tmp_path / "meta", keep=["related", "also_buy"]).products
    assert p.index.tolist() == ["0000037214", "B00A", "B01CUPMQZE", "B9"]
    assert p.title.tolist()[:3] == ['Purple "Sequin" Tiny Dancer\'s Tutu', "Blouse", "Brush"]
    assert p.category.tolist()[:3] == ["Girls", "Women", "All Beauty"]
    assert p.categories["B00A"] == "Clothing, Shoes & Jewelry > Women > Tops & Tees"
    assert p.brand.tolist()[:3] == ["Big Dreams", "Acme", "Howard"]
    assert p.price.tolist()[:2] == [6.99, 1012.99] and p.price.isna().tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert p.image.tolist() == [
        "http://pics.example/a.jpg",
        "http://pics.example/l.jpg",
        "http://pics.example/h.jpg",
        None,
    ]
    assert p.description["B00A"] == "First. Second" and pd.isna(p.description["B01CUPMQZE"])
    assert p.features["B00A"] == "Cotton Loose"
    assert p.related["0000037214"] == {"also_viewed": ["B00JO8II76"]} and p.also_buy["B00A"] == [
        "B1",
        "B2",
    ]
    assert p.loc["B9"].drop("image").isna().all()
    assert read_amazon(tmp_path / "meta", limit=1).ids == ["0000037214"]
    assert (
        read_amazon(tmp_path / "meta", level=0).products.category["B00A"]
        == "Clothing, Shoes & Jewelry"
    )
    assert read_amazon(tmp_path / "meta", level=9).products.category["B00A"] == "Tops & Tees"


def test_amazon_catalogue_can_be_saved_and_loaded(tmp_path):
    from prodrec.data.catalog import Catalog

    (tmp_path / "meta").write_text(json.dumps(A2018) + "\n" + json.dumps(A2014) + "\n")
    catalog = read_amazon(tmp_path / "meta", keep=["related"])
    catalog.save(tmp_path / "saved")
    assert (
        Catalog.load(tmp_path / "saved").products.title.tolist() == catalog.products.title.tolist()
    )


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "holds no products"),
        (b"\n\n", "holds no products"),
        (
            b'{"asin": "B1"}\n\n{"asin": "B2", \n',
            r"line 3: .*the line begins b'\{\"asin\": \"B2\"'?",
        ),
        (b'{"asin": "B1"}\n[1, 2]\n', "line 2: an object is expected, found list"),
        (b"\x00\x01\xff\xfe binary", "line 1: "),
        (b"{'asin': open('x')}\n", "line 1: "),
        (b'{"title": "no id"}\n', "a row without asin or parent_asin"),
        (b'{"asin": "B1"}\n{"asin": "B1"}\n', "not unique: 1 ids stand more than once, e.g. 'B1'"),
        (b'{"a":' * 100_000, "line 1: "),
        (
            gzip.compress(b'{"asin": "B1"}\n' * 2000, mtime=0)[:60],
            "is cut off or damaged after line",
        ),
        (b"\x1f\x8b" + b"nonsense" * 10, "is cut off or damaged after line 0"),
    ],
)
def test_amazon_refuses_damage(tmp_path, data, message):
    (tmp_path / "meta.json").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_amazon(tmp_path / "meta.json")


def test_amazon_duplicates_and_arguments(tmp_path):
    (tmp_path / "m").write_text('{"asin": "B1", "title": "a"}\n{"asin": "B1", "title": "b"}\n')
    assert read_amazon(tmp_path / "m", duplicates="first").products.title.tolist() == ["a"]
    with pytest.raises(ValueError, match="`duplicates` must be"):
        read_amazon(tmp_path / "m", duplicates="last")
    with pytest.raises(ValueError, match="`limit` must be at least 1, received 0"):
        read_amazon(tmp_path / "m", limit=0)
    with pytest.raises(FileNotFoundError):
        read_amazon(tmp_path / "nowhere.json.gz")


def test_bom_and_crlf_in_json_lines(tmp_path):
    (tmp_path / "m").write_bytes(b'\xef\xbb\xbf{"asin": "B1"}\r\n{"asin": "B2"}\r\n')
    assert [r["asin"] for r in read_json_lines(tmp_path / "m")] == ["B1", "B2"]


def test_json_lines_are_streamed(tmp_path):
    # the second half is damaged: whoever stops before never meets it
    (tmp_path / "m").write_bytes(b'{"asin": "B1"}\n' * 5 + b"{\n")
    assert len(list(read_json_lines(tmp_path / "m", limit=5))) == 5
    with pytest.raises(ValueError, match="line 6"):
        list(read_json_lines(tmp_path / "m", limit=6))


def test_amazon_reviews(tmp_path):
    rows = [
        {
            "reviewerID": "A2SUAM1J3GNN3B",
            "asin": "0000013714",
            "overall": 5.0,
            "unixReviewTime": 1252800000,
            "reviewText": "x",
        },
        {
            "user_id": "AGKH",
            "asin": "B00YQ6X8EO",
            "parent_asin": "B00P",
            "rating": 3.0,
            "timestamp": 1588687728923,
        },
        {"user_id": "AGKH", "asin": "B00YQ6X8EO", "rating": 1, "timestamp": 1588687728923},
    ]
    (tmp_path / "r").write_text("".join(json.dumps(r) + "\n" for r in rows))
    df = read_amazon_reviews(tmp_path / "r")
    assert df.columns.tolist() == ["user", "id", "event", "value", "time"]
    assert df.id.tolist() == ["0000013714", "B00P", "B00YQ6X8EO"]
    assert df.value.tolist() == [5, 3, 1] and df.value.dtype == "float32"
    assert set(df.event) == {"rating"}
    assert df.time.tolist()[:2] == [
        pd.Timestamp("2009-09-13"),
        pd.Timestamp("2020-05-05 14:08:48.923"),
    ]
    assert len(read_amazon_reviews(tmp_path / "r", limit=2)) == 2
    (tmp_path / "t").write_text(
        json.dumps(rows[0] | {"summary": "Fine", "reviewText": "Warm <b>and</b> soft", "vote": "2"})
        + "\n"
        + json.dumps(rows[2] | {"title": "Bad", "text": None, "helpful_vote": 7})
    )
    told = read_amazon_reviews(tmp_path / "t", texts=True)
    assert told.text.tolist() == ["Fine Warm and soft", "Bad"] and told.helpful.tolist() == [2, 7]
    (tmp_path / "r").write_text('{"asin": "B1", "title": "metadata"}\n')
    with pytest.raises(ValueError, match="a row without user, product, rating or time"):
        read_amazon_reviews(tmp_path / "r")
    (tmp_path / "r").write_text("")
    with pytest.raises(ValueError, match="holds no reviews"):
        read_amazon_reviews(tmp_path / "r")


@given(st.decimals(0, 10**7, places=2))
def test_prices_written_and_read(amount):
    for text in (
        f"${amount:,}",
        f"{amount}",
        f" ${amount:,} ",
        f"from {amount}",
        f"${amount:,} - $99,999,999.00",
    ):
        assert parse_price(text) == float(amount)


@given(st.text())
def test_price_of_any_text_is_a_number_or_missing(text):
    assert isinstance(parse_price(text), float)


@given(st.text())
def test_plain_text_leaves_text_as_it_is(text):
    text = text.replace("<", "").replace("&", "")
    assert plain_text(f"<p class='x'>{text}</p>{text}<br") == " ".join(f"{text} {text}".split())


# ---- walmart


def listings(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_walmart(tmp_path):
    root = listings(
        tmp_path / "w",
        tents=',category,image_url,title\n0,tents,https://p.example/1.jpg?a=1,Tent NA\n1,tents,https://p.example/1.jpg?a=1,Tent NA\n2,tents,,"Tent, “blue”"\n',  # noqa: E501
        boats="category,image_url,title\nboats,https://p.example/1.jpg?a=1,Tent NA\n",
        filter_data=",category,title\n0,tents,Tent NA\n",
    )
    catalog = read_walmart(root)
    assert catalog.products.columns.tolist() == ["title", "category", "image"]
    assert catalog.products.category.tolist() == ["boats", "tents", "tents", "tents"]
    assert catalog.products.title.tolist() == ["Tent NA", "Tent NA", "Tent NA", "Tent, “blue”"]
    assert catalog[catalog.ids[3]].image is None
    assert catalog.ids[2] == catalog.ids[1] + "-2"
    assert read_walmart(tmp_path / "w" / "tents.csv").ids == catalog.ids[1:]
    assert read_walmart(root / "filter_data.csv").ids[0].startswith("tents-")
    (root / "tents.csv").unlink(), (root / "boats.csv").unlink()
    assert len(read_walmart(root)) == 1  # alone, it is the data
    root.rename(tmp_path / "listings")
    assert len(read_walmart(tmp_path)) == 1


def test_walmart_ids_are_the_same_in_every_process(tmp_path):
    root = listings(tmp_path / "w", a="category,image_url,title\na,https://p.example/1.jpg,T\n")
    code = (
        f"from prodrec.data.datasets import read_walmart; print(read_walmart({str(root)!r}).ids[0])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert runs == set(read_walmart(root).ids)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no CSV table"),
        ("category,image_url\na,b\n", "has no column 'title'"),
        ('category,title\n"a', "no CSV table"),
        ("category,title\n", "no rows"),
    ],
)
def test_walmart_refuses(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_walmart(listings(tmp_path / "w", a=text))


def test_walmart_missing(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="`root` .* (holds no CSV file|is not there)"):
            read_walmart(root)


# ---- the real sets, where they are

real = pytest.mark.skipif(
    "PRODREC_DATA" not in os.environ,
    reason="needs real data: let PRODREC_DATA name a folder with `fashion/`, `walmart/`",
)


@real
def test_real_fashion():
    catalog = read_fashion(Path(os.environ["PRODREC_DATA"]) / "fashion")
    p = catalog.products
    assert len(p) == 44_441 and p.image.notna().sum() == 44_072
    assert (p.usage == "NA").sum() == 316 and (p.baseColour == "NA").sum() == 15
    assert p.season.isna().sum() == 21 and p.year.isna().sum() == 1
    assert (
        p.description.notna().sum() == 44_373
        and not p.description.str.contains("<br", na=False).any()
    )
    assert p.category.nunique() == 142 and (p.price == 0).sum() == 4
    assert catalog.image(p.index[p.image.notna()][-1]).size == (60, 80)


@real
def test_real_walmart():
    root = Path(os.environ["PRODREC_DATA"]) / "walmart"
    catalog = read_walmart(root)
    assert len(catalog) == 12_388 and catalog.products.image.str.startswith("https://").all()
    filtered = read_walmart(root / "listings" / "filter_data.csv").products
    assert len(filtered) == 13_381 and filtered.category.nunique() == 13
