"""Recommenders from a terminal: made, found by every load, asked, served."""

import pytest
from terminal import MAP, said

import prodrec
from prodrec.apps.cli import main
from prodrec.apps.workspace import Versions


def test_what_was_indexed_without_a_model_is_served_and_not_retrained(
    place, tmp_path, served, capsys
):
    by_words = ["--network", "words", "--out", tmp_path / "words"]
    said(capsys, "index", "--data", place / "products.csv", *MAP, *by_words)
    hits = said(capsys, "recommend", tmp_path / "words", "--text", "box number", "-k", "4")
    assert [hit["category"] for hit in hits] == ["box"] * 4
    assert main(["serve", str(tmp_path / "words")]) == 0 and served[0][0] == "0001"
    assert main(["retrain", str(tmp_path / "words"), "--data", str(place / "pictures")]) == 1
    assert "was indexed without --model" in capsys.readouterr().err
    again = ["--report", "--out", tmp_path / "words"]
    said(capsys, "index", "--data", place / "pictures", *again)  # the next version, by colours
    assert Versions(tmp_path / "words").current == "0002"
    page = (tmp_path / "words" / "0002" / "report.html").read_text(encoding="utf-8")
    assert 'class="map"' in page and not (tmp_path / "words" / "0001" / "report.html").exists()


@pytest.mark.parametrize("where", ["shop", "shop/0001"])
def test_what_the_commands_save_every_load_finds(where, place):
    from prodrec.models.classifier import Classifier

    ids = prodrec.Recommender.load(place / where).catalog.ids
    assert set(prodrec.Catalog.load(place / where).ids) >= set(ids)
    classes = prodrec.ImageClassifier.load(place / where).classes_
    assert Classifier.load(place / where).classes_ == classes == ["box", "cross", "disc"]


def test_a_model_is_found_too(place, tmp_path, capsys):
    assert prodrec.ImageClassifier.load(place / "model").classes_ == ["box", "cross", "disc"]
    assert "disc/1" in prodrec.Catalog.load(place / "model")
    audited = said(capsys, "audit", "--data", place / "pictures", "--out", tmp_path / "clean")
    assert len(prodrec.Catalog.load(tmp_path / "clean")) == audited["clean"]


def test_a_version_holds_products_once_and_no_folder_beside(place):
    made = sorted(p.name for p in (place / "shop").iterdir() if p.is_dir())
    assert made == ["0001"] and not (place / "shop" / "0001" / "catalog").exists()


@pytest.mark.parametrize("images", [True, False])
def test_pictures_are_packed_if_asked(images, place, tmp_path, capsys):
    option = "--images" if images else "--no-images"
    out = tmp_path / "shop"
    said(capsys, "index", "--data", place / "pictures", "--out", out, option)
    assert bool(list(out.rglob("images.zip"))) is images
    assert prodrec.Recommender.load(out).catalog.pixels("disc/1").shape == (48, 36, 3)


def test_the_folder_of_a_container_is_served_as_it_is(a_shop, served, monkeypatch):
    monkeypatch.chdir(a_shop)  # as /data
    assert main(["serve", "."]) == 0
    assert served == [
        ("0001", {"database": f"sqlite:///{a_shop / 'shop.sqlite'}", "api_key": None})
    ]


def test_one_network_of_both_needs_late_fusion(place, tmp_path, capsys):
    both = ["--kind", "hybrid", "--text-network", "lstm", "--epochs", "1", "--image-size", "12x9"]
    table = ["--data", place / "products.csv", *MAP]
    said(capsys, "train", *table, *both, "--out", tmp_path / "both")
    with pytest.raises(SystemExit):
        main(["index", "--model", str(tmp_path / "both"), "--out", str(tmp_path / "shop")])
    assert "train it with --set fusion=late" in capsys.readouterr().err
