"""The command line as it is called: exit codes, one line of error, JSON, and its own words."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import TINY, examples_of, exit_code, written_out

import prodrec
from prodrec.apps import server
from prodrec.apps.cli import in_options, in_words_of, load_data, main, parser, wrong_call


def test_help_and_version(capsys):
    assert exit_code("--version") == 0
    assert capsys.readouterr().out.strip() == f"prodrec {prodrec.__version__}"
    assert exit_code("--help") == 0
    assert "demo" in capsys.readouterr().out
    assert exit_code("demo", "--help") == 0
    out = capsys.readouterr().out
    assert all(
        option in out
        for option in ("--data", "--root", "--limit", "--seed", "--out", "--epochs", "--network")
    )


@pytest.mark.parametrize(
    "call",
    [
        "",
        "fly",
        "demo --data nothing",
        "demo --network resnet",
        "demo --root somewhere",
        "demo --data fashion",
        "demo --data demo --map title=name",
        "demo --limit 0",
        "demo --limit -3",
        "demo --limit many",
        "demo --epochs 0",
        "demo --image-size 80",
        "demo --image-size 0x60",
        "demo --image-size 80x",
        "demo --seed x",
        "demo more",
        "demo --colour red",
    ],
)
def test_wrong_calls(call, capsys):
    assert exit_code(*call.split()) == 2
    assert "usage: prodrec" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["fashion", "retail", "folder"])
def test_data_that_is_not_there(data, tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK junk")
    for name in ("nothing", "empty", "broken.zip"):
        assert (
            main(["report", "--data", data, "--out", str(out), "--root", str(tmp_path / name)]) == 1
        )
        *stages, error = capsys.readouterr().err.splitlines()
        assert error.startswith("prodrec: ") and [line.split()[0] for line in stages] == ["load"]


def test_the_module_runs_like_the_command():
    call = [sys.executable, "-m", "prodrec.apps.cli", "--version"]
    assert subprocess.run(call, capture_output=True, text=True).stdout.startswith("prodrec ")


@pytest.mark.parametrize("command, more", [("serve", []), ("recommend", ["--id", "1"])])
def test_a_folder_without_a_recommender_is_one_line(command, more, tmp_path, capsys):
    assert main([command, str(tmp_path / "nowhere"), *more]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no manifest.json" in told.err and len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    "call, told",
    [
        ("audit", "required: --data"),
        ("audit --data nowhere.csv", "is none of demo, fashion"),
        ("audit --data PLACE/pictures --root elsewhere", "needs neither"),
        ("audit --data PLACE/pictures --map title=name", "needs neither"),
        ("audit --data PLACE/products.csv --map colour=name", "one of id, title"),
        ("audit --data retail", "needs --root"),
        ("train --data demo", "required: --out"),
        ("train --data demo --network resnet --out OUT", "--network 'resnet' is unknown"),
        ("train --data demo --set layers=3 --out OUT", "this network takes"),
        ("train --data demo --set 3 --out OUT", "NAME=VALUE"),
        ("train --data demo --validation 0.5 --test 0.5 --out OUT", "leave nothing to learn from"),
        ("train --data demo --test 2 --out OUT", "share between 0 and 1"),
        ("train --data demo --out PLACE/shop", "holds a saved Versions, which is left alone"),
        ("train --data demo --out PLACE/pictures", "files that prodrec did not save"),
        ("train --data demo --out PLACE/products.csv", "is a file"),
        ("tune --data demo --network compact --space big --out OUT", "--space 'big' is unknown"),
        ("tune --data demo --network compact --space {3} --out OUT", "or JSON"),
        ("tune --data demo --out OUT", "choose one of walmart, compact"),
        ("embed --data demo --network resnet --out OUT", "choose auto, colours, words, or one of"),
        ("embed --data demo --network colours --model PLACE/model --out OUT", "give one of them"),
        ("index --out OUT", "--data is missing"),
        (
            "index --model PLACE/model --out PLACE/model",
            "holds a saved Workspace, which is left alone",
        ),
        ("recommend PLACE/shop", "give --id, --image, --text or --user"),
        ("recommend PLACE/shop --id disc/1 --where {category", "--where is no JSON"),
        ("recommend PLACE/shop --id disc/1 --where title.map.__globals__", "is no condition"),
        ("recommend PLACE/shop --id disc/1 --where shelf=1", "--where names column 'shelf'"),
        ("retrain PLACE/shop", "--data is missing"),
        ("monitor PLACE/shop", "required: --data"),
    ],
)
def test_calls_that_do_not_fit_together(call, told, place, tmp_path, capsys):
    argv = written_out(call, place, tmp_path)
    before = sorted(p for p in place.rglob("*"))
    assert exit_code(*argv) == 2
    error = capsys.readouterr().err
    assert f"usage: prodrec {argv[0]}" in error and told in error.splitlines()[-1]
    assert sorted(p for p in place.rglob("*")) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "call, told",
    [
        ("train --data PLACE/pictures --target colour --out OUT", "'colour', which is no column"),
        ("train --data PLACE/products.csv --map id=sku --out OUT", "--target names 'category'"),
        (
            "train --data PLACE/products.csv --map id=sku --map category=kind --out OUT",
            "no product is left",
        ),
        ("train --data PLACE/pictures --limit 4 --out OUT", "--validation and --test"),
        ("evaluate OUT", "no manifest.json"),
        ("evaluate PLACE/model/classifier", "holds a saved Classifier; this needs what train"),
        (
            "evaluate PLACE/shop/0001/recommender",
            "holds a saved Recommender; this needs what train",
        ),
        ("recommend PLACE/model --id disc/1", "holds a saved Workspace, not a Recommender"),
        ("recommend PLACE/shop --id sock", "'sock'"),
        ("serve PLACE/model", "holds a saved Workspace, not a Recommender"),
        ("monitor PLACE/shop --data PLACE/pictures", "nothing new"),
        ("retrain PLACE/shop --rollback", "nothing to go back to"),
        ("retrain PLACE/model --data demo", "holds no versions"),
    ],
)
def test_data_that_cannot_be_used_is_one_line(call, told, place, tmp_path, capsys):
    argv = written_out(call, place, tmp_path)
    assert main(argv) == 1
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("prodrec: ")]
    assert out == "" and len(errors) == 1 and told in errors[0] and "Traceback" not in err


QUICK = {
    "audit": ["--limit", "120"],
    "train": TINY,
    "tune": ["--network", "cnn", "--trials", "1", *TINY, "--space", '{"filters": [[4, 8]]}'],
    "monitor": ["--limit", "180"],
    "retrain": ["--limit", "180", "--epochs", "1"],
    "report": TINY,
    "worker": ["--once"],
}


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "serve", lambda folder, *args, **options: None)
    Path("new.jsonl").write_text('{"id": "new", "title": "Red mug"}\n', encoding="utf-8")
    results = {}
    for command in [*parser()._subparsers._group_actions[0].choices][
        1:
    ]:  # the demo has a test of its own
        call = [*examples_of(command)[0], *QUICK.get(command, [])]
        assert main([*call, "--json"]) == 0, capsys.readouterr().err
        results[command] = json.loads(capsys.readouterr().out)
    assert results["audit"]["clean"] < results["audit"]["products"] == 120
    assert sum(results["train"]["products"].values()) == results["audit"]["clean"]
    accuracy = results["evaluate"]["accuracy"]
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert results["evaluate"]["products"] == results["train"]["products"]["test"]
    assert (
        results["tune"]["best"] == {"filters": [4, 8]} and (tmp_path / "tuned/trials.csv").is_file()
    )
    assert (
        len(prodrec.Index.load("vectors"))
        == results["embed"]["products"]
        == results["audit"]["clean"]
    )
    assert [hit["rank"] for hit in results["recommend"]] == [1, 2, 3]
    assert results["serve"]["folder"] == str(Path("shop/0001"))
    assert (
        results["monitor"]["drift"]["products"]["new"] < 180 - 100
        and (tmp_path / "drift/drift.png").is_file()
    )
    assert (
        results["retrain"]["version"] == "0002"
        and results["retrain"]["held_out"] == results["evaluate"]["products"]
    )
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


# -- its own words


@pytest.mark.parametrize(
    "call, told",
    [
        ("traim --data demo", "did you mean train?"),
        ("train --data demo --out OUT --epoch5 5", "did you mean --epochs?"),
        ("train --data demo --out OUT --network fashion-baselin", "did you mean fashion-baseline?"),
        ("train --data demo --out OUT --network cnn --set dense=64", "must be a list"),
        ("train --data demo --out OUT --network cnn --set dropout=high", "must be a number"),
        ("train --data demo --out OUT --network cnn --set flip=2", "must be true or false"),
        ("train --data demo --out OUT --network cnn --set dropuot=0.2", "did you mean dropout?"),
        ("train --data demo --out OUT --kind hybrid --set fusoin=late", "did you mean fusion?"),
        ("train --data demo --out OUT --kind text --network lstn", "did you mean lstm?"),
        ("train --data demo --out OUT --set optimizer=adamm", "--set optimizer"),
        ("tune --data demo --out OUT --network cnn --set dense=64", "must be a list"),
        ("embed --data demo --out OUT --network mobilnetv2", "did you mean mobilenetv2?"),
        ("monitor PLACE/shop --data demo --window weekly", "give e.g. 12h, 7D or 30D"),
        ("recommend PLACE/shop --id disc/1 --where prize=3", "--where names column"),
        ("train --data PLACE/pictures --first-step --out OUT", "holds no paths"),
        ("train --data demo --out PLACE/model", "--force to replace it"),
        ("report --data demo --out PLACE/model", "--force to replace it"),
    ],
)
def test_a_wrong_value_is_answered_in_the_words_of_the_command_line(
    call, told, place, tmp_path, capsys
):
    assert exit_code(*written_out(call, place, tmp_path)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert told in error and "`" not in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_arguments_are_options():
    options = {"target": "--target", "fusion": "--set fusion"}
    assert in_options('give `fusion="late"`', {}, True) == "give --set fusion=late"
    assert in_options('give `fusion="late"`', options, True) == "give --set fusion=late"
    own = '--set dropout="high" must be a number'
    assert in_options(own, {"dropout": "--set dropout"}, True) == own  # it is in these words
    assert in_options("`target` is wrong", options) == "--target is wrong"
    assert in_options("call `fit` first", options) == "call `fit` first"


def test_errors_name_the_options_of_the_command_that_was_called():
    args = parser().parse_args(["recommend", "shop", "--id", "1"])
    assert in_words_of("`min_score` must be at most 1", args) == "--min-score must be at most 1"
    assert in_words_of("`k` must be positive", args) == "-k must be positive"
    args = parser().parse_args(["train", "--data", "d", "--set", "dropout=2", "--out", "o"])
    assert in_words_of("`dropout` must be below 1", args) == "--set dropout must be below 1"
    assert in_words_of("`sizes` leave nothing", args) == "--validation and --test leave nothing"


def test_a_table_as_excel_writes_it_in_europe(tmp_path, capsys):
    table, out = tmp_path / "shop.csv", str(tmp_path / "clean")
    rows = "sku;name;price;weight\nA1;Küchentisch;1.249,50;0,75\nA2;Bürostuhl;89,00;12,5\n"
    table.write_bytes(rows.encode("cp1252"))
    call = ["audit", "--data", str(table), "--map", "id=sku", "--map", "title=name", "--out", out]
    assert main(call) == 1
    assert capsys.readouterr().err.rstrip().endswith("America give --read encoding=cp1252")
    call += ["--read", "encoding=cp1252"]
    assert main(call) == 1
    told = capsys.readouterr().err.rstrip()
    assert told.endswith(
        "line 2 of '" + str(table) + "', is '1.249,50': give --read decimal=, --read thousands=."
    )
    assert main([*call, "--read", "decimal=,", "--read", "thousands=."]) == 0
    found = load_data(out).products
    assert found.price.tolist() == [1249.5, 89] and found.weight.tolist() == [0.75, 12.5]
    assert found.title.tolist() == ["Küchentisch", "Bürostuhl"]
    assert exit_code("audit", "--data", "demo", "--read", "decimal=,", "--out", out) == 2
    assert "leave out --read" in capsys.readouterr().err
    assert main([*call, "--read", "sep=,"]) == 1
    assert "give --read 'sep=;'" in capsys.readouterr().err


def test_warnings_are_lines_without_a_place_in_the_program(monkeypatch, capsys):
    import warnings

    from prodrec.apps import commands

    def audit_data(args):
        warnings.warn("three pictures are blank", stacklevel=2)
        warnings.warn("an old name", DeprecationWarning, stacklevel=2)
        return commands.Answer({}, "done")

    monkeypatch.setattr(commands, "audit_data", audit_data)
    assert main(["audit", "--data", "demo"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("done\n", "note       three pictures are blank\n")


def test_a_wrong_call_is_an_error_of_the_parser():
    assert isinstance(wrong_call("no"), argparse.ArgumentError)
