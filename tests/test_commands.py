"""The demo, the report and the audit: what they write, and what they check before it takes time."""

import json
import os
import shutil
import signal
from html import escape
from html.parser import HTMLParser

import pandas as pd
import pytest
from terminal import COLUMNS, MAP, TINY, command, exit_code, said

import prodrec
from prodrec.apps import commands
from prodrec.apps.cli import load_data, main
from prodrec.apps.workspace import Workspace
from prodrec.models.probe import usable_parts, without_downloads


def test_one_way_to_name_data(place, tmp_path):
    table = pd.read_csv(place / "products.csv")
    table.to_csv(place / "other.csv", sep=";", index=False)
    table.to_parquet(place / "products.parquet")
    named = [
        load_data(str(place / f), columns=COLUMNS)
        for f in ("products.csv", "other.csv", "products.parquet")
    ]
    shutil.move(shutil.copy(place / "products.csv", tmp_path), tmp_path / "far.csv")
    named.append(
        load_data(str(tmp_path / "far.csv"), str(place), columns=COLUMNS)
    )  # the pictures are elsewhere
    for catalog in named:
        assert len(catalog) == 108 and catalog.products.loc[
            "box/3", ["title", "price"]
        ].tolist() == ["box number 3", 8]
        assert catalog.pixels("box/3").shape == (48, 36, 3)
    zipped = shutil.make_archive(str(tmp_path / "pictures"), "zip", place / "pictures")
    assert load_data(zipped).ids == load_data(str(place / "pictures")).ids
    named[0].save(tmp_path / "saved")
    assert load_data(str(tmp_path / "saved")).ids == named[0].ids
    sample = [load_data(str(place / "products.csv"), None, 10, 3, COLUMNS).ids for _ in range(2)]
    assert sample[0] == sample[1] and len(sample[0]) == 10
    assert load_data(str(place / "model")).ids == Workspace.load(place / "model").catalog.ids


@pytest.mark.parametrize(
    "call",
    [
        ["--map", "title=label"],
        ["--map", "image=photo"],
        ["--map", "id=code"],
        ["--map", "title=name"],
    ],
)
def test_a_mapping_names_columns_that_are_there(call, place, capsys):
    assert main(["audit", "--data", str(place / "products.csv"), *call]) == 1
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("prodrec: `") and "it has sku, name, kind, cost, file" in error


class Page(HTMLParser):
    "What a page refers to, and whether its elements are closed."

    EMPTY = {"meta", "img", "br", "link", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.references, self.open, self.headings, self.tags, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            v
            for name, v in attributes
            if name in ("src", "href", "srcset", "data", "action", "poster")
        ]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def test_the_demo(tmp_path):
    call = ["demo", "--limit", 120, "--minutes", 0.05, "--out", tmp_path / "out", "--seed", 2]
    process = command(*call)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    assert "Traceback" not in err and "report.html" in out
    stages = ["load", "audit", "split", "train", "evaluate", "index", "recommend"]
    told = err.splitlines()
    assert [line.split()[0] for line in told if not line.startswith(" ")] == stages
    with without_downloads():  # without weights there is one candidate, a network from nothing
        how = "was chosen among" if usable_parts() else "was chosen as the only candidate"
    assert any(how in line for line in told)  # and why

    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == [] and len(page.headings) >= 6
    assert page.references and all(r.startswith(("data:image/", "#")) for r in page.references)
    assert not {"link", "iframe"} & set(page.tags)
    html = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not any(
        word in html for word in ("http://", "https://", "file:/", "url(", "@import", str(tmp_path))
    )

    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {"seed", "versions", "products", "network", "figures", "audit", "stages"} <= set(results)
    assert results["seed"] == 2 and results["versions"]["prodrec"] == prodrec.__version__
    assert (
        set(results["products"]) == {"train", "validation", "test"}
        and sum(results["products"].values()) <= 120
    )
    for name, row in results["figures"].items():
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1, name
        assert name in "".join(page.text)
    assert {"accuracy", "macro-F1", "precision@5, random"} <= set(results["figures"])
    assert escape(results["chosen"], quote=True) in html and "What was tried" in page.headings
    assert list(results["stages"]) == stages

    recommender = prodrec.Recommender.load(tmp_path / "out" / "recommender")
    classifier = prodrec.ImageClassifier.load(tmp_path / "out" / "classifier")
    hits = recommender.recommend(3, id=recommender.catalog.ids[0])
    assert len(hits) == 3 and classifier.predict(recommender.catalog[hits.ids]).shape == (3,)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_an_interruption(tmp_path):
    call = ["demo", "--limit", 300, "--network", "fashion-baseline", "--epochs", 500]
    process = command(*call, "--out", tmp_path / "out", start_new_session=True)
    try:
        for line in process.stderr:
            if line.startswith("train"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()  # where it did not end, it would go on beside the other tests
    assert process.returncode == 130 and "prodrec: interrupted" in err and "Traceback" not in err
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_folder_of_pictures_needs_no_words(place, tmp_path):
    root = str(place / "pictures")
    call = ["report", "--data", "folder", "--root", root, *TINY]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").is_file()


# -- what is there already


def test_a_finished_model_is_replaced_only_by_force(place, tmp_path, capsys):
    data = ["--data", str(place / "pictures"), *TINY, "--out", str(tmp_path / "out")]
    assert main(["report", *data]) == 0
    page = (tmp_path / "out" / "report.html").read_bytes()
    assert (
        exit_code("report", *data) == 2 and exit_code("demo", "--out", str(tmp_path / "out")) == 2
    )
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.html").read_bytes() == page
    assert main(["report", *data, "--force", "--seed", "1"]) == 0
    assert (tmp_path / "out" / "report.html").read_bytes() != page


def test_a_demo_may_be_repeated_and_is_a_workspace(tmp_path, capsys):
    call = ["demo", "--limit", "100", *TINY, "--out", str(tmp_path / "out")]
    assert main(call) == 0 and main(call) == 0
    workspace = Workspace.load(tmp_path / "out")
    assert set(workspace.reports) == {"report.html", "results.json"}
    assert said(capsys, "evaluate", tmp_path / "out")["products"] == len(workspace.sides["test"])
    assert len(said(capsys, "recommend", tmp_path / "out", "--text", "cotton", "-k", "2")) == 2


def test_the_demo_of_other_data_refers_to_the_report(place, tmp_path, capsys):
    call = ["demo", "--data", str(place / "pictures"), *TINY, "--out", str(tmp_path / "out")]
    assert main(call) == 0
    assert "prodrec report --data" in capsys.readouterr().err.splitlines()[0]


def test_a_folder_that_cannot_be_written_is_found_first(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert exit_code("audit", "--data", "demo", "--out", str(tmp_path / "a" / "b")) == 2


# -- labels


@pytest.fixture
def paths(place):
    "The table of the shop with paths for labels, as --data and --map."
    table = pd.read_csv(place / "products.csv")
    table["kind"] = "Shop >> Toys >> " + table["kind"] + " >> " + table["name"]
    table["kind"] = table["kind"].str.replace("Shop >> Toys", "Toys", regex=False)
    table["kind"] = table["kind"].str.replace("Toys >> ", "", regex=False)
    file = place / "paths.csv"
    table.to_csv(file, index=False)
    yield ["--data", str(file), *MAP]
    file.unlink()


def test_a_column_of_paths_is_named_with_its_cure(paths, tmp_path, capsys):
    main(["train", *paths, *TINY, "--out", str(tmp_path / "deep")])
    note = [x for x in capsys.readouterr().err.splitlines() if x.startswith("note ")]
    assert len(note) == 1 and "--first-step keeps the first step, 3 classes" in note[0]
    assert "`" not in note[0]


@pytest.mark.parametrize("sign", [[], [">>"]])
def test_the_first_step_of_paths_is_learned(paths, sign, tmp_path, capsys):
    call = ["train", *paths, *TINY, "--out", str(tmp_path / "model"), "--first-step", *sign]
    assert main(call) == 0 and "note " not in capsys.readouterr().err
    model = Workspace.load(tmp_path / "model")
    assert model.classifier.classes_ == ["box", "cross", "disc"]
    assert model.catalog.products["category_path"].str.contains(" >> ").all()
    result = said(capsys, "evaluate", tmp_path / "model", *paths)
    assert result["products"] == len(model.sides["test"])


def test_a_target_that_is_not_there_is_found_before_the_audit(place, tmp_path, capsys):
    call = ["train", "--data", str(place / "pictures"), "--target", "categroy"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "did you mean 'category'" in told and "audit" not in told


def test_settings_are_compared_with_what_stands_there():
    commands.check_settings([("dense", [64]), ("weights", "none")], {"dense": (), "weights": None})
    for wrong in (("dense", 64), ("dense", "64"), ("other", 1)):
        with pytest.raises(commands.argparse.ArgumentError):
            commands.check_settings([wrong], {"dense": (128,)})
