"""Warn of each results file whose notebook computes something else today.

`python .ci/results_age.py` compares, for every nbs/results/*.json, the code of the notebook that
wrote it as it was in the commit of the file with the code as it is now. Prose and layout do not
count. It names too what a run of some parts alone has left of an earlier run with other code. It
needs the history of the repository, and says nothing without it.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from prodrec.provenance import code_digest  # noqa: E402


def git(*command: str) -> str:
    "Return what git prints; '' where it fails."
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def notebook_of(name: str) -> Path | None:
    "Return the notebook that writes a results file."
    places = [ROOT / "nbs" / room / f"{name}.ipynb" for room in ("recipes", "benchmarks")]
    return next((p for p in places if p.exists()), None)


def has_code(path: str, digest: str, commit: str) -> bool:
    "Return False where the notebook of a commit has other code; True where the commit is unknown."
    before = git("show", f"{commit}:{path}")
    return not before or code_digest(before) == digest


def earlier_parts(results: dict, same_code: Callable[[str], bool]) -> dict[str, str]:
    "Return the parts that other code than today's has measured, with their date."
    return {
        part: run["date"] or "an unknown date"
        for part, run in results.get("made", {}).items()
        if run["commit"] is None or not same_code(run["commit"].removesuffix("+"))
    }


def outdated() -> list[str]:
    "Return a sentence for each results file that is older than the code behind it."
    found = []
    for file in sorted((ROOT / "nbs" / "results").glob("*.json")):
        notebook = notebook_of(file.stem)
        if notebook is None:
            continue
        path = notebook.relative_to(ROOT).as_posix()
        written = git(
            "log", "-1", "--format=%H %cs", "--", file.relative_to(ROOT).as_posix()
        ).split()
        same_code = partial(has_code, path, code_digest(notebook.read_text(encoding="utf-8")))
        if written and not same_code(written[0]):
            found.append(
                f"nbs/results/{file.name} is of {written[1]}, and the code of {path} has changed "
                f"since: `make results RESULTS={path}` measures again"
            )
        results = json.loads(file.read_text(encoding="utf-8"))
        parts = earlier_parts(results, same_code)
        if parts:
            named = ", ".join(f"{part!r} of {date}" for part, date in parts.items())
            found.append(
                f"nbs/results/{file.name} has parts older than the code of {path}: {named}; "
                f"`make results RESULTS={path}` measures again"
            )
    return found


if __name__ == "__main__":
    print("\n".join(outdated()))
