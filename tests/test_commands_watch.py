"""Monitoring and retraining: only what is as good is served, and there is a way back."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from terminal import KINDS, MAP, said, write_pictures

import prodrec
from prodrec.apps import commands_watch
from prodrec.apps.cli import main
from prodrec.apps.workspace import Versions, Workspace
from prodrec.models.classifier import Classifier


@pytest.fixture
def scores(place, monkeypatch):
    """Lets the measurements that follow come out as it is told, and spares the training that they
    are not about.
    """
    known = Workspace.load(place / "model").classifier
    monkeypatch.setattr(commands_watch, "fit_on", lambda *_: known)

    def come_out(*values):
        several = iter(values)
        monkeypatch.setattr(
            Classifier, "evaluate", lambda *_: SimpleNamespace(accuracy=next(several))
        )

    return come_out


def test_only_what_is_as_good_is_served_and_there_is_a_way_back(
    place, a_shop, served, scores, capsys
):
    retrain = ("retrain", a_shop, "--data", place / "pictures")
    scores(0.8, 0.7, 0.8, 0.8)
    worse = said(capsys, *retrain)
    assert (worse["swapped"], worse["score"], worse["previous_score"]) == (False, 0.7, 0.8)
    main(["serve", str(a_shop)])
    assert said(capsys, *retrain)["swapped"] is True
    main(["serve", str(a_shop)])
    assert said(capsys, "retrain", a_shop, "--rollback") == {"version": "0001", "rolled_back": True}
    main(["serve", str(a_shop)])
    assert [folder for folder, _ in served] == ["0001", "0003", "0001"]
    # whichever is served, there is one place for changes and feedback
    assert {options["database"] for _, options in served} == {f"sqlite:///{a_shop / 'shop.sqlite'}"}
    assert sorted(Versions(a_shop).to_frame().index) == ["0001", "0002", "0003"]


def test_a_retraining_that_fails_changes_nothing(place, a_shop, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = (a_shop / "versions.json").read_text()
    monkeypatch.setattr(commands_watch, "fit_on", interrupted)
    assert main(["retrain", str(a_shop), "--data", str(place / "pictures")]) == 130
    assert (a_shop / "versions.json").read_text() == before and not (a_shop / "0002").exists()
    assert capsys.readouterr().err.endswith("prodrec: interrupted\n")


def test_products_are_added_to_those_that_are_served(a_shop, tmp_path, scores, capsys):
    new = write_pictures(tmp_path / "new", range(36, 42))
    scores(0.5, 0.5)
    result = said(capsys, "retrain", a_shop, "--data", new, "--add")
    ids = prodrec.Recommender.load(a_shop / "0002").catalog.ids
    assert result["products"] == len(ids) == 108 + 18 and {"disc/41", "disc/1"} <= set(ids)


def test_the_monitor_knows_a_darker_season(place, tmp_path, capsys):
    same, dark = (
        write_pictures(tmp_path / n, range(50, 74), light)
        for n, light in (("same", 1.0), ("dark", 0.4))
    )
    call = ["monitor", str(place / "shop"), "--exit-code", "--json", "--data"]
    (tmp_path / "few.csv").write_text(
        "user,id,event,time\nu,disc/1,like,2026-01-01\nu,disc/2,like,2026-01-20\n"
    )
    assert main([*call, str(dark), "--feedback", str(tmp_path / "few.csv")]) == 3
    found = json.loads(capsys.readouterr().out)
    assert "brightness changed" in " ".join(found["reasons"]) and [
        w["good"] for w in found["quality"]
    ] == [1, 1]
    part = said(
        capsys, *call[:2], "--data", same, "--limit", "30"
    )  # too few for growth to be a reason, if it were one
    alarms = [s["signal"] for s in part["drift"]["signals"] if s["alarm"]]
    assert alarms == []


def test_words_alone_go_all_the_way(place, tmp_path, capsys):
    table = [place / "products.csv", *(part for part in MAP if part != "image=file")]
    del table[-1]  # the --map that is left
    assert said(capsys, "audit", "--data", *table)["clean"] == 108
    said(
        capsys,
        "train",
        "--data",
        *table,
        "--kind",
        "text",
        "--network",
        "tfidf",
        "--out",
        tmp_path / "model",
    )
    said(capsys, "index", "--model", tmp_path / "model", "--out", tmp_path / "shop")
    rows = [(f"n{n}", f"{KINDS[n % 3]} of another season", KINDS[n % 3]) for n in range(40)]
    pd.DataFrame(rows, columns=["id", "title", "category"]).to_csv(
        tmp_path / "new.csv", index=False
    )
    found = said(capsys, "monitor", tmp_path / "shop", "--data", tmp_path / "new.csv")
    assert "text and category, together changed" in " ".join(found["reasons"])
    assert (
        said(capsys, "retrain", tmp_path / "shop", "--data", tmp_path / "new.csv", "--add")[
            "products"
        ]
        == 148
    )
