"""Measure how the notebooks and modules read, and fail where a limit of CONTRIBUTING.md is passed.

`python .ci/style.py` prints one table of all of it; with chapters (`33_recommend` or paths) also a
row for each of those and each single finding; `--check` exits with 1 where a limit is passed.
"""

import ast
import io
import json
import re
import statistics
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE, CELL, CLASS_CELL, CLASS, MODULE = 100, 60, 150, 250, 620
FIRST_RESULT, README = 60, range(90, 251)
RELATIVE = ("what", "who", "whose", "whether", "where", "how", "which", "that", "when")
ASSERTS = re.compile(
    r"^\s*(assert\b|test_\w+\(|with (pytest\.raises|ExceptionExpected)\b)", re.MULTILINE
)
EXPORT = re.compile(r"^#\|\s*exporti?\b", re.MULTILINE)
HIDE = re.compile(r"^#\|\s*hide\b", re.MULTILINE)


def code_lines(source: str) -> list[str]:
    "Return the lines of a cell without blank ones and nbdev's directives."
    return [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]


def parse(source: str) -> ast.Module:
    "Return the syntax tree of a cell; of one with magics an empty one."
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def only_imports(tree: ast.Module) -> bool:
    return bool(tree.body) and all(
        isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body
    )


class Chapter:
    """One notebook: its cells, and the figures that are taken of them."""

    def __init__(self, path: Path):
        self.path = path
        self.cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        self.sources = ["".join(cell["source"]) for cell in self.cells]
        self.code = [cell["cell_type"] == "code" for cell in self.cells]
        self.trees = [
            parse(s) if c else parse("") for s, c in zip(self.sources, self.code, strict=True)
        ]
        self.exported = [
            bool(c and EXPORT.search(s)) for s, c in zip(self.sources, self.code, strict=True)
        ]
        self.hidden = [bool(HIDE.search(s)) for s in self.sources]

    @property
    def is_exported(self) -> bool:
        return any("#| default_exp" in s for s in self.sources)

    def export_cells(self) -> list[tuple[int, int, bool]]:
        "Return (position, lines, holds a class) of each exported cell that is not imports alone."
        return [
            (
                n,
                len(code_lines(self.sources[n])),
                any(isinstance(x, ast.ClassDef) for x in self.trees[n].body),
            )
            for n, exported in enumerate(self.exported)
            if exported and not only_imports(self.trees[n])
        ]

    def lines_before_result(self) -> int:
        "Return the lines of code, imports aside, before the first cell that shows something."
        lines = 0
        for n, cell in enumerate(self.cells):
            if not self.code[n]:
                continue
            if cell["outputs"] and not self.hidden[n]:
                return lines
            if not only_imports(self.trees[n]) and "#| eval: false" not in self.sources[n]:
                lines += len(code_lines(self.sources[n]))
        return lines

    def prose_words(self) -> int:
        text = " ".join(s for s, c in zip(self.sources, self.code, strict=True) if not c)
        return len(re.findall(r"\w[\w'’-]*", re.sub(r"\]\([^)]*\)|`[^`]*`", " x ", text)))

    def definitions(self) -> list[tuple[str, bool]]:
        """Return (name, whether a visible assertion stands in its cell or one of the three after
        it) of each definition.
        """
        found = []
        for n, exported in enumerate(self.exported):
            names = [
                x.name for x in self.trees[n].body if isinstance(x, ast.FunctionDef | ast.ClassDef)
            ]
            near = range(n + 1, len(self.cells))
            seen, shown = 0, False
            for m in near:
                if not self.code[m] or (self.exported[m] and only_imports(self.trees[m])):
                    continue
                seen += 1
                shown |= not self.hidden[m] and bool(ASSERTS.search(self.sources[m]))
                if seen == 3:
                    break
            found += [(name, shown) for name in names if exported]
        return found


def modules() -> dict[str, Path]:
    paths = sorted((ROOT / "prodrec").rglob("*.py"))
    return {
        ".".join(p.relative_to(ROOT).with_suffix("").parts): p
        for p in paths
        if p.name != "_modidx.py"
    }


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    "Return the modules of the package that a module imports, inside functions too."
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            up = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{a.name}" for a in node.names}
    return {f for f in found if f in known and f != name}


def circles(names: dict[str, Path]) -> list[list[str]]:
    "Return the groups of modules that import each other in a circle."
    graph = {n: imports(n, p, names) for n, p in names.items()}
    reach = {n: set(g) for n, g in graph.items()}
    while True:
        wider = {n: r.union(*(reach[m] for m in r)) if r else r for n, r in reach.items()}
        if wider == reach:
            break
        reach = wider
    groups = {frozenset(m for m in reach[n] if n in reach[m]) for n in reach if n in reach[n]}
    return [sorted(g) for g in groups]


def private_imports(name: str, path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").startswith("prodrec")
        ):
            found += [
                f"{name}: {node.module}.{a.name}" for a in node.names if re.match(r"_[^_]", a.name)
            ]
    return found


def comments_of(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0] for t in tokens if t.type == tokenize.COMMENT}


def public_functions(tree: ast.Module):
    "Yield (name, function, whether it is a method) of what users may call."
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            yield node.name, node, False
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            for f in node.body:
                if isinstance(f, ast.FunctionDef) and (
                    f.name[0] != "_" or f.name in ("__init__", "__call__")
                ):
                    yield f"{node.name}.{f.name}", f, True


def parameters(path: Path) -> list[tuple[str, bool]]:
    """Return (function and parameter, whether it is documented) of each parameter of public
    functions and methods.
    """
    source = path.read_text(encoding="utf-8")
    comments, found = comments_of(source), []
    for name, f, method in public_functions(ast.parse(source)):
        args = [*f.args.posonlyargs, *f.args.args][method and not is_static(f) :]
        args += [*f.args.kwonlyargs, *filter(None, [f.args.vararg, f.args.kwarg])]
        text = ast.get_docstring(f) or ""
        for arg in args:
            documented = any(line in comments for line in range(arg.lineno, arg.end_lineno + 1))
            documented |= bool(
                re.search(rf"^\s*\*{{0,2}}{re.escape(arg.arg)}\b\s*[:(]", text, re.MULTILINE)
            )
            found.append((f"{name}({arg.arg})", documented))
    return found


def is_static(f: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in f.decorator_list)


def docstrings(path: Path) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and (
            text := ast.get_docstring(node)
        ):
            found.append((getattr(node, "name", path.stem), text))
    return found


def long_classes(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sizes = [
        (n.name, n.end_lineno - n.lineno + 1) for n in ast.walk(tree) if isinstance(n, ast.ClassDef)
    ]
    return [(name, size) for name, size in sizes if size > CLASS]


def measure() -> tuple[list[tuple[str, object, str, bool]], list[str]]:
    "Return ((what, figure, limit, within it) …, each finding in words)."
    chapters = [
        Chapter(p) for p in sorted((ROOT / "nbs").rglob("*.ipynb")) if "_" not in p.parts[-1][0]
    ]
    exported, mods, notes = [c for c in chapters if c.is_exported], modules(), []

    def note(where, what):
        notes.append(f"{where.name if isinstance(where, Path) else where}: {what}")

    rings = circles(mods)
    for ring in rings:
        note("imports", "circle " + " ".join(ring))
    private = [x for n, p in mods.items() for x in private_imports(n, p)]
    for x in private:
        note("private", x)
    classes = [(n, *c) for n, p in mods.items() for c in long_classes(p)]
    for n, name, size in classes:
        note(n, f"class {name} has {size} lines")
    large = {
        n: sum(1 for x in p.read_text(encoding="utf-8").splitlines() if x.strip())
        for n, p in mods.items()
    }
    large = {n: size for n, size in large.items() if size > MODULE}
    for n, size in large.items():
        note(n, f"module has {size} lines")
    cells = [(c, *cell) for c in exported for cell in c.export_cells()]
    total = sum(lines for _, _, lines, _ in cells)
    long_cells = [x for x in cells if x[2] > (CLASS_CELL if x[3] else CELL)]
    for c, n, lines, holds in long_cells:
        note(c.path, f"cell {n} has {lines} lines{' with a class' if holds else ''}")
    before = {c.path.stem: c.lines_before_result() for c in exported}
    for name, lines in before.items():
        if lines > FIRST_RESULT:
            note(f"{name}.ipynb", f"{lines} lines of code before the first result")
    words, definitions = (
        sum(c.prose_words() for c in exported),
        [d for c in exported for d in c.definitions()],
    )
    for c in exported:
        for name, shown in c.definitions():
            if not shown:
                note(c.path, f"no visible assertion near {name}")
        lines = sum(lines for _, lines, _ in c.export_cells())
        if c.prose_words() < 3 * lines:
            note(
                c.path,
                f"{c.prose_words()} words for {lines} lines: {c.prose_words() / max(1, lines):.1f} a line",  # noqa: E501
            )
    starts = [(n, name, text) for n, p in mods.items() for name, text in docstrings(p)]
    relative = [
        (n, name, t)
        for n, name, t in starts
        if (re.findall(r"\w+", t) or [""])[0].lower() in RELATIVE
    ]
    for n, name, text in relative:
        note(n, f"docstring of {name} begins: {text[:50]!r}")
    documented = [(n, *x) for n, p in mods.items() for x in parameters(p)]
    for n, name, ok in documented:
        if not ok:
            note(n, f"undocumented {name}")
    wide = {
        c.path: [x for s, k in zip(c.sources, c.code, strict=True) if k for x in s.splitlines()]
        for c in chapters
    }
    wide |= {
        p: p.read_text(encoding="utf-8").splitlines()
        for p in [*(ROOT / "tests").glob("*.py"), *(ROOT / ".ci").glob("*.py")]
    }
    all_lines = sum(len(lines) for lines in wide.values())
    too_wide = {
        p: sum(len(x) > LINE and "noqa: E501" not in x for x in lines) for p, lines in wide.items()
    }
    for p, count in too_wide.items():
        if count:
            note(p, f"{count} lines over {LINE} characters")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    n_readme, tables = len(readme.splitlines()), readme.count("<table")
    median = statistics.median(lines for _, _, lines, _ in cells)
    shown = sum(ok for _, ok in definitions) / len(definitions)
    known = sum(ok for *_, ok in documented) / len(documented)
    over = sum(x[2] for x in long_cells) / total
    worst = max(before, key=before.get)
    rows = [
        ("circles of imports", len(rings), "0", not rings),
        ("private names imported from another module", len(private), "0", not private),
        (f"classes over {CLASS} lines", len(classes), "0", not classes),
        (f"modules over {MODULE} lines", len(large), "0", not large),
        (f"exported lines in cells over {CELL} lines ({CLASS_CELL} with a class)", f"{over:.1%}", "0", not long_cells),  # noqa: E501
        ("median exported cell, lines", median, "12", median <= 12),
        ("code lines before the first result, worst chapter", f"{before[worst]} ({worst})", f"{FIRST_RESULT}", before[worst] <= FIRST_RESULT),  # noqa: E501
        ("words of prose per exported line", f"{words / total:.2f}", "3", words >= 3 * total),
        ("definitions with a visible assertion within three cells", f"{shown:.1%}", "80 %", shown >= 0.8),  # noqa: E501
        ("docstrings that begin with a relative word", f"{len(relative)} of {len(starts)}", "0", not relative),  # noqa: E501
        ("documented parameters of public functions and methods", f"{known:.1%}", "100 %", known == 1),  # noqa: E501
        (f"lines over {LINE} characters", f"{sum(too_wide.values()) / all_lines:.2%}", "0.5 %", sum(too_wide.values()) <= all_lines / 200),  # noqa: E501
        ("lines of README.md, HTML tables in it", f"{n_readme}, {tables}", "90 to 250, 0", n_readme in README and not tables),  # noqa: E501
    ]  # fmt: skip
    return rows, notes


def main(args: list[str]):
    rows, notes = measure()
    asked = [Path(a).name for a in args if not a.startswith("--")]
    if asked:
        print("\n".join(x for x in notes if any(a in x for a in asked)))
        return
    width = max(len(what) for what, *_ in rows)
    for what, figure, limit, good in rows:
        print(f"{'  ' if good else '! '}{what:<{width}}  {figure!s:<22} (limit {limit})")
    bad = [what for what, _, _, good in rows if not good]
    if "--check" in args and bad:
        print("\n".join(notes))
        sys.exit(f"limits passed: {'; '.join(bad)}")


if __name__ == "__main__":
    main(sys.argv[1:])
