"""README.md is `nbs/index.ipynb` as it was last run: its text, its code and its stored outputs.

`python .ci/readme.py` writes it and the pictures it shows; with `--check` it only says whether they
are up to date.
"""

import base64
import json
import posixpath
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / "nbs" / "index.ipynb"
PICTURES = "nbs/images/index"  # index-1.png, index-2.jpeg, …
HEAD = "<!-- written from nbs/index.ipynb by `make readme`: edit that one -->\n"
DIRECTIVE = re.compile(r"^#\|.*\n?", re.MULTILINE)


class Readme:
    """The text of README.md and the pictures it shows, collected cell by cell."""

    def __init__(self, cells: list[dict]):
        self.parts, self.pictures = [HEAD], {}
        for cell in cells:
            source = "".join(cell["source"])
            if re.search(r"^#\|\s*hide\s*$", source, re.MULTILINE):
                continue
            if cell["cell_type"] == "markdown":
                self.parts.append(relink(source))
            elif cell["cell_type"] == "code":
                if not re.search(r"^#\|\s*echo:\s*false", source, re.MULTILINE):
                    self.parts.append(fence(DIRECTIVE.sub("", source), "python"))
                self.parts += map(self.output, cell["outputs"])
        self.text = "\n\n".join(part.strip("\n") for part in self.parts if part.strip()) + "\n"

    def output(self, output: dict) -> str:
        "One stored output as Markdown."
        if output["output_type"] == "stream":
            return fence("".join(output["text"]))
        data = {
            kind: "".join(value)
            for kind, value in output.get("data", {}).items()
            if isinstance(value, str | list)
        }
        if "text/markdown" in data:
            return relink(data["text/markdown"])
        for kind in ("image/png", "image/jpeg"):
            if kind in data:
                return f"![]({self.picture(kind.split('/')[1], data[kind])})"
        if "text/html" in data:
            return self.html(data["text/html"])
        return fence(data.get("text/plain", ""))

    def html(self, text: str) -> str:
        """HTML as GitHub shows it: without styles, and with its pictures in files, since it drops
        both.
        """
        text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)
        text = re.sub(
            r"data:image/(\w+);base64,([\w+/=]+)", lambda m: self.picture(*m.groups()), text
        )
        return re.sub(r"\n\s*\n", "\n", text)  # an empty line ends HTML in Markdown

    def picture(self, suffix: str, data: str) -> str:
        "Keep a picture; its path from the root."
        path = f"{PICTURES}-{len(self.pictures) + 1}.{suffix}"
        self.pictures[path] = base64.b64decode(data)
        return path


def fence(text: str, language: str = "") -> str:
    text = text.strip("\n")
    return f"```{language}\n{text}\n```" if text else ""


def relink(text: str) -> str:
    "Markdown whose relative links start from the root instead of `nbs/`."

    def from_root(match):
        target = match[1]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        return f"]({posixpath.normpath(posixpath.join('nbs', target))})"

    return re.sub(r"\]\(([^)\s]+)\)", from_root, text)


def main(check: bool):
    readme = Readme(json.loads(INDEX.read_text(encoding="utf-8"))["cells"])
    wanted = {"README.md": readme.text.encode()} | readme.pictures
    there = {p.relative_to(ROOT).as_posix() for p in ROOT.glob(f"{PICTURES}-*")}
    stale = [
        path
        for path, data in wanted.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_bytes() != data
    ]
    stale += sorted(there - set(wanted))
    if check and stale:
        sys.exit(
            f"not what nbs/index.ipynb says: {', '.join(stale)}. Run `make readme` and commit."
        )
    for path in stale:
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_bytes(wanted[path]) if path in wanted else (ROOT / path).unlink()


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
