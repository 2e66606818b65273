"Products and feedback on a real PostgreSQL server, which is stopped, started and killed."

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import sqlalchemy as sa
from postgres import new_database, server

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import (
    KEY,
    KILLS,
    asked_meanwhile,
    born,
    catalog,
    check_all,
    folder,
    killed_after,
    mother,
    put,
    serving,
    write_until_dead,
)

from prodrec.apps.live import ChangeLog
from prodrec.recommend.profiles import Feedback

__all__ = ["catalog", "folder", "mother", "server"]  # fixtures


@pytest.fixture
def url(server):
    "A database of its own for each test."
    return new_database(server)


def test_without_its_driver_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        ImportError, match=r"`psycopg` is not installed: pip install \"prodrec\[postgres\]\""
    ):
        Feedback("postgresql://nobody@127.0.0.1:1/shop")


def test_changes_are_kept_in_their_order(url):
    changes = ChangeLog(url)
    changes.add("a", {"title": "Mug\0", "price": 1.5, "note": None}, b"\0\xff" * 5_000)
    changes.add("b", {"title": "ünï 🫖"})
    changes.add("a", None)
    changes.add("c", {"title": "Cup"}, b"\0\1")
    changes.add("b", {"title": "Pot"})
    assert list(ChangeLog(url).last().items()) == [
        ("a", (None, None)), ("c", ({"title": "Cup"}, b"\0\1")), ("b", ({"title": "Pot"}, None)),
    ]  # fmt: skip


def test_processes_that_begin_at_once_lose_nothing(url):
    code = """
        import sys
        from prodrec.recommend.profiles import Feedback
        print("ready", flush=True)
        sys.stdin.readline()  # all of them make the tables at the same moment
        feedback = Feedback(sys.argv[1])
        for i in range(40):
            feedback.add(f"u{sys.argv[2]}", f"p{i}", "view")
    """
    command = [sys.executable, "-c", textwrap.dedent(code), url]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    writers = [subprocess.Popen([*command, str(n)], text=True, **pipes) for n in range(2)]
    assert all(w.stdout.readline() == "ready\n" for w in writers)
    for w in writers:
        w.stdin.write("\n")
        w.stdin.flush()
    for w in writers:
        _, error = w.communicate(timeout=120)
        assert w.returncode == 0, error
    events = Feedback(url).events()
    found = sorted(zip(events["user"], events["id"], strict=True))
    assert found == sorted((f"u{n}", f"p{i}") for n in range(2) for i in range(40))
    assert events["time"].is_monotonic_increasing


def test_tables_made_by_many_at_once(url):
    with ThreadPoolExecutor(8) as pool:
        changes = list(pool.map(lambda _: ChangeLog(url), range(8)))
        list(pool.map(lambda n: changes[n % 8].add(f"p{n}", {"title": "Mug"}), range(64)))
    assert sorted(ChangeLog(url).last()) == sorted(f"p{n}" for n in range(64))


def test_products_and_feedback_are_there_again(url, folder, catalog):
    liked, gone = catalog.ids[3], catalog.ids[4]
    with serving(folder, database=url, api_key="secret") as (address, _):
        assert put(address, "new/one", {"title": "cotton thing", "price": 5}).ok
        assert requests.delete(f"{address}/products/{gone}", headers=KEY).ok
        event = {"user": "ann", "id": liked, "event": "dislike"}
        assert requests.post(f"{address}/feedback", json=event, headers=KEY).status_code == 201
    with serving(folder, database=url) as (address, _):
        assert requests.get(f"{address}/products/new/one").json()["price"] == 5
        assert requests.get(f"{address}/products/{gone}").status_code == 404
        hits = requests.post(
            f"{address}/recommend", data={"user": "ann", "text": "cotton", "k": 100}
        ).json()["hits"]
        assert liked not in [h["id"] for h in hits] and "new/one" in [h["id"] for h in hits]


def test_names_with_a_zero_are_refused(url, folder, catalog):
    with serving(folder, database=url, api_key="secret") as (address, _):
        for path, options in [
            ("/recommend", {"data": {"user": "a\0b"}}),
            ("/feedback", {"json": {"user": "a\0b", "id": catalog.ids[0]}, "headers": KEY}),
        ]:
            assert requests.post(address + path, **options).status_code == 422
        assert put(address, "a%00b", {"title": "cotton"}).status_code == 422
        assert put(address, "a", {"title": "cot\0ton"}).status_code == 422


def test_a_database_that_goes_away_and_comes_back(url, server, folder, catalog):
    with serving(folder, database=url, api_key="secret") as (address, _):
        assert put(address, "before", {"title": "cotton"}).ok
        for how in (signal.SIGINT, signal.SIGQUIT):  # stopped, and as if it had crashed
            server.stop(how)
            try:
                event = {"user": "ann", "id": catalog.ids[0]}
                refused = [
                    put(address, "meanwhile", {"title": "cotton"}),
                    requests.delete(f"{address}/products/{catalog.ids[1]}", headers=KEY),
                    requests.post(f"{address}/feedback", json=event, headers=KEY),
                    requests.post(f"{address}/recommend", data={"user": "ann"}),
                    requests.post(f"{address}/reload", headers=KEY),
                ]
                for answer in refused:
                    assert answer.status_code == 503 and answer.json()["code"] == "unavailable", (
                        answer.text
                    )
                    assert "psycopg" not in answer.text and str(server.port) not in answer.text
                assert requests.post(
                    f"{address}/recommend", data={"text": "cotton"}
                ).ok  # this needs no database
                assert requests.get(f"{address}/products/meanwhile").status_code == 404
                assert requests.get(f"{address}/products/{catalog.ids[1]}").ok
            finally:
                server.start()
            assert put(address, "after", {"title": "cotton"}).ok
            assert requests.post(f"{address}/recommend", data={"user": "ann"}).ok


def test_the_server_killed_at_random_moments(mother, folder, url):
    draw, confirmed, begun, answered = random.Random(1), {}, {}, 0
    for n in range(KILLS or 5):
        pid, address, state = born(mother, folder, url)
        check_all(address, state, confirmed, begun)
        with asked_meanwhile(address) as asking, killed_after(draw.uniform(0.2, 1.0), pid):
            write_until_dead(address, n, draw, confirmed, begun)
        answered += sum(a.result() for a in asking)
    print(f"{n + 1} kills, {len(confirmed)} products confirmed, {answered} questions answered")
    assert len(confirmed) > n / 2 and answered > n


def test_the_database_killed_while_it_writes(server, url):
    changes, confirmed = ChangeLog(url), []
    with killed_after(0.3, server._process.pid, signal.SIGQUIT):
        with pytest.raises(sa.exc.OperationalError):
            for n in range(100_000):
                changes.add(f"p{n}", {"title": json.dumps(n)})
                confirmed.append(f"p{n}")
    server._process.wait(20)
    server.start()
    kept = list(changes.last())
    assert confirmed and kept[: len(confirmed)] == confirmed and len(kept) <= len(confirmed) + 1


def test_a_table_that_another_program_has_locked(mother, folder, catalog, url, tmp_path):
    import psycopg

    pid, address, _ = born(mother, folder, url, tmp_path / "log")
    event = {"user": "user-4711", "id": catalog.ids[0]}
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE prodrec_events, prodrec_changes IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(8) as pool:
            waiting = [
                pool.submit(put, address, f"p{n}", {"title": "cotton"}, timeout=30)
                for n in range(3)
            ]
            for _ in range(5):
                began = time.perf_counter()
                assert requests.post(f"{address}/recommend", data={"text": "cotton"}).ok
                assert time.perf_counter() - began < 1
            began = time.perf_counter()
            told = requests.get(f"{address}/ready").json()
            assert (told["status"], told["database"]) == ("degraded", "does not answer")
            answers = [
                requests.post(f"{address}/feedback", json=event, headers=KEY),
                requests.post(f"{address}/recommend", data={"user": "user-4711"}),
                *(w.result() for w in waiting),
            ]
            assert [a.status_code for a in answers] == [503] * 5
            assert all(a.headers["Retry-After"] for a in answers)
            assert time.perf_counter() - began < 15
        began = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            while time.perf_counter() < began + 20:
                os.kill(pid, 0)
                time.sleep(0.05)
        assert time.perf_counter() - began < 10
    assert "user-4711" not in (tmp_path / "log").read_text()
