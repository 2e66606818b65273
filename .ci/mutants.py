"""Make small mistakes in the code on purpose, and see that a test fails for each.

`python .ci/mutants.py` draws mutants of every module in `SUITES`, each changed in one place, runs
the tests of that module against each, and lists those that survive. `--each 12 --seed 0` say how
many of a module are drawn and which, `--only filters` names modules, `--json FILE` keeps the
figures. The tests run in a process forked from one that has the libraries already, and on a copy:
the working tree is never changed.
"""

import argparse
import ast
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = {  # module → its test files
    "data/split": ("test_split",),
    "recommend/filters": ("test_filters",),
    "recommend/query": ("test_query",),
    "recommend/answer": ("test_answer", "test_hits"),
    "recommend/ranking": ("test_ranking",),
    "recommend/metrics": ("test_metrics",),
    "recommend/sparse": ("test_sparse",),
    "models/calibration": ("test_calibration",),
    "apps/monitor": ("test_monitor",),
    "apps/guards": ("test_guards",),
}
# equal to the original in all that can be seen: module → (text of the line, its change), with why
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "data/split",
        "part = part.reindex(catalog.products.index, fill_value=-1).to_numpy()",
        "(1 + 1)",
    ): "-2 is no part either",
    (
        "data/split",
        'part, label = np.full(len(blocks), -1), blocks["label"].to_numpy()',
        "(1 + 1)",
    ): "-2 is no part either",
    (
        "data/split",
        'sides = [groups[pictures["side"].to_numpy() == side] for side in "ab"]',
        "!=",
    ): "the two sides change places",
    (
        "recommend/metrics",
        "values, codes = np.asarray(values, float), pd.factorize(pd.Series(groups), False)[0]",
        "True",
    ): "the groups get other numbers",
    ("recommend/answer", "pool *= 4", "(4 + 1)"): "another pace, the same answer",
    (
        "recommend/answer",
        "if query.diversity:",
        "True",
    ): "without diversity the best come first anyway",
    (
        "data/split",
        "cost = np.concatenate([np.full(n, -2.0), 1 - 2 * rest, np.full(n, 4.0)])",
        "(2 + 1)",
    ): "how many units lie above the floor is given: only their order counts",
    (
        "data/split",
        "cost = np.concatenate([np.full(n, -2.0), 1 - 2 * rest, np.full(n, 4.0)])",
        "(2.0 + 1)",
    ): "up to the floor every unit is welcome, at this price too",
    (
        "data/split",
        "whole = np.floor(exact + 1e-9).astype(int)",
        "-",
    ): "a whole number that was taken for less comes back as the largest rest",
    (
        "data/split",
        'in_a = values.groupby("value", sort=False)["id_a"].agg(id_a="first", count="size")',
        "True",
    ): "it is looked up by value",
    (
        "data/split",
        "found = pd.concat(found, ignore_index=True)",
        "False",
    ): "the rows are numbered again at the end",
    (
        "recommend/answer",
        "if known.all():",
        "False",
    ): "an early way out: of no unknown text nothing is said",
    (
        "apps/monitor",
        "labels = np.repeat([0, 1], [len(h[0]) for h in halves])",
        "(1 + 1)",
    ): "two classes by any numbers",
    (
        "recommend/metrics",
        "return np.where(pairs > 0, 1 - twice / np.maximum(pairs, 1), np.nan)",
        "(1 + 1)",
    ): "two products are two pairs, and without a pair it is NaN",
    (
        "recommend/filters",
        "near = get_close_matches(str(word), [str(w) for w in words], 1)",
        "(1 + 1)",
    ): "the first of two is taken",
    (
        "recommend/query",
        "return sp.csr_matrix((weights / (total or 1.0))[None].astype(np.float32)) @ rows",
        "(1.0 + 1)",
    ): "zeros by two are zeros",
    (
        "models/calibration",
        "out[rows[lost], best[lost]] = np.nextafter(out[lost].max(1), np.float32(2))",
        "(2 + 1)",
    ): "it says the direction alone",
    (
        "apps/guards",
        'scope = {"type": "http", "method": method, "path": path, "client": ("127.0.0.1", 1)}',
        "(1 + 1)",
    ): "nobody reads the port of the client",
    (
        "recommend/metrics",
        "units = np.vstack([vectors / np.where(lengths > 0, lengths, 1), np.zeros(vectors.shape[1])])",  # noqa: E501
        "(1 + 1)",
    ): "zeros by two are zeros",
    (
        "recommend/metrics",
        "n_resamples: int = 1000,  # number of draws",
        "(1000 + 1)",
    ): "one draw more, the same interval within its noise",
    (
        "apps/monitor",
        'return np.where(both.isna(), -1, np.searchsorted(edges, both, "right"))',
        "(1 + 1)",
    ): "-2 is no bin of a number either",
    (
        "apps/monitor",
        'table["p"] = [fisher_exact(pair, "less").pvalue if pair[1].any() else 1.0 for pair in pairs]',  # noqa: E501
        "True",
    ): "without a judgement before, Fisher's p is 1",
    (
        "models/calibration",
        "return (logsumexp(scores / t, axis=1) - truth / t).mean()",
        "sum",
    ): "the sum is least where the mean is",
    (
        "models/calibration",
        "return float(np.exp(min(found, 0.0, key=loss)))",
        "(0.0 + 1)",
    ): "the temperature that was found is no worse than either",
}
# mistakes that once survived, and others of their kind: (module, test file, text, its change)
NAMED = (
    ("recommend/ranking", "test_ranking", "- away * mean_known", "+ away * mean_known"),
    ("recommend/ranking", "test_ranking", "towards * mean_known", "-towards * mean_known"),
    ("recommend/query", "test_query", "- 0.15 * mean_words(far)", "+ 0.15 * mean_words(far)"),
    ("recommend/query", "test_query", "said + 0.75 * mean_words", "said - 0.75 * mean_words"),
    ("recommend/query", "test_query", "positive[:, part], away[:, part]",
     "away[:, part], positive[:, part]"),
    ("apps/guards", "test_guards", "not hmac.compare_digest(given.encode(), key.encode())",
     "not given.startswith(key)"),
    ("apps/guards", "test_guards", "not hmac.compare_digest(given.encode(), key.encode())",
     "not key.startswith(given)"),
    ("apps/monitor", "test_monitor", 'holm(table["p"].to_numpy())', 'table["p"].to_numpy()'),
    ("apps/monitor", "test_monitor", "np.arange(len(p), 0, -1)", "np.arange(len(p)) + 1"),
    ("apps/monitor", "test_monitor", "float(2 * len(counts) * tails.min())",
     "float(2 * tails.min())"),
    ("recommend/choices", "test_choices", "event_weights(history.events, history.weights) * kept",
     "event_weights(history.events, history.weights)"),
    ("recommend/choices", "test_choices", "np.asarray(fresh.sum(0)).ravel()",
     "history.popularity().reindex(history.ids).to_numpy()"),
    ("recommend/choices", "test_choices", "prior * rated", "0 * rated"),
    ("recommend/choices", "test_choices", '(stars["count"] + prior)', '(stars["count"])'),
    ("recommend/choices", "test_choices", "1 / np.bincount(of, minlength=len(others))[of]",
     "np.ones(len(of))"),
    ("recommend/blend", "test_blend", "logit(observed) - logit(", "-logit(observed) + logit("),
    ("recommend/blend", "test_blend", "shared[known:] = self.offset_",
     "shared[known:] = -self.offset_"),
    ("recommend/blend", "test_blend", "shared[known:] = self.offset_", "shared[known:] = 0.0"),
    ("recommend/pairs", "test_pairs", "weight=1 / (size - 1)", "weight=1.0 * (size > 0)"),
    ("recommend/pairs", "test_pairs", "(counts + prior) / (chance + prior)", "counts / chance"),
    ("recommend/profiles", "test_profiles", "disliked.pop(i, None)", "pass"),
    ("recommend/profiles", "test_profiles", "value <= NEUTRAL_STARS", "value < NEUTRAL_STARS"),
    ("recommend/answer", "test_answer", "rows[found >= query.min_score]",
     "rows[found > query.min_score]"),
    ("recommend/answer", "test_answer", "found[found >= query.min_score]",
     "found[found > query.min_score]"),
    ("data/split", "test_split", '("chance", "min")', '("chance", "first")'),
    ("data/split", "test_split", '("chance", "min")', '("chance", "max")'),
    ("data/audit", "test_audit", "min_contrast: float = 0.05", "min_contrast: float = 0.02"),
    ("data/audit", "test_audit", "min_contrast: float = 0.05", "min_contrast: float = 0.1"),
    ("data/audit", "test_audit", "min_brightness: float = 0.15", "min_brightness: float = 0.05"),
    ("data/audit", "test_audit", "min_brightness: float = 0.15", "min_brightness: float = 0.3"),
    ("recommend/index", "test_index", "if short.any():", "if False:"),
    ("recommend/index", "test_index", "share < NARROW", "False"),
)  # fmt: skip
SWAPS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.In: (" in ", " not in "),
    ast.NotIn: (" not in ", " in "), ast.Is: (" is ", " is not "), ast.IsNot: (" is not ", " is "),
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "+"), ast.Mod: ("%", "+"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"), ast.And: (" and ", " or "), ast.Or: (" or ", " and "),
}  # fmt: skip
NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "mean": "sum",
    "maximum": "minimum", "argmax": "argmin", "argmin": "argmax", "union": "intersection",
}  # fmt: skip


class Mutant:
    "One change of one line."

    def __init__(self, line: int, start: int, end: int, old: str, new: str):
        self.line, self.start, self.end, self.old, self.new = line, start, end, old, new

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


def sites(source: str) -> Iterator[Mutant]:
    "Yield every mutant of a module; words for people, and what only describes, are left alone."
    data, tree = source.encode(), ast.parse(source)
    begins = [0]
    for text in data.splitlines(keepends=True):
        begins.append(begins[-1] + len(text))

    def at(node) -> tuple[int, int]:
        first, last = begins[node.lineno - 1], begins[node.end_lineno - 1]
        return first + node.col_offset, last + node.end_col_offset

    def between(left, right, swap) -> Iterator[Mutant]:
        old, new = swap
        start, end = at(left)[1], at(right)[0]
        text = data[start:end].decode()
        place = text.find(old)
        if place < 0:  # an operator at the beginning or the end of a line
            old, new = old.strip(), f" {new.strip()} "
            place = text.find(old)
        if place >= 0:
            start += len(text[:place].encode())
            yield Mutant(left.end_lineno, start, start + len(old), old, new)

    def walk(node) -> Iterator[Mutant]:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.ImportFrom | ast.Assert):
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return  # of `zip`: lengths that cannot differ are checked once more
        shown = ("__repr__", "_repr_html_", "_said", "_shown")
        if isinstance(node, ast.FunctionDef) and node.name in shown:
            return
        drawn = ("_draw", "_name_")  # what a figure looks like is looked at, not asserted
        if isinstance(node, ast.FunctionDef) and (
            node.name.endswith("figure") or node.name.startswith(drawn)
        ):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
                yield from walk(part)
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from walk(node.value)
            return
        yield from mutants_of(node)
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    def mutants_of(node) -> Iterator[Mutant]:
        if isinstance(node, ast.Compare):
            for left, op, right in zip(
                [node.left, *node.comparators], node.ops, node.comparators, strict=False
            ):
                yield from between(left, right, SWAPS[type(op)])
        elif isinstance(node, ast.BoolOp):
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from between(left, right, SWAPS[type(node.op)])
        elif isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
            if not any(
                isinstance(s, ast.Constant | ast.JoinedStr)
                and "str" in type(getattr(s, "value", "")).__name__
                for s in (node.left, node.right)
            ):
                yield from between(node.left, node.right, SWAPS[type(node.op)])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            start, end = at(node)[0], at(node.operand)[0]
            yield Mutant(node.lineno, start, end, data[start:end].decode(), "")
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            start, end = at(node)
            new = str(not node.value) if type(node.value) is bool else f"({node.value!r} + 1)"
            yield Mutant(node.lineno, start, end, data[start:end].decode(), new)
        elif isinstance(node, ast.Call):
            name = node.func
            if isinstance(name, ast.Attribute) and name.attr in NAMES:
                end = at(name)[1]
                start = end - len(name.attr)
                yield Mutant(name.end_lineno, start, end, name.attr, NAMES[name.attr])
            elif isinstance(name, ast.Name) and name.id in NAMES:
                yield Mutant(name.lineno, *at(name), name.id, NAMES[name.id])
        elif isinstance(node, ast.If | ast.IfExp):
            start, end = at(node.test)
            old = data[start:end].decode()
            for new in ("True", "False"):
                yield Mutant(node.lineno, start, end, old, new)

    for node in tree.body:
        yield from walk(node)


def run_tests(place: Path, files: tuple[str, ...], seconds: float) -> bool:
    "Return True where the tests pass in `place`; a process that takes too long has failed."
    if (pid := os.fork()) == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for n in (0, 1, 2):
                os.dup2(null, n)
            os.chdir(place)
            os.environ["PYTHONPATH"] = str(place)
            sys.path[:] = [str(place), str(place / "tests"), *sys.path]
            sys.dont_write_bytecode = True
            import pytest

            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
            os._exit(int(pytest.main([*options, *(f"tests/{f}.py" for f in files)])))
        os._exit(99)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def preload():
    "Import what tests need and no mutant changes."
    names = "numpy pandas pyarrow.parquet scipy.sparse scipy.stats pytest matplotlib.pyplot "
    names += "sklearn.feature_extraction.text sklearn.linear_model sklearn.metrics hypothesis "
    names += "sklearn.model_selection sklearn.decomposition sqlalchemy cv2 PIL.Image requests"
    for name in names.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def survivors(place: Path, module: str, each: int, draw: random.Random) -> dict:
    "Return the figures of a module: how many mutants were drawn, and those that survived."
    file, source = place / f"prodrec/{module}.py", (ROOT / f"prodrec/{module}.py").read_bytes()
    found, lines = list(sites(source.decode())), source.decode().splitlines()
    chosen = sorted(draw.sample(found, min(each, len(found))), key=lambda m: m.start)
    began = time.monotonic()
    if not run_tests(place, SUITES[module], 300):
        raise SystemExit(f"the tests of {module} fail before anything is changed")
    limit, left = 4 * (time.monotonic() - began) + 20, []
    equal = 0
    for mutant in chosen:
        line = lines[mutant.line - 1].strip()
        if (module, line, mutant.new.strip()) in EQUIVALENT:
            equal += 1
            continue
        file.write_bytes(mutant.applied(source))
        if run_tests(place, SUITES[module], limit):
            left.append({"line": mutant.line, "code": line, "old": mutant.old, "new": mutant.new})
            print(f"  survives {module}:{mutant.line} {mutant.old!r} -> {mutant.new!r}  {line}",
                  flush=True)  # fmt: skip
    file.write_bytes(source)
    made = len(chosen) - equal
    print(f"{module}: {made - len(left)} of {made} killed, {time.monotonic() - began:.0f} s",
          flush=True)  # fmt: skip
    return {"sites": len(found), "made": made, "killed": made - len(left), "survivors": left}


def named_survivors(place: Path, only: list[str]) -> list[str]:
    "Return the mistakes of `NAMED` that the tests of their module do not see."
    left, passing = [], {}
    for module, tests, old, new in NAMED:
        if only and not any(part in module for part in only):
            continue
        file, source = place / f"prodrec/{module}.py", (ROOT / f"prodrec/{module}.py").read_text()
        if source.count(old) < 1:
            raise SystemExit(f"{module} has no {old!r} any more: look at NAMED")
        if tests not in passing:
            began = time.monotonic()
            if not run_tests(place, (tests,), 300):
                raise SystemExit(f"{tests} fails before anything is changed")
            passing[tests] = 4 * (time.monotonic() - began) + 20
        file.write_text(source.replace(old, new))
        if run_tests(place, (tests,), passing[tests]):
            left.append(f"{module}: {old} -> {new}")
            print(f"  survives {left[-1]}", flush=True)
        file.write_text(source)
    return left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=20, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of modules")
    parser.add_argument("--named", action="store_true", help="the mistakes of NAMED alone")
    parser.add_argument("--json", help="file to write the figures to")
    args = parser.parse_args()
    os.environ |= {"PRODREC_PROGRESS": "0", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp()
    preload()
    found, wanted = {}, [m for m in SUITES if not args.only or any(o in m for o in args.only)]
    with tempfile.TemporaryDirectory() as tmp:
        place = Path(tmp)
        for folder in ("prodrec", "tests"):
            shutil.copytree(ROOT / folder, place / folder, ignore=lambda *_: ["__pycache__"])
        for rest in ROOT.iterdir():
            if not (place / rest.name).exists() and rest.name != ".git":
                (place / rest.name).symlink_to(rest)
        named = named_survivors(place, args.only)
        for module in [] if args.named else wanted:
            draw = random.Random(f"{args.seed} {module}")
            found[module] = survivors(place, module, args.each, draw)
    made = sum(f["made"] for f in found.values())
    killed = sum(f["killed"] for f in found.values())
    print(f"named mistakes: {len(named)} survive; "
          f"drawn: {killed} of {made} killed, {100 * killed / max(1, made):.1f} %")  # fmt: skip
    if args.json:
        Path(args.json).write_text(
            json.dumps({"seed": args.seed, "named": named, "modules": found}, indent=1)
        )
    raise SystemExit(bool(named) or killed < 0.9 * made)


if __name__ == "__main__":
    main()
