"""Several servers, one database: what one takes in all know, and none is missed when it goes."""

import asyncio
import contextlib
import os
import signal
import threading
import time

import pytest
import requests
from postgres import new_database, server

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import KEY, born, catalog, folder, mother, put, wait_for

from prodrec import Recommender
from prodrec.apps.changes import ChangeLog
from prodrec.apps.replicas import Follower
from prodrec.apps.workspace import Versions, Workspace
from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import TfidfEmbedder

__all__ = ["catalog", "folder", "mother", "server"]  # fixtures


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.sqlite'}"
    return new_database(request.getfixturevalue("server"))


@contextlib.contextmanager
def servers(mother, folder, database: str, n: int):
    "So many processes of `prodrec serve`: (pid, address) of each."
    started = [born(mother, folder, database)[:2] for _ in range(n)]
    try:
        yield started
    finally:
        for pid, _ in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def until(found, seconds: float = 1.0) -> float:
    "The seconds until `found()` is true."
    began = time.perf_counter()
    while not found():
        assert time.perf_counter() - began < seconds
        time.sleep(0.01)
    return time.perf_counter() - began


def hits(url: str, text: str) -> dict[str, int]:
    "The products that a server recommends, by the change up to which it knows."
    answer = requests.post(f"{url}/recommend", data={"text": text, "k": 100})
    return {h["id"]: int(answer.headers["X-Change"]) for h in answer.json()["hits"]}


def test_what_one_server_takes_in_all_recommend_within_a_second(mother, folder, catalog, database):
    with servers(mother, folder, database, 2) as ((_, one), (_, other)):
        change = put(one, "new", {"title": "cotton thing"}).json()["change"]
        until(lambda: "new" in hits(other, "cotton"))
        assert hits(other, "cotton")["new"] >= change >= 1
        assert requests.get(f"{other}/ready").json()["change"] >= change
        assert requests.delete(f"{other}/products/{catalog.ids[0]}", headers=KEY).ok
        until(lambda: requests.get(f"{one}/products/{catalog.ids[0]}").status_code == 404)
        for n in range(12):  # both change the same products, in turn and at once
            writers = [
                threading.Thread(target=put, args=(url, f"p{n % 3}", {"title": f"cotton {n}{url}"}))
                for url in (one, other)
            ]
            [w.start() for w in writers], [w.join() for w in writers]
        last = ChangeLog(database).end()
        until(
            lambda: all(requests.get(f"{u}/ready").json()["change"] == last for u in (one, other))
        )
        tables = [requests.get(f"{u}/products?limit=500").json()["products"] for u in (one, other)]
        assert [{p["id"]: p for p in table} for table in tables][0] == {
            p["id"]: p for p in tables[1]
        }


def test_numbers_are_readable_in_their_order(server, database):
    "A transaction that began earlier and ends later does not hide its change from a follower."
    if database.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    log, seen, done = ChangeLog(database), [], threading.Event()

    def follow():
        position = 0
        while not done.is_set() or position < log.end():
            end = log.end()
            seen.extend(log.after(position, end, "one"))
            position = end

    def write(name: str):
        for n in range(40):
            log.write([(f"{name}-{n}", {"price": n}, None)], "one")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    reader = threading.Thread(target=follow)
    [t.start() for t in (reader, *threads)], [t.join() for t in threads]
    done.set()
    reader.join()
    assert sorted(seen) == sorted(f"{name}-{n}" for name in "abc" for n in range(40))


def test_a_follower_hears_of_a_change_at_once_and_outlives_the_database(server, database):
    if database.startswith("sqlite"):
        pytest.skip("SQLite tells nobody")
    log, ends = ChangeLog(database), []
    follower = Follower(database, lambda: ends.append(log.end()))
    follower.start()
    until(lambda: ends, 5)
    log.add("a", {"price": 1})
    assert until(lambda: ends[-1] == 1) < 0.5  # half of its beat
    server.stop(signal.SIGQUIT)
    time.sleep(0.2)
    server.start()
    log.add("b", {"price": 2})
    until(lambda: ends[-1] > 1, 5)  # after a crash PostgreSQL passes over some numbers
    assert follower.stop()


class Proxy(threading.Thread):
    """A proxy of forty lines: the next server where a connection is refused, no other wit."""

    def __init__(self, urls: list[str]):
        super().__init__(daemon=True)
        self.ports, self.n = [int(u.rpartition(":")[2]) for u in urls], 0
        self.loop, self.started = asyncio.new_event_loop(), threading.Event()

    async def backend(self):
        for _ in range(200):
            self.n += 1
            with contextlib.suppress(ConnectionError):
                ports = list(self.ports)
                return await asyncio.open_connection("127.0.0.1", ports[self.n % len(ports)])
            await asyncio.sleep(0.01)
        raise ConnectionError("no server")

    async def answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((x for x in head.lower().split(b"\r\n") if b"content-length" in x), b":0")
            body = await reader.readexactly(int(size.partition(b":")[2]))
            there, back = await self.backend()
            back.write(head.replace(b"Connection: keep-alive", b"Connection: close") + body)
            writer.write(await there.read())
            await writer.drain()
            back.close()
        writer.close()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.answer, "127.0.0.1"))
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.started.set()
        self.loop.run_forever()


def load(url: str, name: str, done: threading.Event, kept: dict, lost: list):
    "Ask and write until `done`; what was confirmed is kept, what had no answer is lost."
    n = 0
    while not done.is_set():
        n += 1
        try:
            answer = put(url, f"{name}-{n}", {"title": f"cotton {n}"}, timeout=20)
            assert answer.status_code == 200, answer.text
            kept[f"{name}-{n}"] = answer.json()["change"]
            asked = requests.post(f"{url}/recommend", data={"text": "cotton"}, timeout=20)
            assert asked.status_code == 200, asked.text
        except requests.ConnectionError:
            lost.append((time.perf_counter(), f"{name}-{n}"))


def add_version(place: Versions, catalog, price: float):
    products = Catalog(catalog.products.assign(price=price))
    made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(products)
    place.add(Workspace(recommender=made))


def test_a_version_is_replaced_under_load_without_a_lost_request(
    mother, catalog, database, tmp_path
):
    place = Versions(tmp_path / "shop")
    add_version(place, catalog, 1.0)
    folder = place.path
    with servers(mother, folder, database, 3) as started:
        old = {wait_for(url)["version"] for _, url in started}
        add_version(place, catalog, 2.0)
        proxy = Proxy([url for _, url in started])
        proxy.start()
        proxy.started.wait()
        done, kept, lost = threading.Event(), {}, []
        clients = [
            threading.Thread(target=load, args=(proxy.url, name, done, kept, lost))
            for name in ("a", "b")
        ]
        [c.start() for c in clients]
        time.sleep(0.3)
        os.kill(started[0][0], signal.SIGKILL)  # one is killed,
        killed = time.perf_counter()
        time.sleep(0.3)
        pid, url, state = born(mother, folder, database)  # one of the new version is added,
        assert len(old) == 1 and state["version"] not in old
        started.append((pid, url))
        proxy.ports = [int(u.rpartition(":")[2]) for _, u in started[1:]]
        time.sleep(0.3)
        os.kill(started[1][0], signal.SIGTERM)  # and one is drained: the proxy is not told
        time.sleep(0.6)
        done.set()
        [c.join() for c in clients]
        proxy.loop.call_soon_threadsafe(proxy.loop.stop)
        assert len(kept) > 10
        assert len(lost) <= len(clients) and all(t - killed < 0.5 for t, _ in lost), lost
        for _, url in started[2:]:
            until(lambda: wait_for(url)["change"] >= max(kept.values()), 5)  # noqa: B023
            first = requests.get(f"{url}/products?limit=500").json()
            there = {p["id"]: p["title"] for p in first["products"]}
            assert {*kept} <= {*there}
            assert all(there[i] == f"cotton {i.partition('-')[2]}" for i in kept)
