"""Warn of each results file whose notebook computes something else today.

`python .ci/results_age.py` compares, for every nbs/results/*.json, the code of the notebook that
wrote it as it was in the commit of the file with the code as it is now. Prose and layout do not
count. It names too what a run of some parts alone has left of an earlier run. It needs the history
of the repository, and says nothing without it.
"""

import json
import subprocess
import sys
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


def earlier_parts(results: dict) -> dict[str, str]:
    "Return the parts that an earlier run than the last one has left, with its date."
    runs = results.get("made", {})
    return {
        part: run["date"] or "an unknown date"
        for part, run in runs.items()
        if run["commit"] is None or run["commit"] != results["commit"]
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
        before = git("show", f"{written[0]}:{path}") if written else ""
        if before and code_digest(before) != code_digest(notebook.read_text(encoding="utf-8")):
            found.append(
                f"nbs/results/{file.name} is of {written[1]}, and the code of {path} has changed "
                f"since: `make results RESULTS={path}` measures again"
            )
        for part, date in earlier_parts(json.loads(file.read_text(encoding="utf-8"))).items():
            found.append(
                f"nbs/results/{file.name} has a part {part!r} of {date}, older than the rest: "
                f"`PRODREC_PARTS={part} make results RESULTS={path}` measures it again"
            )
    return found


if __name__ == "__main__":
    print("\n".join(outdated()))
