"""Training, tuning and evaluation: nothing leaks, and what is interrupted goes on."""

import json
import shutil

import pandas as pd
from terminal import KINDS, MAP, TINY, said, write_pictures

import prodrec
from prodrec.apps.cli import main
from prodrec.apps.workspace import Workspace
from prodrec.core import cache_dir
from prodrec.models.training import Checkpoint


def test_nothing_leaks_and_the_held_out_stay_held_out(place, a_shop, tmp_path, capsys):
    first = Workspace.load(place / "model")
    assert sorted(i for ids in first.sides.values() for i in ids) == sorted(first.catalog.ids)
    sides = [first.side(name) for name in ("train", "validation", "test")]
    assert not any(len(prodrec.leaks(a, b)) for a in sides for b in sides if a is not b)
    grown = write_pictures(tmp_path / "grown", range(42))
    test = first.side("test")
    copied = test.ids[0]  # what is held out comes in once more, under another name
    shutil.copy(grown / f"{copied}.png", grown / copied.split("/")[0] / "again.png")
    result = said(capsys, "retrain", a_shop, "--data", grown, "--epochs", "1")
    second = Workspace.load(a_shop / "0002")
    assert second.sides["test"] == first.sides["test"] and result["held_out"] == len(test)
    learned = second.catalog[[*second.sides["train"], *second.sides["validation"]]]
    assert len(prodrec.leaks(test, learned)) == 0 and len(learned) > len(first.sides["train"])
    assert said(capsys, "evaluate", a_shop / "0002")["products"] == len(test)


def test_only_products_that_are_new_are_measured_on(place, tmp_path, capsys):
    more = write_pictures(tmp_path / "more", range(30, 42))
    result = said(
        capsys, "evaluate", place / "model", "--data", more, "--out", tmp_path / "evaluation"
    )
    known = Workspace.load(place / "model").sides
    expected = {f"{k}/{n}" for k in KINDS for n in range(30, 42)} - {
        *known["train"],
        *known["validation"],
    }
    assert result["products"] == len(expected)
    assert (
        json.loads((tmp_path / "evaluation/report.json").read_text())["accuracy"]
        == result["accuracy"]
    )
    table = pd.read_csv(tmp_path / "evaluation/per_class.csv")
    assert (
        table.support.sum() == len(expected) and (tmp_path / "evaluation/confusion.png").is_file()
    )
    page = (tmp_path / "evaluation/report.html").read_text(encoding="utf-8")
    assert f"{len(expected)} test products" in page and 'class="matrix"' in page


def test_an_interrupted_training_goes_on(place, tmp_path, monkeypatch, capsys):
    write, written = Checkpoint.write, []

    def stop(self, *args):
        write(self, *args)
        written.append(args)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", stop)
    call = [
        "train",
        "--data",
        str(place / "pictures"),
        *TINY,
        "--epochs",
        "4",
        "--out",
        str(tmp_path / "model"),
    ]
    assert main(call) == 130 and not (tmp_path / "model").exists()
    assert said(capsys, *call)["epochs"] == 4 and len(written) == 4
    assert not list(cache_dir("training").iterdir())


def test_words_and_both(place, tmp_path, capsys):
    table = ("--data", place / "products.csv", *MAP)
    said(
        capsys, "train", *table, "--kind", "text", "--network", "tfidf", "--out", tmp_path / "words"
    )
    assert (
        said(capsys, "evaluate", tmp_path / "words")["accuracy"]["value"] == 1
    )  # the title names the kind
    both = (
        "--kind",
        "hybrid",
        "--text-network",
        "tfidf",
        "--set",
        "fusion=late",
        *TINY,
        "--out",
        tmp_path / "both",
    )
    said(capsys, "train", *table, *both)
    result = said(capsys, "index", "--model", tmp_path / "both", "--out", tmp_path / "shop")
    assert result["by"] == ["image", "text"]
    assert (
        said(capsys, "embed", *table, "--model", tmp_path / "both", "--out", tmp_path / "v")[
            "products"
        ]
        == 108
    )


def test_nothing_said_reads_what_most_products_have(place, tmp_path, capsys):
    table = ["--data", place / "products.csv", *MAP, "--minutes", "0.02"]
    result = said(capsys, "train", *table, "--out", tmp_path / "both")
    assert result["classifier"].startswith("late: auto: ") and "by log-loss" in result["chosen"]
    assert "; picture: " in result["chosen"] and "; words: tfidf" in result["chosen"]
    assert [row["candidate"] for row in result["tried"]] == ["picture", "words", "both"]
    assert said(capsys, "evaluate", tmp_path / "both")["accuracy"]["value"] > 0.8


def test_an_official_split_is_taken_as_it_is(place, tmp_path, capsys):
    table = pd.read_csv(place / "products.csv")
    names = {0: "test", 1: "val"}
    table["side"] = [names.get(n % 6, "train") for n in range(len(table))]
    table.to_csv(place / "official.csv", index=False)
    call = ["train", "--data", place / "official.csv", *MAP, *TINY]
    said(capsys, *call, "--out", tmp_path / "model")
    sides = Workspace.load(tmp_path / "model").sides
    assert set(sides["test"]) <= set(table.sku[table.side == "test"]) and len(sides["test"]) > 15
    said(capsys, *call, "--side", "", "--out", tmp_path / "drawn")
    assert set(Workspace.load(tmp_path / "drawn").sides["test"]) != set(sides["test"])
    assert main([*map(str, call), "--side", "category", "--out", str(tmp_path / "wrong")]) == 1
    assert "holds 'box'" in capsys.readouterr().err
