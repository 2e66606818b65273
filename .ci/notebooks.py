"""Run notebooks, each in a process of its own: a fork of one that has already imported what takes
seconds to import.

`python .ci/notebooks.py JOBS SECONDS NOTEBOOK...` prints the seconds of each, and what one that
fails has printed.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path


def import_what_is_slow():
    "Nothing of it may start a thread: it would be missing in the forks."
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import nbdev.test  # noqa: F401
    import pandas  # noqa: F401
    import seaborn  # noqa: F401
    import sklearn.linear_model  # noqa: F401


def run(path: str, seconds: int, log: str):
    "In the fork: run the notebook as nbdev does, and end with its verdict."
    from nbdev.test import nbdev_test

    os.setsid()  # what a notebook starts ends with it
    signal.signal(
        signal.SIGALRM,
        lambda *_: (print(f"stopped after {seconds} s", flush=True), os.killpg(0, signal.SIGKILL)),
    )
    signal.alarm(seconds)
    out = os.open(log, os.O_WRONLY | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["nbdev_test"]
    try:
        nbdev_test(path=path, n_workers=0)
        status = 0
    except SystemExit as e:
        status = int(bool(e.code))
    sys.stdout.flush()
    os._exit(status)


def main(jobs: int, seconds: int, paths: list[str]) -> int:
    import_what_is_slow()
    running, failed = {}, []
    with tempfile.TemporaryDirectory() as tmp:
        while paths or running:
            while paths and len(running) < jobs:
                path, log = paths.pop(0), Path(tmp, f"{len(paths)}.log")
                log.touch()
                if (pid := os.fork()) == 0:
                    try:
                        run(path, seconds, str(log))
                    finally:  # whatever happens, a fork never goes on as its parent
                        os._exit(1)
                running[pid] = path, log, time.monotonic()
            pid, status = os.wait()
            path, log, start = running.pop(pid)
            text = log.read_text(errors="replace")
            # nbdev_test is content with a path where it finds nothing to run
            bad = os.waitstatus_to_exitcode(status) != 0 or "Success." not in text
            print(
                f"{time.monotonic() - start:7.1f} s  {path}{'  FAILED' if bad else ''}", flush=True
            )
            if bad:
                failed.append(path)
                print("\n".join(text.splitlines()[-60:]), flush=True)
    if failed:
        print(f"notebooks that do not run: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
