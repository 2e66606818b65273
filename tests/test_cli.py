"""The command line as it is called: every example, exit codes, one line of error, JSON, and nothing lost."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import prodrec
from prodrec.apps import commands_watch, server
from prodrec.apps.cli import load_data, main, parser
from prodrec.apps.options import SOURCES
from prodrec.apps.workspace import Versions, Workspace
from prodrec.core import cache_dir
from prodrec.models.classifier import Classifier
from prodrec.models.training import Checkpoint


def command(*arguments, **options):
    "The command line in a process of its own."
    code = "import sys; from prodrec.apps.cli import main; sys.exit(main())"
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def exit_code(*arguments):
    with pytest.raises(SystemExit) as e:
        main(list(arguments))
    return e.value.code


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


@pytest.mark.parametrize("command, more", [("serve", []), ("recommend", ["--id", "1"])])
def test_a_folder_without_a_recommender_is_one_line(command, more, tmp_path, capsys):
    assert main([command, str(tmp_path / "nowhere"), *more]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no manifest.json" in told.err and len(told.err.splitlines()) == 1


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
    process = command("demo", "--limit", 120, "--epochs", 1, "--out", tmp_path / "out", "--seed", 2)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    assert "Traceback" not in err and "report.html" in out
    stages = ["load", "audit", "split", "train", "evaluate", "index", "recommend"]
    assert [line.split()[0] for line in err.splitlines()] == stages

    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == [] and len(page.headings) >= 6
    assert page.references and all(r.startswith("data:image/") for r in page.references)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not any(
        word in html for word in ("http://", "https://", "file:", "url(", "@import", str(tmp_path))
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
    assert list(results["stages"]) == stages

    recommender = prodrec.Recommender.load(tmp_path / "out" / "recommender")
    classifier = prodrec.ImageClassifier.load(tmp_path / "out" / "classifier")
    hits = recommender.recommend(3, id=recommender.catalog.ids[0])
    assert len(hits) == 3 and classifier.predict(recommender.catalog[hits.ids]).shape == (3,)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_an_interruption(tmp_path):
    process = command(
        "demo", "--limit", 300, "--epochs", 500, "--out", tmp_path / "out", start_new_session=True
    )
    for line in process.stderr:
        if line.startswith("train"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "prodrec: interrupted" in err and "Traceback" not in err
    assert not (tmp_path / "out" / "report.html").exists()


KINDS = ("disc", "box", "cross")


def picture(kind: str, n: int, light: float = 1.0) -> Image.Image:
    "A bright shape on a dark ground, each at another place and in another colour."
    draw = np.random.default_rng([KINDS.index(kind), n])
    pixels = np.zeros((48, 36, 3)) + draw.integers(0, 90, 3)
    y, x = np.mgrid[:48, :36]
    dy, dx = abs(y - draw.integers(18, 30)), abs(x - draw.integers(13, 23))
    inside = {
        "disc": dy**2 + dx**2 < 110,
        "box": np.maximum(dy, dx) < 9,
        "cross": np.minimum(dy, dx) < 3,
    }[kind]
    pixels[inside] = draw.integers(140, 255, 3)
    return Image.fromarray(
        (light * (pixels + draw.integers(0, 12, pixels.shape))).clip(0, 255).astype(np.uint8)
    )


def write_pictures(root: Path, numbers, light: float = 1.0) -> Path:
    for kind in KINDS:
        (root / kind).mkdir(parents=True)
        for n in numbers:
            picture(kind, n, light).save(root / kind / f"{n}.png")
    return root


def said(capsys, *call) -> dict | list:
    "What a command that works says in JSON, which is all that stands on stdout."
    capsys.readouterr()
    assert main([*map(str, call), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


TINY = ("--image-size", "12x9", "--epochs", "1")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A folder of pictures with a table of them, a model that has learned from it, and a shop with one version."
    root = tmp_path_factory.mktemp("shop")
    write_pictures(root / "pictures", range(36))
    shutil.copy(root / "pictures/disc/0.png", root / "pictures/disc/copy.png")
    rows = [
        (f"{k}/{n}", f"{k} number {n}", k, 5 + n, f"pictures/{k}/{n}.png")
        for k in KINDS
        for n in range(36)
    ]
    pd.DataFrame(rows, columns=["sku", "name", "kind", "cost", "file"]).to_csv(
        root / "products.csv", index=False
    )
    assert (
        main(["train", "--data", str(root / "pictures"), *TINY, "--out", str(root / "model")]) == 0
    )
    assert main(["index", "--model", str(root / "model"), "--out", str(root / "shop")]) == 0
    return root


@pytest.fixture
def a_shop(place, tmp_path):
    "A copy of the shop, to do something with."
    return Path(shutil.copytree(place / "shop", tmp_path / "shop"))


COLUMNS = {"id": "sku", "title": "name", "category": "kind", "price": "cost", "image": "file"}
MAP = [part for field, column in COLUMNS.items() for part in ("--map", f"{field}={column}")]


# -- naming data


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


def test_every_reader_has_a_name():
    readers = {name.removeprefix("read_") for name in prodrec.__all__ if name.startswith("read_")}
    assert set(SOURCES) == readers - {"data", "table"} | {"demo"}


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


# -- wrong calls


def written_out(call: str, place: Path, tmp_path: Path) -> list[str]:
    return [
        part.replace("PLACE", str(place)).replace("OUT", str(tmp_path / "out"))
        for part in call.split()
    ]


@pytest.mark.parametrize(
    "call, told",
    [
        ("audit", "required: --data"),
        ("audit --data nowhere.csv", "is none of demo, fashion"),
        ("audit --data PLACE/pictures --root elsewhere", "--root goes with a table"),
        ("audit --data PLACE/pictures --map title=name", "--map is about tables"),
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
        ("embed --data demo --network resnet --out OUT", "choose colours, words, or one of"),
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


# -- every command, as its help shows it


def examples(command: str) -> list[list[str]]:
    "The example calls in the help of a command, without what a shell does around them."
    text = parser()._subparsers._group_actions[0].choices[command].format_help()
    lines = [
        part.strip()
        for line in re.findall(r"^  (.*prodrec .*)$", text, re.MULTILINE)
        for part in line.split("||")
    ]
    calls = [shlex.split(line) for line in lines]
    return [call[call.index("prodrec") + 1 :] for call in calls if "prodrec" in call]


COMMANDS = list(parser()._subparsers._group_actions[0].choices)
QUICK = {
    "audit": ["--limit", "120"],
    "train": TINY,
    "tune": ["--network", "cnn", "--trials", "1", *TINY, "--space", '{"filters": [[4, 8]]}'],
    "monitor": ["--limit", "180"],
    "retrain": ["--limit", "180", "--epochs", "1"],
    "report": TINY,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_is_understood(command, capsys):
    found = examples(command)
    assert found and all(call[0] == command for call in found[:1])
    for call in found:
        parser().parse_args(call)
    assert exit_code(command, "--help") == 0 and "--json" in capsys.readouterr().out


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "serve", lambda folder, *args, **options: None)
    results = {}
    for command in COMMANDS[1:]:  # the demo has a test of its own
        call = [*examples(command)[0], *QUICK.get(command, [])]
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


def test_help_is_light(tmp_path):
    code = "import sys; from prodrec.apps.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules)"
    for call in (["--help"], ["train", "--help"], ["train"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *call], capture_output=True, text=True, cwd=tmp_path
        )
        assert not {"tensorflow", "keras", "pandas", "numpy"} & set(done.stdout.split())


# -- what the commands promise


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


@pytest.fixture
def served(monkeypatch):
    "What would be served, call by call."
    calls = []
    monkeypatch.setattr(
        server, "serve", lambda folder, *args, **options: calls.append((Path(folder).name, options))
    )
    return calls


@pytest.fixture
def scores(place, monkeypatch):
    "Lets the measurements that follow come out as it is told, and spares the training that they are not about."
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


def test_products_are_added_to_those_that_are_served(a_shop, tmp_path, scores, capsys):
    new = write_pictures(tmp_path / "new", range(36, 42))
    scores(0.5, 0.5)
    result = said(capsys, "retrain", a_shop, "--data", new, "--add")
    ids = prodrec.Recommender.load(a_shop / "0002").catalog.ids
    assert result["products"] == len(ids) == 108 + 18 and {"disc/41", "disc/1"} <= set(ids)


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
    said(
        capsys, "index", "--data", place / "pictures", "--out", tmp_path / "words"
    )  # the next version, by colours
    assert Versions(tmp_path / "words").current == "0002"


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


def test_a_folder_of_pictures_needs_no_words(place, tmp_path):
    root = str(place / "pictures")
    call = ["report", "--data", "folder", "--root", root, "--epochs", "1", "--image-size", "24x24"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
