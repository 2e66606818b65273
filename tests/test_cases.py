"""Inputs that went wrong for users of packages like this one, each with its right answer.

One test for each kind of input, from tables to texts; `pytest tests/test_cases.py` runs all of
them. What needs threads, forks or a page has its tests beside its module: `test_collection.py`,
`test_duplicates.py`, `test_index.py`, `test_browser.py`.
"""

import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import encoded, pixels
from PIL import Image

from prodrec import Catalog, History, Recommender, SearchEmbedder, TextClassifier, TfidfEmbedder
from prodrec.apps.monitor import quality, quality_figure
from prodrec.core import ImageError
from prodrec.data.audit import audit
from prodrec.data.demo import load_demo_events
from prodrec.data.pictures import check_upload, read_image
from prodrec.data.readers import read_folder, read_table

HEAD = "id,title,category\n"


def table(folder: Path, text: str, name: str = "table.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# -- tables


@pytest.mark.parametrize(
    "text, read",
    [(HEAD + "1,Mug,a,\n2,Cup,b,\n", {}), (HEAD + "1,Mug,a,,\n2,Cup,b,,\n", {}),
     ((HEAD + "1,Mug,a,\n2,Cup,b,\n").replace(",", ";"), {"sep": ";"})],
    ids=["a comma", "two commas", "a semicolon"],
)  # fmt: skip
def test_an_empty_last_column_is_ignored(tmp_path, text, read):
    found = Catalog.from_csv(table(tmp_path, text), read=read)
    assert found.ids == ["1", "2"] and found.products.title.tolist() == ["Mug", "Cup"]
    assert read_table(table(tmp_path, text)).ids == ["1", "2"]


def test_another_separator_is_told(tmp_path):
    with pytest.raises(ValueError, match='separated by \';\', so give `read={"sep": ";"}`'):
        Catalog.from_csv(table(tmp_path, "id;title\n1;Mug\n"))


@pytest.mark.parametrize("line", [2, 3, 4])
def test_a_field_too_many_is_named_by_its_line(tmp_path, line):
    rows = ["id,title,category", "1,Mug,a", "2,Cup,b", "3,Pan,b"]
    rows[line - 1] = rows[line - 1].replace(",", ", red,", 1)
    with pytest.raises(ValueError, match=f"line {line}: 4 fields where the header has 3"):
        Catalog.from_csv(table(tmp_path, "\n".join(rows)))
    events = table(tmp_path, "user,id,value\nu1,p1,2,5\nu2,p2,1,0\n")
    with pytest.raises(ValueError, match="line 2: expected 3 fields, found 4"):
        History.from_csv(events)


def test_codes_stay_as_they_are_written(tmp_path):
    found = Catalog.from_csv(table(tmp_path, HEAD + "1,Mug,007\n2,Cup,7\n3,Pan,\n"))
    assert found.products.category.fillna("-").tolist() == ["007", "7", "-"]


def test_a_column_of_numbers_and_late_words_is_text(tmp_path):
    rows = [f"{n},mug,{38 + n % 8}" for n in range(30_000)]  # read in several pieces
    text = "\n".join(["id,title,size", *rows, "x1,shirt,M", "x2,shirt,L"])
    with pytest.warns(UserWarning, match="column `size` holds numbers and 2 words"):
        found = Catalog.from_csv(table(tmp_path, text))
    found.save(tmp_path / "saved")
    again = Catalog.load(tmp_path / "saved")
    assert set(map(type, again.products["size"])) == {str}
    made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(again[again.ids[-400:]])
    for wanted, named in ((38, ["38"]), ("38", ["38"]), ([38.0, "M"], ["38", "M"])):
        hits = made.recommend(400, text="mug", where={"size": wanted})
        assert len(hits) == again.products["size"][-400:].isin(named).sum() > 40


@pytest.mark.parametrize(
    "value",
    [[1, "a"], Path("x"), 2**64, "\ud800", {1: "a"}],
    ids=["list", "path", "large", "half", "dict"],
)
def test_a_value_that_cannot_be_saved_is_named_at_the_beginning(value):
    frame = pd.DataFrame({"title": ["a"], "z": pd.Series([value], dtype=object)})
    with pytest.raises(ValueError, match="column `z` of product '0' holds"):
        Catalog(frame)


def test_the_price_that_is_none_is_shown_with_its_line(tmp_path):
    rows = "".join(f"{i},Mug,{i % 9 + 0.5}\n" for i in range(2000))
    path = table(tmp_path, f"id,title,price\n{rows}2000,Cup,N/A\n")
    with pytest.raises(ValueError, match="product '2000', line 2002 of .* is 'N/A'"):
        Catalog.from_csv(path)


def test_times_of_every_precision_are_read_and_an_ambiguous_one_is_not():
    times = ["2024-01-01", "2024-01-01 10:00:00", "2024-01-01T10:00:00.5+02:00"]
    events = pd.DataFrame({"user": ["u"] * 3, "id": list("abc"), "time": times})
    read = History(events).events.set_index("id")["time"]
    expected = [
        pd.Timestamp(t) for t in ("2024-01-01", "2024-01-01 10:00", "2024-01-01 08:00:00.5")
    ]
    assert read[list("abc")].tolist() == expected
    with pytest.raises(ValueError, match="'02/01/2024', which is ambiguous"):
        History(events.assign(time="02/01/2024"))


def test_a_history_whose_ids_lost_their_zeros_warns():
    catalog = Catalog(pd.DataFrame({"title": ["mug"] * 6}, [f"0{100 + n}" for n in range(6)]))
    events = pd.DataFrame({"user": "u", "id": [str(100 + n) for n in range(6)]})
    with pytest.warns(UserWarning, match="0 of 6 products .* leading zeros were probably lost"):
        Recommender(text=TfidfEmbedder()).fit(catalog, History(events))


# -- pictures


def test_what_stands_behind_a_photograph_is_passed_over():
    data = encoded(pixels(), "JPEG")
    film = data + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20
    assert np.array_equal(read_image(film), read_image(data))
    photo = Image.fromarray(pixels(40, 30))
    camera = encoded(photo, "MPO", save_all=True, append_images=[photo.resize((15, 20))])
    assert read_image(camera).shape == (40, 30, 3)
    assert check_upload(camera) is not None


SUFFIXES = {"jpg": "JPEG", "JPG": "JPEG", "jfif": "JPEG", "jpe": "JPEG", "png": "PNG",
            "webp": "WEBP", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP"}  # fmt: skip


def test_every_suffix_and_every_linked_folder_is_read(tmp_path):
    for kind in ("mugs", "cups"):
        (folder := tmp_path / "plain" / kind).mkdir(parents=True)
        for n, (suffix, form) in enumerate(SUFFIXES.items()):
            (folder / f"{n}.{suffix}").write_bytes(encoded(pixels(seed=n), form))
    assert len(read_folder(tmp_path / "plain")) == 18
    (linked := tmp_path / "linked").mkdir()
    for kind in ("mugs", "cups"):
        os.symlink(tmp_path / "plain" / kind, linked / kind)
    os.symlink(linked, tmp_path / "plain" / "mugs" / "round")  # a loop
    found = read_folder(linked)
    assert len(found) == 18 and set(found.products.category) == {"mugs", "cups"}
    (tmp_path / "plain" / "mugs" / "notes.docx").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 "):
        read_folder(tmp_path / "plain")


def test_paths_of_other_systems(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as z:
        for n in range(4):
            name = zipfile.ZipInfo(f"set\\{'ab'[n % 2]}\\{n}.jpg")
            z.writestr(name, encoded(pixels(seed=n), "JPEG"))
    assert sorted(read_folder(tmp_path / "set.zip").products.category) == list("aabb")
    (tmp_path / "photos" / "a").mkdir(parents=True)
    for n in range(2):
        (tmp_path / "photos" / "a" / f"{n}.png").write_bytes(encoded(pixels(seed=n)))
    both = '"[""a/0.png"", ""a/1.png""]"'
    for cell in ("a\\0.png", "/a/0.png", both, "a/0.png|a/1.png", '"a/0.png, a/1.png"'):
        path = table(tmp_path, f"id,title,image\n1,Mug,{cell}\n")
        found = Catalog.from_csv(path, root=tmp_path / "photos")
        assert np.array_equal(found.pixels("1"), pixels(seed=0)), cell


def test_cells_that_are_pictures():
    frame = pixels(9, 7)
    cells = [Image.fromarray(frame), frame, {"bytes": encoded(frame), "path": None}, encoded(frame)]
    catalog = Catalog.from_frame(pd.DataFrame({"id": list("abcd"), "image": cells}))
    assert all(np.array_equal(catalog.pixels(i), frame) for i in catalog.ids)
    web = ["HTTP://a.example/x.jpg", " http://a.example/x.jpg", "//a.example/x.jpg"]
    found = Catalog.from_frame(pd.DataFrame({"id": list("abc"), "image": web})).products["image"]
    assert all(ref.lower().startswith(("http://", "https://")) for ref in found)


@pytest.mark.parametrize("kind", ["a file", "empty"])
def test_a_cache_that_cannot_be_used_drops_nothing(tmp_path, monkeypatch, kind):
    place = table(tmp_path, "x", "cache")
    monkeypatch.setenv("PRODREC_CACHE", "" if kind == "empty" else str(place))
    catalog = Catalog(pd.DataFrame({"image": ["http://127.0.0.1:9/a.jpg"], "title": ["mug"]}))
    with pytest.raises(ValueError, match="PRODREC_CACHE") as e:
        audit(catalog).clean()
    assert not isinstance(e.value, ImageError)


# -- texts


def found_by(titles: list[str], text: str) -> list[int]:
    "Return the rows that `text` finds, best first; nothing in common is not found."
    embedder = SearchEmbedder(TfidfEmbedder(fields=("title",)), ("title",))
    made = Recommender(text=embedder).fit(Catalog(pd.DataFrame({"title": titles})))
    hits = made.recommend(len(titles), text=text, min_score=0.01)
    return [int(i) for i in hits.ids]


@pytest.mark.parametrize(
    "titles, text, first",
    [
        (["黑色男士皮鞋", "红色女士连衣裙", "蓝色女士连衣裙"], "连衣裙", {1, 2}),
        (["黒い革靴", "赤いワンピース", "青いワンピース"], "ワンピース", {1, 2}),
        (["รองเท้าหนังสีดำ", "เดรสสีแดง", "เดรสสีน้ำเงิน"], "เดรส", {1, 2}),
        (["iPhone 5 case", "iPhone 6 case"], "iphone 6", {1}),
        (["Shirt size M", "Shirt size S"], "size S", {1}),
        (["blue mug", "red shoe"], "shoes", {1}),
        (["blue mug", "Café crème"], "cafe creme", {1}),
        (["blue mug", "dancing dress"], "dresses", {1}),
    ],
)  # fmt: skip
def test_the_right_product_is_found_first(titles, text, first):
    assert set(found_by(titles, text)[: len(first)]) == first


def test_different_words_are_no_duplicate_titles():
    catalog = Catalog(pd.DataFrame({"title": ["काला", "कील", "किला", "कली"]}))
    assert audit(catalog).ids("duplicate_title") == []


def test_labels_are_the_same_whatever_type_they_have():
    titles = ["red mug", "blue mug", "old chair", "new chair"] * 6
    train = Catalog(pd.DataFrame({"title": titles, "category": [10, 10, 40, 40] * 6}))
    test = Catalog(pd.DataFrame({"title": titles[:4], "category": [10.0, 10.0, 40.0, 40.0]}))
    assert TextClassifier("tfidf", mask_labels=False).fit(train).evaluate(test).accuracy == 1


@pytest.mark.parametrize("value", [["x"], {"y": 1}], ids=str)
def test_a_category_is_one_text(value):
    with pytest.raises(
        ValueError, match="`category` of product '0' holds a .*: a label is one text"
    ):
        Catalog(pd.DataFrame({"title": ["a"], "category": pd.Series([value], dtype=object)}))


# -- answers


def test_no_text_is_ever_evaluated():
    made = Recommender(text=TfidfEmbedder()).fit(Catalog(pd.DataFrame({"title": ["a", "b"]})))
    attack = "title == '''a'b''' or title.map.__globals__['os'].system('true')"
    with pytest.raises(TypeError, match="text is never evaluated"):
        made.recommend(1, text="a", where=attack)


def test_the_feedback_of_the_demo_has_a_figure():
    events = load_demo_events(300)
    liked = events[events["event"] == "purchase"]  # a share of 1, whose upper end rounding lowers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert quality_figure(quality(History(liked), "30D")).has_data()
