"""The command line as tests call it, and a small shop of drawn shapes to call it on."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.apps.cli import main, parser

KINDS = ("disc", "box", "cross")
TINY = ("--network", "fashion-baseline", "--image-size", "12x9", "--epochs", "1")
COLUMNS = {"id": "sku", "title": "name", "category": "kind", "price": "cost", "image": "file"}
MAP = [part for field, column in COLUMNS.items() for part in ("--map", f"{field}={column}")]


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


def written_out(call: str, place: Path, tmp_path: Path) -> list[str]:
    return [
        part.replace("PLACE", str(place)).replace("OUT", str(tmp_path / "out"))
        for part in call.split()
    ]


def make_shop(root: Path) -> Path:
    "Make a folder of pictures with a table of them, a trained model, and a shop with one version."
    write_pictures(root / "pictures", range(36))
    (root / "pictures/disc/copy.png").write_bytes((root / "pictures/disc/0.png").read_bytes())
    rows = [
        (f"{k}/{n}", f"{k} number {n}", k, 5 + n, f"pictures/{k}/{n}.png")
        for k in KINDS
        for n in range(36)
    ]
    table = pd.DataFrame(rows, columns=["sku", "name", "kind", "cost", "file"])
    table.to_csv(root / "products.csv", index=False)
    train = ["train", "--data", str(root / "pictures"), *TINY, "--out", str(root / "model")]
    assert main(train) == 0
    assert main(["index", "--model", str(root / "model"), "--out", str(root / "shop")]) == 0
    return root


def examples_of(command: str) -> list[list[str]]:
    "The example calls in the help of a command, without what a shell does around them."
    text = parser()._subparsers._group_actions[0].choices[command].format_help()
    lines = [
        part.strip()
        for line in re.findall(r"^  (.*prodrec .*)$", text, re.MULTILINE)
        for part in line.split("||")
    ]
    calls = [shlex.split(line) for line in lines]
    return [call[call.index("prodrec") + 1 :] for call in calls if "prodrec" in call]
