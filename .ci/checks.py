"""What `make test` checks, one stage after the other; every stage is run, whatever came before it.

`python .ci/checks.py` runs all of them but `bare`, `python .ci/checks.py export lint` those two.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lowest import open_holes
from results_age import outdated

ROOT = Path(__file__).resolve().parent.parent
# bounds for what hangs: a slow machine takes twice as long as a fast one, and shall not fail for it
NOTEBOOK_SECONDS, NOTEBOOKS_SECONDS = 400, 2000
TEST_SECONDS = 2000
JOBS = int(os.environ.get("JOBS", "2"))  # notebooks at a time
TEST_JOBS = JOBS + 1  # files of tests: they wait for servers and browsers a third of their time
LEFT_OUT = ("__pycache__", ".ipynb_checkpoints", "_modidx.py")
WRITTEN_BY_HAND = ("prodrec/__init__.py", "prodrec/_renamed.py", "prodrec/models/__init__.py")
NOT_OURS = shutil.ignore_patterns(*LEFT_OUT)


class Failed(Exception):
    pass


def run(
    *command: str,
    cwd: Path = ROOT,
    seconds: int = 120,
    capture: bool = True,
    env: dict[str, str] | None = None,
) -> str:
    """What the command printed; `Failed` with the end of that when it fails or takes longer than
    `seconds`.
    """
    out = subprocess.PIPE if capture else None
    # a session of its own, so that kernels and workers that a command has started end with it
    p = subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=env,
    )
    try:
        log, _ = p.communicate(timeout=seconds)
    except BaseException as e:
        os.killpg(p.pid, signal.SIGKILL)
        log, _ = p.communicate()
        if not isinstance(e, subprocess.TimeoutExpired):
            raise
        raise Failed(f"{tail(log)}\n{' '.join(command)}: stopped after {seconds} s") from None
    if p.returncode:
        raise Failed(f"{tail(log)}\n{' '.join(command)}: exit status {p.returncode}")
    return log or ""


def tail(log: str | None, lines: int = 60) -> str:
    return "\n".join((log or "").splitlines()[-lines:])


def export():
    """The notebooks are clean, and prodrec/ is what they export: nothing edited by hand, forgotten
    or left behind.
    """
    with tempfile.TemporaryDirectory() as tmp:
        for folder in ("nbs", "prodrec"):
            shutil.copytree(ROOT / folder, Path(tmp, folder), ignore=NOT_OURS)
        for file in ("settings.ini", "pyproject.toml", "setup.py", "README.md"):
            shutil.copy(ROOT / file, tmp)
        for module in Path(tmp, "prodrec").rglob("*.py"):
            if module.relative_to(tmp).as_posix() not in WRITTEN_BY_HAND:
                module.unlink()
        run("nbdev_clean", cwd=tmp)
        run("nbdev_export", cwd=tmp)
        both = [compare(folder, f"{tmp}/{folder}") for folder in ("nbs", "prodrec")]
    if differences := "\n".join(filter(None, both)):
        raise Failed(f"{differences}\nnot clean or not exported: run `make export` and commit")


def compare(here: str, there: str) -> str:
    "How two folders differ, '' where they do not."
    try:
        run("diff", "-r", *(f"--exclude={name}" for name in LEFT_OUT), here, there)
    except Failed as e:
        return str(e)
    return ""


def readme():
    "README.md is what nbs/index.ipynb says."
    run(sys.executable, ".ci/readme.py", "--check")


def lint():
    """ruff has nothing to say about notebooks, tests and scripts, and no requirement admits a
    version with a known hole.
    """
    if found := open_holes():
        raise Failed("\n".join([*found, "raise the lower bounds in settings.ini"]))
    run("ruff", "check", "--no-cache", "nbs", "tests", ".ci", "setup.py", *WRITTEN_BY_HAND)
    run("ruff", "format", "--no-cache", "--check", "nbs", "tests", ".ci")
    print(run(sys.executable, ".ci/style.py", "--check").rstrip())
    for warning in outdated():
        print(f"warning: {warning}")


def notebooks():
    "Every notebook runs top to bottom, in a process of its own."
    found = [
        p
        for p in (ROOT / "nbs").rglob("*.ipynb")
        if not any(part[0] in "_." for part in p.relative_to(ROOT).parts)
    ]
    if not found:
        raise Failed("there is no notebook")
    # recipes and benchmarks first: they are long, and what is long should not be left to the end
    found.sort(key=lambda p: (p.parent.name == "nbs", p))
    names = [str(p.relative_to(ROOT)) for p in found]
    options = (str(JOBS), str(NOTEBOOK_SECONDS))
    run(
        sys.executable,
        ".ci/notebooks.py",
        *options,
        *names,
        seconds=NOTEBOOKS_SECONDS,
        capture=False,
    )


def tests():
    "What does not fit into a notebook."
    files_at_a_time = ("-n", str(TEST_JOBS), "--dist", "loadfile")
    options = ("-p", "no:cacheprovider", *files_at_a_time)
    run(sys.executable, "-m", "pytest", *options, "tests", seconds=TEST_SECONDS, capture=False)


# what looks for weights, for real data, for Chromium or for PostgreSQL, and has to do without
BARE_NOTEBOOKS = (
    "nbs/21a_models.backbones.ipynb",
    "nbs/benchmarks/browser.ipynb",
)
BARE_TESTS = (
    "tests/test_real.py",
    "tests/test_browser_page.py",
    "tests/test_postgres.py",
    "tests/test_pgvector.py",
    "tests/test_audit.py",
    "tests/test_classifier.py::test_mobilenetv2_sees_what_keras_applications_sees",
    "tests/test_backbones.py::test_real_weights_of_narrow_ones",
    "tests/test_server.py::test_the_page_asks_goes_on_and_filters",
    "tests/test_page.py",
)


def bare():
    """The same on a machine with nothing of ours: no weights, no real data, no Chromium, no
    PostgreSQL.
    """
    with tempfile.TemporaryDirectory() as home:
        lacking = ("KERAS_HOME", "PRODREC_DATA", "CI")
        env = {name: value for name, value in os.environ.items() if name not in lacking}
        env |= {"HOME": home, "CHROMIUM": "", "POSTGRES": ""}
        options = (str(JOBS), str(NOTEBOOK_SECONDS))
        run(
            sys.executable,
            ".ci/notebooks.py",
            *options,
            *BARE_NOTEBOOKS,
            seconds=600,
            capture=False,
            env=env,
        )
        skipped = ("-q", "-rs", "-p", "no:cacheprovider", "-n", str(JOBS), *BARE_TESTS)
        run(sys.executable, "-m", "pytest", *skipped, seconds=300, capture=False, env=env)


STAGES = {f.__name__: f for f in (export, readme, lint, notebooks, tests, bare)}


def tree() -> str:
    "The state of the working tree, '' where it is no git checkout."
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True
    ).stdout


def main(names: list[str]):
    names = names or [
        name for name in STAGES if name != "bare"
    ]  # which repeats a part of the others
    if unknown := set(names) - set(STAGES):
        sys.exit(f"no such stage: {', '.join(unknown)}; there are {', '.join(STAGES)}")
    before, failed, start = tree(), [], time.monotonic()
    with tempfile.TemporaryDirectory() as cache:
        # nothing that an earlier run has left, or that the shell has set, may decide about this one
        for name in ("PYTHONPATH", "PRODREC_FULL", "PRODREC_RESULTS"):
            os.environ.pop(name, None)
        os.environ |= {"PRODREC_CACHE": cache, "PRODREC_PROGRESS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
        # a core each for what runs side by side: threads that wait for one another cost a
        # sixth of the time
        os.environ |= dict.fromkeys(
            ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"
        )
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for name in names:
            print(f"== {name}: {STAGES[name].__doc__}", flush=True)
            began = time.monotonic()
            try:
                STAGES[name]()
            except Failed as e:
                failed.append(name)
                print(e)
            print(
                f"== {name}: {'FAILED' if name in failed else 'passed'} in {time.monotonic() - began:.1f} s",  # noqa: E501
                flush=True,
            )
    if (after := tree()) != before:
        failed.append("tree")
        print(f"== tree: the checks have changed the working tree\n{after}")
    seconds = time.monotonic() - start
    if failed:
        sys.exit(f"FAILED after {seconds:.0f} s: {', '.join(failed)}")
    print(f"Passed after {seconds:.0f} s: {', '.join(names)}")


if __name__ == "__main__":
    main(sys.argv[1:])
