"""Recommenders from a terminal: made, found by every load, asked, served."""

import json
import subprocess
import sys
import warnings
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
from terminal import MAP, TINY, said

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
    again = ["--network", "colours", "--report", "--out", tmp_path / "words"]
    said(capsys, "index", "--data", place / "pictures", *again)  # the next version
    assert Versions(tmp_path / "words").current == "0002"
    page = (tmp_path / "words" / "0002" / "report.html").read_text(encoding="utf-8")
    assert 'class="map"' in page and not (tmp_path / "words" / "0001" / "report.html").exists()


def test_a_long_answer_says_how_to_see_all_of_it(tmp_path, capsys):
    shop = str(tmp_path / "shop")
    said(capsys, "index", "--data", "demo", "--limit", "40", "--network", "words", "--out", shop)
    assert main(["recommend", shop, "--text", "cotton", "-k", "30"]) == 0
    assert "\n… and 6 more: `--json` prints all\n" in capsys.readouterr().out
    assert len(said(capsys, "recommend", shop, "--text", "cotton", "-k", "30")) == 30


def test_a_question_loads_no_more_than_it_needs(tmp_path):
    "A terminal waits for every module: what draws, learns and opens the network comes when used."
    code = "import sys, prodrec.apps.commands_shop; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    slow = {"matplotlib", "seaborn", "sklearn", "scipy.stats", "scipy.optimize", "tensorflow"}
    assert not slow & set(done.stdout.split())
    assert "prodrec.recommend.recommender" in done.stdout.split()


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
    how = ["--network", "colours", "--out", out, option]
    said(capsys, "index", "--data", place / "pictures", *how)
    assert bool(list(out.rglob("images.zip"))) is images
    assert prodrec.Recommender.load(out).catalog.pixels("disc/1").shape == (48, 36, 3)


def test_the_folder_of_a_container_is_served_as_it_is(a_shop, served, monkeypatch):
    monkeypatch.chdir(a_shop)  # as /data
    assert main(["serve", "."]) == 0
    assert served == [
        ("0001", {"database": f"sqlite:///{a_shop / 'shop.sqlite'}", "api_key": None})
    ]


def test_one_network_of_both_needs_late_fusion(place, tmp_path, capsys):
    both = ["--kind", "hybrid", "--text-network", "lstm", *TINY]
    table = ["--data", place / "products.csv", *MAP]
    said(capsys, "train", *table, *both, "--out", tmp_path / "both")
    with pytest.raises(SystemExit):
        main(["index", "--model", str(tmp_path / "both"), "--out", str(tmp_path / "shop")])
    assert "train it with --set fusion=late" in capsys.readouterr().err


def test_products_without_a_picture_are_indexed_by_their_words(tmp_path, capsys):
    table = pd.DataFrame({"id": ["a", "b", "c"], "title": ["red mug", "blue mug", "tin box"]})
    table.to_csv(tmp_path / "words.csv", index=False)
    call = ["index", "--data", tmp_path / "words.csv", "--out", tmp_path / "shop"]
    assert said(capsys, *call)["by"] == ["text"]
    hits = said(capsys, "recommend", tmp_path / "shop", "--text", "tin box", "-k", "1")
    assert [hit["id"] for hit in hits] == ["c"]


def test_nothing_said_is_the_best_backbone_with_weights(place, tmp_path, monkeypatch, capsys):
    from prodrec.recommend import embedders

    made = []
    monkeypatch.setattr(embedders, "usable_parts", lambda: ["mobilenet:0.75", "mobilenetv2"])
    monkeypatch.setattr(embedders, "ImageEmbedder", lambda name, **_: made.append(name))
    embedders.best_image_embedder()
    assert made == ["mobilenetv2"]
    monkeypatch.setattr(embedders, "usable_parts", list)
    call = ["index", "--data", place / "pictures", "--out", tmp_path / "shop", "--json"]
    assert main([*map(str, call)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["by"] == ["image"]
    assert "compared by their colours alone" in told.err


def test_a_backbone_of_an_installed_package_is_known_to_index_and_embed(
    tmp_path, monkeypatch, capsys
):
    import keras

    from prodrec.models import networks
    from prodrec.models.backbones import BACKBONES, NETWORKS, register_backbone

    def build(weights):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 3))
        return keras.Model(inputs, keras.layers.Conv2D(8, 3, strides=4)(inputs))

    def points(group):
        register = partial(register_backbone, "twig", build, dim=8, size=48)
        point = SimpleNamespace(name="twig", value="twig", load=register)
        return [point] if group == "prodrec.backbones" else []

    monkeypatch.setattr(networks, "entry_points", points)
    networks.load_plugins.cache_clear()
    data = ["--data", "demo", "--limit", "12", "--image-size", "48x40"]
    try:
        said(capsys, "index", *data, "--network", "twig", "--out", tmp_path / "shop")
        said(capsys, "embed", *data, "--network", "twig", "--out", tmp_path / "vectors")
    finally:
        networks.load_plugins.cache_clear()
        with warnings.catch_warnings():  # of pandas, whose future has no `inplace`
            warnings.simplefilter("ignore")
            BACKBONES.drop("twig", inplace=True)
        NETWORKS.pop("twig")
    hits = said(capsys, "recommend", tmp_path / "shop", "--id", "000001", "-k", "2")
    assert len(hits) == 2
