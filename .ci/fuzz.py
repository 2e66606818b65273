"""Look for inputs that break a promise, for as long as you have.

`python .ci/fuzz.py --minutes 10` gives each target of tests/fuzzing.py its share of the time, and
prints the smallest input that fails, if there is one, and how many were tried.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import fuzzing  # noqa: E402
from hypothesis import HealthCheck, given, seed, settings  # noqa: E402


def targets() -> dict:
    "Return (strategy, what must hold) by name."
    folders, app = fuzzing.saved(), fuzzing.App()
    return {
        "uploads": (fuzzing.damaged(fuzzing.pictures()), fuzzing.upload),
        "archives": (fuzzing.damaged(fuzzing.archives()), fuzzing.archive),
        "tables": (fuzzing.tables(), fuzzing.table),
        "filters": (fuzzing.JSON, fuzzing.wish),
        "saved folders": (
            fuzzing.broken_folders(folders, native=True),
            lambda case: fuzzing.load(folders, case),
        ),
        "request bodies": (fuzzing.requests(), app),
    }


def searched(strategy, holds, seconds: float) -> tuple[int, BaseException | None]:
    "Return how many inputs were tried, and what the first one raised that should not."
    until, tried, round_ = time.monotonic() + seconds, [0], 0

    def run(value):
        tried[0] += 1
        holds(value)

    quiet = settings(
        max_examples=100,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    while time.monotonic() < until:
        try:
            seed(round_)(quiet(given(strategy)(run)))()
        except Exception as e:
            return tried[0], e
        round_ += 1
    return tried[0], None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of targets")
    args = parser.parse_args()
    chosen = targets().items()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libjpeg comments on every damaged picture
    chosen = [(n, t) for n, t in chosen if not args.only or any(o in n for o in args.only)]
    failed = 0
    for name, (strategy, holds) in chosen:
        tried, wrong = searched(strategy, holds, 60 * args.minutes / len(chosen))
        print(
            f"{name}: {tried:,} tried, {'nothing found' if wrong is None else 'FOUND'}", flush=True
        )
        if wrong is not None:
            failed += 1
            traceback.print_exception(wrong, limit=-6, file=sys.stdout)
    sys.stdout.flush()
    os._exit(failed > 0)


if __name__ == "__main__":
    main()
