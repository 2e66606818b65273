"One folder for all that belongs to a shop, and versions that survive what may happen to a folder."

import json
import multiprocessing
import os
import shutil

import pytest
from builders import shop

import prodrec
from prodrec.apps.workspace import (
    Versions,
    Workspace,
    current_folder,
    database_beside,
    open_workspace,
    united,
)
from prodrec.core import saved_kind
from prodrec.models.classifier import Classifier
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder


@pytest.fixture(scope="module")
def recommender():
    return prodrec.Recommender(image=ColorHistogram((16, 12)), text=TfidfEmbedder()).fit(shop(20))


@pytest.fixture(scope="module")
def classifier():
    products = shop(45)
    labelled = products[products.products["category"].notna() & products.products["image"].notna()]
    return prodrec.ImageClassifier("cnn", (16, 12), filters=(4,), dense=(4,)).fit(
        labelled, epochs=1
    )


@pytest.fixture(scope="module")
def model(recommender, classifier):
    ids = recommender.catalog.ids
    sides = {"train": ids[:12], "validation": ids[12:14], "test": ids[14:]}
    how = {"epochs": 1, "validation": 0.1}
    return Workspace(None, recommender, classifier, sides, how, {"notes.txt": "größer"})


# -- one layout


def test_a_workspace_comes_back_whole(model, tmp_path):
    model.save(tmp_path / "model")
    again = Workspace.load(tmp_path / "model")
    assert again.catalog.ids == model.catalog.ids and again.catalog is again.recommender.catalog
    assert (again.sides, again.how, again.reports) == (model.sides, model.how, model.reports)
    assert again.classifier.classes_ == model.classifier.classes_
    assert again.side("test").ids == model.sides["test"]
    with pytest.raises(KeyError, match="no side 'left': it has train, validation, test"):
        again.side("left")


def test_products_are_saved_once(model, classifier, tmp_path):
    model.save(tmp_path / "a")
    assert not (tmp_path / "a" / "catalog").exists()
    Workspace(model.catalog, classifier=classifier).save(tmp_path / "b")
    assert (tmp_path / "b" / "catalog").is_dir()
    Workspace(united(model.catalog, shop(3, 40)), model.recommender).save(tmp_path / "c")
    assert len(prodrec.Catalog.load(tmp_path / "c")) == 23
    assert len(prodrec.Recommender.load(tmp_path / "c").catalog) == 20


@pytest.mark.parametrize("where", ["shop", "shop/0001"])
def test_every_load_takes_every_folder_that_holds_such_a_thing(where, model, tmp_path):
    Versions(tmp_path / "shop").add(model)
    path = tmp_path / where
    assert prodrec.Recommender.load(path).catalog.ids == model.catalog.ids
    assert prodrec.Catalog.load(path).ids == model.catalog.ids
    assert type(Classifier.load(path)) is type(prodrec.ImageClassifier.load(path))
    assert open_workspace(path, "classifier").recommender is None
    assert saved_kind(current_folder(path)) == "Workspace"


def test_a_workspace_needs_products():
    with pytest.raises(ValueError, match="give the products"):
        Workspace()


def test_what_is_missing_is_said(model, recommender, tmp_path):
    Workspace(recommender=recommender).save(tmp_path / "shop")
    with pytest.raises(ValueError, match="without a classifier"):
        open_workspace(tmp_path / "shop", "classifier")
    with pytest.raises(ValueError, match="a saved Recommender, not a Workspace"):
        open_workspace(tmp_path / "shop" / "recommender")
    with pytest.raises(FileNotFoundError, match="no manifest.json"):
        open_workspace(tmp_path / "nothing")


def test_a_changed_report_is_damage(model, tmp_path):
    model.save(tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("grösser", encoding="utf-8")
    with pytest.raises(ValueError, match="notes.txt changed"):
        Workspace.load(tmp_path / "model")


def test_united_keeps_the_products_of_the_sides():
    shown, learned = shop(10, 5), shop(10)
    changed = prodrec.Catalog(shown.products.assign(title="new"))
    both = united(changed, learned)
    assert both.ids == [*shown.ids, *learned.ids[:5]]
    assert both.products.loc["007", "title"] == learned.products.loc["007", "title"]
    assert both.products.loc["012", "title"] == "new"


# -- folders of version 0.1


def as_of_old(folder, kind: str, **meta):
    "Make a saved folder say what version 0.1 wrote of it."
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["kind"], manifest["meta"] = kind, meta
    del manifest["format"]
    file.write_text(json.dumps(manifest))


def test_a_model_of_old_is_a_workspace(model, classifier, tmp_path):
    Workspace(model.catalog, None, classifier, model.sides).save(tmp_path / "model")
    as_of_old(tmp_path / "model", "Trained", how={"epochs": 3, "validation": 0.1})
    old = open_workspace(tmp_path / "model", "classifier")
    assert (old.how["epochs"], old.sides) == (3, model.sides)


def test_a_shop_of_old_finds_its_model_beside_the_version(model, recommender, classifier, tmp_path):
    versions = Versions(tmp_path / "shop")
    versions.add(recommender)
    Workspace(model.catalog, None, classifier, model.sides).save(tmp_path / "shop" / "0001-model")
    assert open_workspace(tmp_path / "shop", "classifier").sides == model.sides
    assert prodrec.Recommender.load(tmp_path / "shop").catalog.ids == recommender.catalog.ids


# -- the database


def test_there_is_one_place_for_the_database(recommender, tmp_path):
    versions = Versions(tmp_path / "shop")
    versions.add(Workspace(recommender=recommender))
    assert database_beside(tmp_path / "shop") == tmp_path / "shop" / "shop.sqlite"
    assert database_beside(tmp_path / "shop" / "0001") == tmp_path / "shop" / "0001-shop.sqlite"
    (tmp_path / "shop-shop.sqlite").touch()  # of version 0.1
    assert database_beside(tmp_path / "shop") == tmp_path / "shop-shop.sqlite"
    (tmp_path / "shop" / "shop.sqlite").touch()
    assert database_beside(tmp_path / "shop") == tmp_path / "shop" / "shop.sqlite"


def test_a_shop_can_be_moved(recommender, tmp_path):
    Versions(tmp_path / "shop").add(Workspace(recommender=recommender))
    (tmp_path / "server").mkdir()
    shutil.move(tmp_path / "shop", tmp_path / "server" / "data")
    moved = prodrec.Recommender.load(tmp_path / "server" / "data")
    assert moved.catalog.pixels("000").shape == (16, 12, 3)


# -- versions


class Thing:
    def __init__(self, value: float):
        self.value = value

    def save(self, path):
        path.mkdir()
        (path / "value").write_text(str(self.value))


def test_what_a_killed_process_left_is_not_taken_for_a_version(tmp_path):
    versions = Versions(tmp_path)
    versions.add(Thing(0.5))
    (tmp_path / "0002").mkdir()  # it was saving
    assert versions.add(Thing(0.6)) == "0003"
    with pytest.raises(KeyError, match="'0002'"):
        versions.folder("0002")


def add(path, n):
    for value in range(n):
        Versions(path).add(Thing(value), use=False)
    os._exit(0)


def test_processes_that_add_at_once_lose_nothing(tmp_path):
    fork = multiprocessing.get_context("fork").Process
    several = [fork(target=add, args=(tmp_path, 8)) for _ in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join(60)
    assert len(Versions(tmp_path)) == len(Versions(tmp_path).to_frame()) == 24


def test_a_folder_is_made_by_the_first_version(tmp_path):
    versions = Versions(tmp_path / "shop")
    assert versions.current is None and not (tmp_path / "shop").exists()
    with pytest.raises(KeyError, match="no version is in use yet"):
        versions.folder()
