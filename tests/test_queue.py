"""Jobs in a table: one worker each, none lost where a worker is killed, each result kept once."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from postgres import new_database, server

from prodrec.apps.queue import ATTEMPTS, JobQueue, LeaseLost, work_once

__all__ = ["server"]  # a fixture


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    return new_database(request.getfixturevalue("server"))


def test_many_workers_do_each_job_once(url):
    queue, seen = JobQueue(url), []
    numbers = [queue.add("count", {"n": n}) for n in range(30)]

    def work(name: str):
        own = JobQueue(url)
        while work_once(own, {"count": lambda job, _: seen.append(job.number)}, name):
            pass

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert sorted(seen) == numbers
    assert queue.to_frame()["state"].eq("finished").all()


def test_a_killed_worker_loses_its_job_to_the_next_one(url):
    queue = JobQueue(url)
    number = queue.add("slow", {"steps": 10})
    code = """
        import sys, time
        from prodrec.apps.queue import JobQueue, work_once
        def slow(job, queue):
            queue.renew(job, {"step": 4}, lease=0.8)
            print("at work", flush=True)
            time.sleep(60)
        work_once(JobQueue(sys.argv[1]), {"slow": slow}, "killed", lease=0.8)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), url]
    dying = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert dying.stdout.readline() == "at work\n"
    time.sleep(1.2)  # longer than its lease, which it renews
    assert queue.claim("other") is None
    dying.send_signal(signal.SIGKILL)
    dying.wait(20)
    until, job = time.monotonic() + 10, None
    while job is None and time.monotonic() < until:
        job = queue.claim("other")
        time.sleep(0.05)
    assert (job.number, job.attempts, job.done) == (number, 2, {"step": 4})
    queue.finish(job, {"step": 10})
    assert queue.to_frame().loc[number, ["state", "worker"]].tolist() == ["finished", "other"]


def test_who_has_lost_its_lease_says_nothing_any_more():
    queue = JobQueue("sqlite://")
    queue.add("import")
    late = queue.claim("a", lease=-1)
    again = queue.claim("a")  # the same name, another attempt
    for call in (queue.finish, queue.renew, lambda job: queue.fail(job, "no")):
        with pytest.raises(LeaseLost, match="no longer 'a'"):
            call(late)
    queue.finish(again)


def test_errors_that_may_pass_are_tried_again_and_others_not():
    queue = JobQueue("sqlite://")
    queue.add("a"), queue.add("b")

    def broken(job, _):
        raise OSError("postgresql://shop:secret@db/shop does not answer")

    def wrong(job, _):
        raise ValueError("the table needs a column id")

    while work_once(queue, {"a": broken, "b": wrong}, "w"):
        pass
    table = queue.to_frame()
    assert table["attempts"].tolist() == [ATTEMPTS, 1]
    assert table["state"].eq("failed").all()
    assert table["error"].iloc[1] == "the table needs a column id"
    assert "secret" not in table["error"].iloc[0]


def test_other_kinds_of_jobs_are_left_alone_and_the_order_is_kept():
    queue = JobQueue("sqlite://")
    first = [queue.add(kind) for kind in ("retrain", "import", "import")]
    assert [queue.claim("w", ["import"]).number for _ in range(2)] == first[1:]
    assert queue.claim("w", ["import"]) is None and "1 waiting, 2 running" in repr(queue)


def test_a_job_that_cannot_be_written_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        JobQueue("sqlite://").add("import", {"rows": float("nan")})
    with pytest.raises(ValueError, match="no database URL"):
        JobQueue("nothing")
