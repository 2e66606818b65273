"""Folders of every layout, tables, the registry, and whatever `read_data` is given."""

import gzip
import importlib.metadata
import os
import warnings
import zipfile

import pandas as pd
import pytest
from builders import encoded
from PIL import Image

import prodrec
from prodrec.core import save_folder
from prodrec.data import readers
from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.data.readers import (
    READERS,
    SourceError,
    find_reader,
    read_data,
    read_folder,
    read_table,
    reader_names,
    register_reader,
)


def jpeg(colour="red", size=(6, 8), format="JPEG"):
    return encoded(Image.new("RGB", size, colour), format)


# ---- folders


def class_folder(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg())
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_folder(tmp_path, zipped):
    names = ["Mugs/a b.jpg", "Mugs/é.PNG", "Plates/1.jpg", "Plates/1.png", "Plates/deep/2.jpeg"]
    root = class_folder(tmp_path / "d", *names)
    class_folder(root, "Mugs/.hidden.jpg", ".cache/x.jpg", "__MACOSX/x.jpg")
    (root / "notes.txt").write_text("no picture")
    if zipped:
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as z:
            for name in [*names, "Mugs/.hidden.jpg", "__MACOSX/Mugs/x.jpg", "notes.txt"]:
                z.writestr(name, jpeg())
        root = tmp_path / "d.zip"
    else:
        (root / "__MACOSX" / "x.jpg").unlink()
    with pytest.warns(UserWarning, match="1 of 6 files .* are passed over.*: 1 .txt"):
        catalog = read_folder(root)
    assert catalog.ids == ["Mugs/a b", "Mugs/é", "Plates/1.jpg", "Plates/1.png", "Plates/deep/2"]
    assert catalog.products.category.tolist() == ["Mugs", "Mugs", "Plates", "Plates", "Plates"]
    assert all(catalog.image(i).size == (6, 8) for i in catalog)
    (root / "notes.txt").unlink() if root.is_dir() else None
    assert read_folder(root, level=None)["Plates/deep/2"].category == "Plates/deep"
    assert pd.isna(read_folder(root, level=1)["Mugs/é"].category)


def test_folder_sides(tmp_path):
    root = class_folder(
        tmp_path / "d", "Train/mug/1.jpg", "Train/cup/1.jpg", "test/mug/2.jpg", "val/cup/9.jpg"
    )
    p = read_folder(root).products
    assert p.side.tolist() == ["Train", "Train", "test", "val"]
    assert p.category.tolist() == ["cup", "mug", "mug", "cup"]
    p = read_folder(root, sides=False).products
    assert "side" not in p and p.category.tolist() == ["Train", "Train", "test", "val"]
    p = read_folder(
        class_folder(tmp_path / "e", "2023/mug/1.jpg", "2024/mug/1.jpg"), sides=True
    ).products
    assert p.side.tolist() == ["2023", "2024"] and set(p.category) == {"mug"}
    p = read_folder(class_folder(tmp_path / "f", "train/mug/1.jpg", "train/cup/1.jpg")).products
    assert set(p.side) == {"train"} and p.category.tolist() == ["cup", "mug"]
    p = read_folder(
        class_folder(tmp_path / "g", "set/train/mug/1.jpg", "set/test/cup/1.jpg")
    ).products
    assert p.side.tolist() == ["test", "train"] and p.category.tolist() == ["cup", "mug"]
    p = read_folder(
        class_folder(tmp_path / "h", "train/1.jpg", "mug/1.jpg")
    ).products  # a class may be called train
    assert "side" not in p and set(p.category) == {"train", "mug"}


def test_folder_loose_pictures_and_refusals(tmp_path):
    root = class_folder(tmp_path / "d", "mug/1.jpg", "loose.jpg")
    catalog = read_folder(root)
    assert catalog.ids == ["loose", "mug/1"] and pd.isna(catalog["loose"].category)
    with pytest.raises(ValueError, match="2 pictures and none in a class folder"):
        read_folder(class_folder(tmp_path / "e", "1.jpg", "2.jpg"))
    (tmp_path / "f").mkdir()
    with pytest.raises(ValueError, match="0 pictures"):
        read_folder(tmp_path / "f")
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="neither a folder nor a whole zip"):
        read_folder(tmp_path / "x.zip")


def kinds_of(root):
    return sorted(read_folder(root).products["category"])


def test_every_suffix_that_can_be_decoded_is_found(tmp_path):
    formats = {"a.jpg": "JPEG", "b.JPG": "JPEG", "c.jfif": "JPEG", "d.jpe": "JPEG", "e.png": "PNG"}
    formats |= {"f.webp": "WEBP", "g.tif": "TIFF", "h.tiff": "TIFF", "i.bmp": "BMP", "j.gif": "GIF"}
    for kind in ("mugs", "cups"):
        (tmp_path / kind).mkdir()
        for name, format in formats.items():
            (tmp_path / kind / name).write_bytes(jpeg(format=format))
    catalog = read_folder(tmp_path)
    assert len(catalog) == 2 * len(formats)
    assert all(catalog.pixels(i).shape == (8, 6, 3) for i in catalog)


def test_what_is_passed_over_is_counted(tmp_path):
    class_folder(tmp_path, "mugs/1.jpg", "mugs/2.heic", "cups/3.HEIC", "cups/readme")
    with pytest.warns(UserWarning, match=r"3 of 4 files .* 2 \.heic, 1 no suffix"):
        assert read_folder(tmp_path).ids == ["mugs/1"]


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    class_folder(tmp_path / "far", "mugs/1.jpg", "cups/1.jpg")
    here = tmp_path / "here"
    here.mkdir()
    for kind in ("mugs", "cups"):
        (here / kind).symlink_to(tmp_path / "far" / kind)
    assert kinds_of(here) == ["cups", "mugs"]
    (tmp_path / "far" / "mugs" / "again").symlink_to(tmp_path / "far" / "mugs")
    (tmp_path / "far" / "mugs" / "all").symlink_to(here)
    (tmp_path / "far" / "mugs" / "gone").symlink_to(tmp_path / "nowhere")
    assert len(read_folder(here)) <= 4
    assert read_folder(here)["mugs/1"].category == "mugs"


def test_an_archive_with_backslashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "ds.zip", "w") as z:
        for n in range(4):
            z.writestr(zipfile.ZipInfo(f"ds\\{'ab'[n % 2]}\\{n}.jpg"), jpeg())
    catalog = read_folder(tmp_path / "ds.zip")
    assert catalog.ids == ["a/0", "a/2", "b/1", "b/3"]
    assert catalog.products["category"].tolist() == ["a", "a", "b", "b"]
    assert all(catalog.image(i).size == (6, 8) for i in catalog)


@pytest.mark.parametrize("zipped", [False, True])
def test_names_with_accents_have_one_form(tmp_path, zipped):
    class_folder(tmp_path / "d", "cafe\u0301/1.jpg", "caf\u00e9s/1.jpg")
    root = tmp_path / "d"
    if zipped:
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as z:
            z.writestr("cafe\u0301/1.jpg", jpeg())
            z.writestr("caf\u00e9s/1.jpg", jpeg())
        root = tmp_path / "d.zip"
    catalog = read_folder(root)
    assert catalog.ids == ["caf\u00e9/1", "caf\u00e9s/1"]
    assert all(catalog.image(i).size == (6, 8) for i in catalog)


def test_folders_called_train_and_test_beside_others_are_asked_about(tmp_path):
    class_folder(tmp_path, "train/1.jpg", "test/1.jpg", "mugs/1.jpg")
    with pytest.warns(UserWarning, match="test and train beside others.*`sides=True`"):
        assert kinds_of(tmp_path) == ["mugs", "test", "train"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "side" not in read_folder(tmp_path, sides=False).products


# ---- tables


COLUMNS = {"id": "sku", "title": "name", "category": "kind", "price": "cost", "image": "file"}


@pytest.fixture
def place(tmp_path):
    class_folder(tmp_path, "photos/a.jpg", "photos/b.jpg")
    rows = [("007", "Mug", "7", 9.5, "photos/a.jpg"), ("7", "Cup", "007", 8, "photos/b.jpg")]
    table = pd.DataFrame(rows, columns=["sku", "name", "kind", "cost", "file"])
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    table.to_csv(tmp_path / "t.csv.gz", index=False, sep=";")
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    return tmp_path


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.jsonl"])
def test_a_table_of_any_kind(place, name):
    catalog = read_table(place / name, COLUMNS)
    assert catalog.ids == ["007", "7"]
    assert catalog.products["category"].tolist() == ["7", "007"]
    assert catalog.products["price"].tolist() == [9.5, 8]
    assert catalog.image("7").size == (6, 8)  # the pictures lie beside the table
    assert read_data(str(place / name), columns=COLUMNS).ids == catalog.ids


def test_the_pictures_of_a_table_may_lie_elsewhere(place, tmp_path_factory):
    far = tmp_path_factory.mktemp("far") / "t.csv"
    far.write_bytes((place / "t.csv").read_bytes())
    assert read_table(far, COLUMNS, root=place).image("7").size == (6, 8)
    assert read_data(far, place, COLUMNS).image("7").size == (6, 8)


def test_tables_that_are_refused(place):
    with pytest.raises(ValueError, match="`title` names column 'nom'.* it has sku, name, kind"):
        read_table(place / "t.csv", COLUMNS | {"title": "nom"})
    with pytest.raises(ValueError, match="names 'colour', which is none of id, title"):
        read_table(place / "t.csv", {"colour": "kind"})
    (place / "bad.csv").write_text("id;title\n1;Mug;red\n")
    with pytest.raises(ValueError, match="line 2: 3 fields where the header has 2"):
        read_table(place / "bad.csv")
    with gzip.open(place / "cut.jsonl.gz", "wt") as f:
        f.write('{"id": 1}\n{"id"')
    with pytest.raises(ValueError, match="line 2"):
        read_table(place / "cut.jsonl.gz")


# ---- the registry


@pytest.fixture
def registry(monkeypatch):
    "The registry, put back as it was afterwards."
    monkeypatch.setattr(readers, "READERS", dict(READERS))
    return monkeypatch


def toy(root):
    return Catalog(pd.DataFrame({"title": [str(root)]}, index=["only"]))


def test_a_reader_is_known_by_its_name(registry, tmp_path):
    register_reader("toy", toy)
    assert reader_names()[-1] == "toy"
    assert read_data("toy", root=tmp_path).products["title"].tolist() == [str(tmp_path)]
    register_reader("toy", lambda: toy("nothing"), needs_root=False)
    assert read_data("toy")["only"].title == "nothing"
    with pytest.raises(ValueError, match="`name` must be letters"):
        register_reader("a b", toy)


def test_a_reader_of_another_package_is_found_and_loaded_when_asked_for(registry):
    loaded = []

    class Entry:
        name = "far"

        def load(self):
            loaded.append(1)
            return toy

    registry.setattr(importlib.metadata, "entry_points", lambda group: [Entry()])
    assert "far" in reader_names() and not loaded
    assert read_data("far", root="x").ids == ["only"]
    assert read_data("far", root="x").ids == ["only"] and len(loaded) == 1
    assert find_reader("nearly") is None


def test_what_does_not_go_together(tmp_path):
    for call, says in [
        ({"source": "fashion"}, "'fashion' needs `root`"),
        ({"source": "demo", "root": tmp_path}, "'demo' reads no files"),
        ({"source": "fashion", "root": tmp_path, "columns": {"id": "x"}}, "knows its columns"),
        ({"source": "fasion"}, "did you mean 'fashion'"),
        ({"source": tmp_path / "nowhere"}, "that is there"),
        (
            {"source": tmp_path, "columns": {"id": "x"}},
            "`columns` go with a table .* needs neither",
        ),
        ({"source": tmp_path, "root": tmp_path}, "`root` and .* needs neither"),
        ({"source": "demo", "limit": 0}, "`limit` must be at least 1"),
    ]:
        with pytest.raises(SourceError, match=says):
            read_data(**call)


def test_whatever_is_given(tmp_path):
    demo = load_demo(8)
    assert read_data("demo", limit=8).ids == read_data(demo).ids == demo.ids
    demo.save(tmp_path / "clean")
    assert read_data(tmp_path / "clean").ids == demo.ids
    with save_folder(tmp_path / "shop", "Shop") as folder:
        demo[demo.ids[:3]].save(folder / "catalog")
    assert read_data(str(tmp_path / "shop")).ids == demo.ids[:3]  # inside something else
    with pytest.raises(ValueError, match="not a Catalog"):
        with save_folder(tmp_path / "empty", "Shop"):
            pass
        read_data(tmp_path / "empty")
    class_folder(tmp_path / "photos", "mugs/1.jpg", "cups/1.jpg", "cups/2.jpg")
    assert read_data(tmp_path / "photos").ids == ["cups/1", "cups/2", "mugs/1"]
    drawn = [read_data(tmp_path / "photos", limit=2, seed=1).ids for _ in range(2)]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 2
    assert prodrec.read_data is read_data and os.path.isdir(tmp_path)
