"""Build the documentation site from the notebooks: `python .ci/docs.py [FOLDER [NOTEBOOK...]]`, by
default into `_docs`, of all notebooks.

The pages are the notebooks as they are stored; nothing is run and nothing is fetched. Formulas
become MathML, which browsers draw by themselves.
"""

import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "Basics": r"0\d",
    "Data": r"1\d",
    "Models": r"2\d",
    "Recommendation": r"3\d",
    "Applications": r"4\d",
    "Recipes": r"recipes/",
    "Benchmarks": r"benchmarks/",
}
REPOSITORY = "https://github.com/prodrec/prodrec/blob/main"
STYLE = ".md-grid {max-width: 76rem} .jp-InputPrompt, .jp-OutputPrompt {display: none}"
FORMULA = re.compile(
    r"(`[^`]*`)|\$\$(.+?)\$\$|(?<![\w\\$])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])", re.DOTALL
)


def formulas(text: str) -> str:
    "Return Markdown with its LaTeX formulas as MathML; code stays as it is."

    def as_mathml(match: re.Match) -> str:
        code, block, inline = match.groups()
        if code:
            return code
        return convert(block or inline, display="block" if block else "inline")

    parts = re.split(r"(```.*?```)", text, flags=re.DOTALL)
    return "".join(p if p.startswith("```") else FORMULA.sub(as_mathml, p) for p in parts)


def relink(text: str, name: Path) -> str:
    """Return Markdown whose links to notebooks lead to pages, and those out of `nbs` to the
    repository.
    """

    def as_page(match: re.Match) -> str:
        target, _, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", target) or not target:
            return match[0]
        place = posixpath.normpath(posixpath.join("nbs", name.parent.as_posix(), target))
        if not place.startswith("nbs/"):
            return f"]({REPOSITORY}/{place})"
        target = re.sub(r"\.ipynb$", ".html", target)
        return f"]({target}{'#' + anchor if anchor else ''})"

    return re.sub(r"\]\(([^)\s]+)\)", as_page, text)


def title(notebook: dict, path: Path) -> str:
    "Return the first heading of a notebook, its name where there is none."
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and (
            found := re.search(r"^# (.+)$", "".join(cell["source"]), re.M)
        ):
            return found[1].strip()
    return path.stem


def prepare(notebook: dict, name: Path) -> dict:
    """Return a notebook as a reader wants it: no hidden cells, no directives, no badge, formulas
    drawn.
    """
    kept = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if re.search(r"^#\|\s*hide\b", source, re.M) or source.startswith("#| default_exp"):
            continue
        if cell["cell_type"] == "markdown":
            source = re.sub(r"^\[!\[Open in Colab\].*\n*", "", source)
            source = formulas(relink(source, name))
        else:
            if re.search(r"^#\|\s*echo:\s*false", source, re.M):
                source = ""
            source = re.sub(r"^#\|.*\n?", "", source, flags=re.M)
        if source.strip() or cell.get("outputs"):
            kept.append(cell | {"source": source})
    return notebook | {"cells": kept}


def notebooks() -> list[Path]:
    "Return the paths of all notebooks."
    found = sorted(p.relative_to(ROOT / "nbs") for p in (ROOT / "nbs").rglob("*.ipynb"))
    return [name for name in found if not any(part[0] in "._" for part in name.parts)]


def pages(folder: Path, names: list[Path]) -> list[tuple[str, str]]:
    "Write these notebooks below `folder`; return (path, title) of each."
    found = []
    for name in names:
        path = ROOT / "nbs" / name
        notebook = json.loads(path.read_text(encoding="utf-8"))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(prepare(notebook, name)), encoding="utf-8")
        found.append((name.as_posix(), title(notebook, path)))
    return found


def navigation(found: list[tuple[str, str]]) -> list:
    "Return the tree of the menu: home, the rooms, the results."
    nav = [
        {name: path}
        for name, path in (("prodrec", "index.ipynb"), ("Results", "results.ipynb"))
        if (ROOT / "nbs" / path).exists()
    ]
    for room, pattern in ROOMS.items():
        if rows := [{name: path} for path, name in found if re.match(pattern, path)]:
            nav.append({room: rows})
    taken = {path for path, _ in found if any(re.match(p, path) for p in ROOMS.values())} | {
        "index.ipynb",
        "results.ipynb",
    }
    return nav + [{name: path} for path, name in found if path not in taken]


def build(out: Path, names: list[Path] | None = None):
    """Build the site in a temporary folder and put it into `out`.

    With `names` only of these notebooks; links to others still have to lead to one.
    """
    everything = notebooks()
    with tempfile.TemporaryDirectory() as tmp:
        docs = Path(tmp, "docs")
        found = pages(docs, names or everything)
        shutil.copytree(ROOT / "nbs" / "images", docs / "images", dirs_exist_ok=True)
        (docs / "wide.css").write_text(STYLE, encoding="utf-8")
        config = {
            "site_name": "prodrec",
            "site_description": "Product classification and recommendation from pictures and text",
            "use_directory_urls": False,
            "theme": {
                "name": "material",
                "font": False,  # nothing is fetched from elsewhere
                "features": [
                    "navigation.tabs",
                    "navigation.top",
                    "toc.follow",
                    "content.code.copy",
                ],
                "palette": [
                    {"media": f"(prefers-color-scheme: {scheme})", "scheme": colours}
                    for scheme, colours in (("light", "default"), ("dark", "slate"))
                ],
            },
            "plugins": [
                "search",
                {"mkdocs-jupyter": {"execute": False, "include_requirejs": False}},
            ],
            "extra_css": ["wide.css"],
            "nav": navigation(found),
        }
        Path(tmp, "mkdocs.yml").write_text(
            yaml.safe_dump(config, sort_keys=False), encoding="utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--quiet",
            "--site-dir",
            str(Path(tmp, "site")),
        ]
        quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        subprocess.run(command, cwd=tmp, check=True, env=quiet)
        check(Path(tmp, "site"), {name.with_suffix(".html").as_posix() for name in everything})
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(tmp, "site"), out)
    print(f"{len(found)} pages in {out}")


def check(site: Path, known: set[str]):
    """Raise `SystemExit` where a page links to one that is not there, or loads something from
    elsewhere.
    """
    wrong = []
    for page in set(site.rglob("*.html")) - {site / "404.html"}:
        text = page.read_text(encoding="utf-8")
        wrong += [
            f"{page.name} loads {url}"
            for url in re.findall(r"<(?:script|img)[^>]* src=\"(https?:[^\"]+)", text)
        ]
        wrong += [
            f"{page.name} loads {url}"
            for url in re.findall(r"<link[^>]* href=\"(https?:[^\"]+)\"[^>]*stylesheet", text)
        ]
        for link in re.findall(r"href=\"([^\"#?:]+\.(?:html|ipynb))[#\"]", text):
            there = posixpath.normpath(page.relative_to(site).parent.joinpath(link).as_posix())
            if there not in known and not (site / there).exists():
                wrong.append(f"{page.name} links to {link}")
    if wrong:
        sys.exit("\n".join(sorted(set(wrong))))


if __name__ == "__main__":
    folder, *names = sys.argv[1:] or [str(ROOT / "_docs")]
    build(Path(folder).absolute(), [Path(name) for name in names])
