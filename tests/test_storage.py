"""Saved tables of products and their pictures, which move, disappear, or go along."""

import os
import shutil
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from builders import encoded, pixels

from prodrec.core import load_folder, save_folder
from prodrec.data import storage
from prodrec.data.catalog import Catalog
from prodrec.data.storage import find_home, home_of, missing_files, to_pack


@pytest.fixture
def place(tmp_path):
    "A folder with two pictures, and an archive with the same."
    (tmp_path / "photos/a").mkdir(parents=True)
    for n in range(2):
        (tmp_path / f"photos/a/{n}.png").write_bytes(encoded(pixels(seed=n)))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as z:
        for n in range(2):
            z.writestr(f"a/{n}.png", encoded(pixels(seed=n)))
    return tmp_path


def shop(root, **columns):
    table = pd.DataFrame({"image": ["a/0.png", "a/1.png"]} | columns, index=["p", "q"])
    return Catalog(table, images=root)


def quietly(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Catalog.load(path, **options)


@pytest.mark.parametrize("kind", ["photos", "photos.zip"])
def test_pictures_that_moved_are_found_with_root(place, kind):
    shop(place / kind).save(place / "saved", images=False)
    assert not (place / "saved/images.zip").exists()
    assert quietly(place / "saved").open("q") == encoded(pixels(seed=1))
    (place / "new").mkdir()
    shutil.move(place / kind, place / "new" / kind)
    with pytest.warns(UserWarning, match="2 of 2 pictures are missing, e.g. .*`root=`"):
        lost = Catalog.load(place / "saved")
    assert "2 of 2 pictures" in lost.note and "2 of 2 pictures" in lost._repr_html_()
    assert quietly(place / "saved", root=place / "new" / kind).open("q") == encoded(pixels(seed=1))
    with pytest.raises(FileNotFoundError, match="neither a folder nor a zip archive"):
        Catalog.load(place / "saved", root=place / "nowhere")


def test_root_may_be_some_folders_above_or_an_archive_of_the_same(place):
    shop(place / "photos").save(place / "saved", images=False)
    (place / "new").mkdir()
    shutil.move(place / "photos", place / "new/photos")
    for root in ("new", "new/photos", "new/photos/a"):
        assert quietly(place / "saved", root=place / root).image("p").size == (30, 20), root
    with zipfile.ZipFile(place / "flat.zip", "w") as z:
        z.writestr("0.png", encoded(pixels()))
        z.writestr("1.png", encoded(pixels()))
    assert quietly(place / "saved", root=place / "flat.zip").image("p").size == (30, 20)


@pytest.mark.parametrize("kind", ["photos", "photos.zip"])
def test_a_catalogue_and_its_pictures_may_move_together(place, tmp_path_factory, kind):
    shop(place / kind).save(place / "saved", images=False)
    new = tmp_path_factory.mktemp("new") / "there"
    shutil.move(place, new)
    assert quietly(new / "saved").open("q") == encoded(pixels(seed=1))


def test_small_catalogues_pack_their_pictures(place, monkeypatch):
    catalog = shop(place / "photos")
    catalog.save(place / "small")
    monkeypatch.setattr(storage, "PACK_BELOW", 100)
    catalog.save(place / "large")
    catalog.save(place / "forced", images=True)
    shutil.rmtree(place / "photos")
    for name in ("small", "forced"):
        assert quietly(place / name).open("p") == encoded(pixels(seed=0))
    assert not (place / "large/images.zip").exists()


def test_pictures_in_a_saved_folder_go_along(place):
    shop(place / "photos").save(place / "first", images=True)
    for images in (None, False):
        Catalog.load(place / "first").save(place / "second", images=images)
        assert quietly(place / "second").products["image"]["p"].startswith(str(place / "second"))
    Catalog.load(place / "first").save(place / "first", images=False)  # onto itself
    assert quietly(place / "first").open("q") == encoded(pixels(seed=1))


def test_several_pictures_of_a_product_move_along(place):
    lists = shop(place / "photos", image=['["a/0.png", "a/1.png"]', "a/1.png"])
    assert lists.products["more_images"]["p"] == str(place / "photos/a/1.png")
    lists.save(place / "saved", images=False)
    shutil.move(place / "photos", place / "new")
    again = quietly(place / "saved", root=place / "new")
    assert again.products["more_images"]["p"] == str(place / "new/a/1.png")
    assert pd.isna(again.products["more_images"]["q"])


def test_what_was_missing_from_the_start_is_no_news(place):
    catalog = shop(place / "photos", image=["a/0.png", "gone.png"])
    catalog.save(place / "saved", images=False)
    assert quietly(place / "saved").note == ""


def test_urls_bytes_and_paths_in_one_catalogue(place):
    images = [encoded(pixels()), "https://x.example/1.jpg", str(place / "photos/a/0.png"), None]
    catalog = Catalog(pd.DataFrame({"image": images}, index=list("abcd")))
    for options in ({}, {"images": False}):
        catalog.save(place / "saved", **options)
        again = quietly(place / "saved")
        assert again.open("a") == images[0] and again.open("c") == encoded(pixels(seed=0))
        assert again.products["image"]["b"] == images[1] and again["d"].image is None


def test_a_catalogue_of_version_0_1_is_read(place):
    "Its state lay in the manifest itself, and its paths were absolute or members of images.zip."
    refs = ["00000000", str(place / "photos/a/1.png"), "https://x.example/1.jpg", None]
    with save_folder(place / "old", "Catalog", n=4) as folder:
        with zipfile.ZipFile(folder / "images.zip", "w") as z:
            z.writestr("00000000", encoded(pixels(seed=7)))
        table = pd.DataFrame({"title": list("wxyz"), "category": [7.0, None, 8, 9], "image": refs})
        table.set_axis(pd.Index(list("abcd"), name="id")).to_parquet(folder / "products.parquet")
    manifest = (place / "old/manifest.json").read_text()
    (place / "old/manifest.json").write_text(manifest.replace('"format": 2', '"format": 1'))
    again = quietly(place / "old")
    assert again.open("a") == encoded(pixels(seed=7)) and again.open("b") == encoded(pixels(seed=1))
    assert again["a"].category == "7" and again["d"].image is None


def test_load_finds_a_catalogue_inside_something_else(place):
    with save_folder(place / "shop", "Shop") as folder:
        shop(place / "photos").save(folder / "catalog", images=False)
    assert quietly(place / "shop").open("q") == encoded(pixels(seed=1))
    with pytest.raises(ValueError, match="a saved Catalog, not an Index"):
        load_folder(place / "shop" / "catalog", "Index")


def test_a_subclass_comes_back_as_itself(place):
    class Ours(Catalog):
        pass

    Ours(shop(place / "photos").products).save(place / "ours")
    assert type(quietly(place / "ours")) is Ours
    Catalog._classes.pop("Ours")
    with pytest.raises(ValueError, match="class 'Ours', not known here"):
        Catalog.load(place / "ours")


def test_homes():
    assert home_of(["/a/b/1.jpg", "/a/c/2.jpg", None, b"x", "https://x.example/1"]) == "/a"
    assert home_of(["/a/x.zip!/1.jpg", "/a/b/1.jpg"]) == "/a"
    assert home_of(["/a/1.jpg", "/b/1.jpg"]) is None  # the root of all is nobody's home
    assert home_of([None, "https://x.example/1"]) is None
    assert find_home([], None) is None and find_home(["a"], "/nowhere") == "/nowhere"


def test_missing_files_are_looked_for_once_a_folder(place, monkeypatch):
    refs = [str(place / f"photos/a/{n}.png") for n in range(4)]
    asked, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda p: asked.append(p) or listdir(p))
    assert missing_files(refs) == refs[2:] and len(asked) == 1
    assert missing_files([f"{place}/photos.zip!/a/{n}.png" for n in (0, 2)]) == [
        f"{place}/photos.zip!/a/2.png"
    ]
    assert missing_files([f"{place}/no.zip!/a", str(place / "no/1"), None, b"x"]) != []


def test_what_is_packed(place, monkeypatch):
    files = {"p": str(place / "photos/a/0.png"), "q": f"{place}/photos.zip!/a/1.png"}
    refs = files | {"b": b"x", "u": "https://x.example/1", "n": None}
    assert sorted(to_pack(refs, None)) == ["b", "p", "q"]
    assert to_pack(refs, False) == ["b"]
    assert sorted(to_pack(refs, True)) == ["b", "p", "q", "u"]
    monkeypatch.setattr(storage, "PACK_BELOW", 10)
    assert to_pack(refs, None) == ["b"]
    assert Path(place).is_dir()
