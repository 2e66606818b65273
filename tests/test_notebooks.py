"""That every notebook has the form of a chapter; that it runs is checked elsewhere."""

import ast
import json
import os
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT / "nbs"
PATHS = sorted(p for p in NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
CHAPTERS = [p for p in PATHS if p.name != "index.ipynb"]
COLAB = "https://colab.research.google.com"
INSTALL = r'''#| hide
#| eval: false
! [ ! -e /content ] || python -c "import prodrec" 2>/dev/null || \
    pip install -qq $(ls ../settings.ini ../../settings.ini 2>/dev/null | head -1 \
    | xargs -r dirname | grep . || echo git+https://github.com/prodrec/prodrec) || \
    echo "prodrec is not installed: clone its repository, run 'pip install .' there, then this cell"'''  # noqa: E501
MACHINE = re.compile(r"/(?:home|root|work|Users|tmp|mnt|private|var/folders)/|\b[A-Z]:\\")
by_path = {"ids": lambda p: p.relative_to(NBS).as_posix()}


def source(cell: dict) -> str:
    return "".join(cell["source"])


def cells(path: Path, kind: str = "code") -> list[dict]:
    every = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c for c in every if c["cell_type"] == kind]


def is_exported(cell: dict) -> bool:
    return bool(re.search(r"^#\|\s*exporti?\s*$", source(cell), re.MULTILINE))


def is_hidden(cell: dict) -> bool:
    return bool(re.search(r"^#\|\s*hide\s*$", source(cell), re.MULTILINE))


def parsed(cell: dict) -> list[ast.stmt]:
    "The statements of a code cell, its shell and magic lines left out."
    return ast.parse(re.sub(r"^[ \t]*[!%](.*\\\n)*.*$", "", source(cell), flags=re.MULTILINE)).body


def texts(value) -> str:
    "All text of an output, without the data of its pictures."
    if isinstance(value, dict):
        return "\n".join(texts(v) for k, v in value.items() if not k.startswith("image/"))
    return "\n".join(map(texts, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("path", PATHS, **by_path)
def test_opens_like_a_chapter(path):
    badge, install, title = json.loads(path.read_text(encoding="utf-8"))["cells"][:3]
    own = f"{COLAB}/github/prodrec/prodrec/blob/main/nbs/{path.relative_to(NBS).as_posix()}"
    assert source(badge) == f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({own})"
    assert source(install) == INSTALL
    assert re.match(r"# \S.*\n\n> \S.*[.?!]\n\n\S", source(title)), (
        "a title, a `>` subtitle, and what it is for"
    )


@pytest.mark.parametrize(
    "folder, clone, pip, expected",
    [
        ("content", None, 0, ["pip install -qq git+https://github.com/prodrec/prodrec"]),
        ("content/prodrec/nbs", "content/prodrec", 0, ["pip install -qq .."]),
        ("content/prodrec/nbs/recipes", "content/prodrec", 0, ["pip install -qq ../.."]),
        ("content", None, 1, [..., "prodrec is not installed: clone its repository"]),
        ("elsewhere", None, 0, []),
    ],
)
def test_the_install_cell_finds_the_package(tmp_path, folder, clone, pip, expected):
    """Its shell line; another folder stands for Colab's, and pip and python for real ones."""
    for name in (folder, "bin"):
        (tmp_path / name).mkdir(parents=True)
    if clone:
        (tmp_path / clone / "settings.ini").touch()
    for name, text in {"pip": f'echo "pip $*"; exit {pip}', "python": "exit 1"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    content = tmp_path / ("content" if "content" in folder else "absent")
    line = INSTALL.split("! ", 1)[1].replace("/content", str(content))
    run = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path / folder,
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = run.stdout.splitlines()
    assert len(said) == len(expected)
    assert all(e is ... or s.startswith(e) for s, e in zip(said, expected, strict=True))


@pytest.mark.parametrize("path", PATHS, **by_path)
def test_keeps_nothing_that_does_not_belong(path):
    assert path.stat().st_size <= 500_000
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    for cell in cells(path):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", texts(output)
            assert output.get("name") != "stderr", texts(output)
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {}), (
                "shows only where it is run"
            )


@pytest.mark.parametrize("path", PATHS, **by_path)
def test_names_no_place_of_one_machine(path):
    for cell in [*cells(path), *cells(path, "markdown")]:
        for text in [source(cell), texts(cell.get("outputs", []))]:
            assert not MACHINE.search(text), MACHINE.search(text)


@pytest.mark.parametrize("path", PATHS, **by_path)
def test_imports_stand_alone(path):
    for cell in cells(path):
        imports = [isinstance(s, ast.Import | ast.ImportFrom) for s in parsed(cell)]
        assert all(imports) or not any(imports), source(cell)


@pytest.mark.parametrize("path", PATHS, **by_path)
def test_links_lead_somewhere(path):
    targets = [t for c in cells(path, "markdown") for t in re.findall(r"\]\(([^)\s#]+)", source(c))]
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (path.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("path", CHAPTERS, **by_path)
def test_stands_in_the_index(path):
    links = "\n".join(source(c) for c in cells(NBS / "index.ipynb", "markdown"))
    assert f"]({path.relative_to(NBS).as_posix()})" in links


@pytest.mark.parametrize("path", CHAPTERS, **by_path)
def test_numbers_and_names_agree(path):
    module = re.findall(
        r"^#\|\s*default_exp\s+(\S+)", "\n".join(map(source, cells(path))), re.MULTILINE
    )
    if path.parent == NBS and path.stem[0].isdigit():
        assert [re.sub(r"^\d\d[a-z]*_", "", path.stem)] == module
    else:
        assert not module, "only numbered chapters are exported"


@pytest.mark.parametrize("path", CHAPTERS, **by_path)
def test_code_comes_in_pieces(path):
    exported = [c for c in cells(path) if is_exported(c)]
    for cell in exported:
        for node in [
            n for top in parsed(cell) for n in ast.walk(top) if isinstance(n, ast.FunctionDef)
        ]:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 30, f"{node.name} has {lines} lines"
    # a class cannot be cut into cells; what else is exported can
    whole = (ast.Import, ast.ImportFrom, ast.ClassDef)
    code = [c for c in exported if not any(isinstance(s, whole) for s in parsed(c))]
    assert not code or statistics.median(len(source(c).splitlines()) for c in code) <= 40


@pytest.mark.parametrize("path", CHAPTERS, **by_path)
def test_shows_what_it_asserts(path):
    if any(map(is_exported, cells(path))):
        visible = "\n".join(
            source(c) for c in cells(path) if not is_hidden(c) and not is_exported(c)
        )
        assert re.search(r"^\s*(?:test_\w+\(|assert )", visible, re.MULTILINE)
