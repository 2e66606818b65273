"""The command line as it is called: exit codes, one line of error, and a page that needs nothing else."""

import json
import os
import signal
import subprocess
import sys
from html.parser import HTMLParser

import pytest

import prodrec
from prodrec.apps.cli import main


def command(*arguments, **options):
    "The command line in a process of its own."
    code = "import sys; from prodrec.apps.cli import main; sys.exit(main())"
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


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
    assert all(option in out for option in ("--data", "--root", "--limit", "--seed", "--out", "--epochs", "--network"))


@pytest.mark.parametrize(
    "call",
    [
        "",
        "fly",
        "demo --data nothing",
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
    calls = [[], *(["--root", str(tmp_path / name)] for name in ("nothing", "empty", "broken.zip"))]
    for call in calls:
        assert main(["demo", "--data", data, "--out", str(out), *call]) == 1
        error = capsys.readouterr().err
        assert error.startswith("prodrec: ") and error.count("\n") == 1 and "Traceback" not in error


@pytest.mark.parametrize("command", ["serve", "recommend"])
def test_a_folder_without_a_recommender_is_one_line(command, tmp_path, capsys):
    assert main([command, str(tmp_path / "nowhere")]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no manifest.json" in told.err and len(told.err.splitlines()) == 1


def test_an_unknown_network_is_one_line(tmp_path, capsys):
    assert main(["demo", "--limit", "60", "--network", "resnet", "--out", str(tmp_path / "o")]) == 1
    error = capsys.readouterr().err
    assert "`network` 'resnet' is unknown" in error and error.count("\n") == 1


class Page(HTMLParser):
    "What a page refers to, and whether its elements are closed."

    EMPTY = {"meta", "img", "br", "link", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.references, self.open, self.headings, self.tags, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [
            v for name, v in attributes if name in ("src", "href", "srcset", "data", "action", "poster")
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
    assert [line.split()[0] for line in out.splitlines()[: len(stages)]] == stages

    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == [] and len(page.headings) >= 6
    assert page.references and all(r.startswith("data:image/") for r in page.references)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not any(word in html for word in ("http://", "https://", "file:", "url(", "@import", str(tmp_path)))

    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {"seed", "versions", "products", "network", "figures", "audit", "stages"} <= set(results)
    assert results["seed"] == 2 and results["versions"]["prodrec"] == prodrec.__version__
    assert set(results["products"]) == {"train", "validation", "test"} and sum(results["products"].values()) <= 120
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
    process = command("demo", "--limit", 300, "--epochs", 500, "--out", tmp_path / "out", start_new_session=True)
    for line in process.stdout:
        if line.startswith("train"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "prodrec: interrupted" in err and "Traceback" not in err
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_folder_of_pictures_needs_no_words(tmp_path):
    from PIL import Image, ImageDraw

    for kind, shape in (("disc", "ellipse"), ("box", "rectangle")):
        (tmp_path / "kinds" / kind).mkdir(parents=True)
        for n in range(20):
            picture = Image.new("RGB", (48, 48), (n * 12, 255 - n * 9, 90))
            getattr(ImageDraw.Draw(picture), shape)((8 + n % 5, 10, 30 + n % 7, 36), fill=(255 - n * 7, n * 11, 40))
            picture.save(tmp_path / "kinds" / kind / f"{n}.png")
    call = ["demo", "--data", "folder", "--root", str(tmp_path / "kinds"), "--epochs", "1", "--image-size", "24x24"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert (
        main(["demo", "--root", str(tmp_path / "kinds")]) == 1
    )  # --data was forgotten: not the demo catalogue instead
