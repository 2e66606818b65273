"""Strangers against a server that runs as a process of its own: whatever they do, others are
answered and it stops.
"""

import contextlib
import http.server
import io
import json
import os
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from PIL import Image

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import KEY, born, catalog, folder, mother, picture, put, serving

from prodrec import Recommender
from prodrec.apps.live import LiveRecommender
from prodrec.apps.server import make_app
from prodrec.apps.workspace import Versions, Workspace
from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import TfidfEmbedder

__all__ = ["catalog", "folder", "mother"]  # fixtures

TIMES = {"patience": 2.0, "linger": 1.0, "drain": 2.0, "most": 150}  # for the tests to be short


class Server:
    "A process that serves a folder as `prodrec serve` does; its log is in a file."

    def __init__(self, mother, folder, place: Path, **environment):
        self.log, database = place / "log", f"sqlite:///{place}/shop.sqlite"
        self.pid, self.url, _ = born(mother, folder, database, self.log, TIMES, **environment)
        self.port = int(self.url.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def stop(self) -> float:
        "Return the seconds it took to stop."
        began = time.perf_counter()
        os.kill(self.pid, signal.SIGTERM)
        while time.perf_counter() < began + 30:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        return time.perf_counter() - began


@contextlib.contextmanager
def server_of(mother, folder, place, **environment):
    server = Server(mother, folder, place, **environment)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def server(mother, folder, tmp_path_factory):
    with server_of(mother, folder, tmp_path_factory.mktemp("attacked")) as server:
        yield server
        assert server.stop() < 10


@contextlib.contextmanager
def watched(server, path="/health"):
    "The seconds that others wait for their answers meanwhile."
    seconds, over = [], threading.Event()

    def answered():
        try:
            return requests.get(server.url + path, timeout=30).status_code == 200
        except requests.ConnectionError:  # cut off while full: ask again, as any client would
            return False

    def ask():
        while not over.is_set():
            began = time.perf_counter()
            while not answered() and not over.is_set():
                time.sleep(0.02)
            seconds.append(time.perf_counter() - began)
            time.sleep(0.02)

    assert answered()
    thread = threading.Thread(target=ask)
    thread.start()
    yield seconds
    over.set()
    thread.join()


def closed(connection: socket.socket) -> bool:
    "Whether the other side has closed; what it sends meanwhile is read."
    connection.settimeout(0.01)
    try:
        while connection.recv(65_536):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


HEADS = {
    "a byte now and then after the answer": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n", b"x"),  # noqa: E501
    "chunks without end after an early answer": (
        b"PUT /products/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),  # noqa: E501
    "a body without end": (
        b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n", b" "),  # noqa: E501
    "a head without end": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", b"a"),
    "nothing": (b"", b""),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_connections_without_end_are_bounded_in_time_and_number(server, kind):
    head, more = HEADS[kind]
    with contextlib.ExitStack() as stack, watched(server) as seconds:
        connections = [stack.enter_context(server.connect()) for _ in range(200)]
        for connection in connections:
            with contextlib.suppress(OSError):  # the oldest have made room
                connection.sendall(head)
        until = time.perf_counter() + 12
        while connections and time.perf_counter() < until:
            connections = [c for c in connections if not closed(c)]
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(more)
            time.sleep(0.2)
        assert not connections
    assert max(seconds) < 3


def test_a_client_that_does_not_read_is_cut_off_and_does_not_hold_up_a_stop(
    mother, folder, tmp_path
):
    with server_of(mother, folder, tmp_path) as server, contextlib.ExitStack() as stack:
        asked = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"

        def deaf():
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(asked * 4_000)
            return connection

        first = deaf()
        time.sleep(5)
        read = 0
        first.settimeout(5)
        with contextlib.suppress(ConnectionError):
            while part := first.recv(65_536):
                read += len(part)
        whole = len(requests.get(f"{server.url}/page.js").content)
        assert 0 < read < 4_000 * whole
        deaf()
        time.sleep(0.3)
        assert server.stop() < 10


def test_a_large_body_without_a_key_is_not_even_read(server):
    nested = b"[[],[]," * 1_400_000
    with watched(server) as seconds:
        for headers, status in (({}, 401), (KEY, 413)):
            answer = requests.post(f"{server.url}/feedback", data=nested, headers=headers)
            assert answer.status_code == status
    assert max(seconds) < 1


def test_a_question_has_a_budget(server):
    for where in (
        {"title": "a cotton tea " * 100},
        {"category": [f"junk {n}" for n in range(500)]},
        {f"column {n}": 1 for n in range(40)},
    ):
        answer = requests.post(f"{server.url}/recommend", json={"text": "cotton", "where": where})
        assert answer.status_code == 422, answer.text
    began = time.perf_counter()
    sent = {"text": "cotton", "k": 200, "collapse": 0.985, "diversity": 0.5}
    assert requests.post(f"{server.url}/recommend", json=sent).ok
    assert time.perf_counter() - began < 2


def scans(n: int) -> bytes:
    Image.new("RGB", (640, 640), "teal").save(out := io.BytesIO(), "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * n + b"\xff\xd9"


def test_pictures_made_to_keep_a_decoder_busy(server):
    photo_cd = b"\x89PNG\r\n\x1a\n".ljust(2048, b"\0") + b"PCD_OPA".ljust(1539, b"\0")
    photo_cd += bytes(96 * 2048 + 768 * 512 * 3)
    with watched(server, "/filters") as seconds:
        for data in (scans(4_000), photo_cd):
            began = time.perf_counter()
            answer = requests.post(f"{server.url}/recommend", files={"image": data})
            assert answer.status_code == 415, answer.text
            assert time.perf_counter() - began < 5
    assert max(seconds) < 2


def test_another_program_holds_the_lock_of_the_database(mother, folder, tmp_path, catalog):
    with server_of(mother, folder, tmp_path) as server:
        other = sqlite3.connect(tmp_path / "shop.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        stop = threading.Event()
        slow = [
            threading.Thread(target=put, args=(server.url, f"p{n}", {"title": "cotton"}))
            for n in range(6)
        ]
        for thread in slow:
            thread.start()
        for _ in range(5):
            began = time.perf_counter()
            assert requests.post(f"{server.url}/recommend", json={"text": "cotton"}).ok
            assert time.perf_counter() - began < 1
        began = time.perf_counter()
        told = requests.get(f"{server.url}/ready").json()
        assert (told["status"], told["database"]) == ("degraded", "does not answer")
        event = {"user": "ann", "id": catalog.ids[0]}
        answer = requests.post(f"{server.url}/feedback", json=event, headers=KEY)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        requests.post(f"{server.url}/recommend", json={"user": "ann"})
        assert time.perf_counter() - began < 10
        stop.set()
        assert server.stop() < 10
        for thread in slow:
            thread.join()
        other.rollback()


def test_paths_are_neither_filtered_by_nor_shown(server):
    made = put(server.url, "seen", {"title": "cotton tee"}, picture())
    assert made.ok
    for column in ("image", "more_images"):
        sent = {"text": "cotton", "where": {column: "/etc/passwd"}}
        answer = requests.post(f"{server.url}/recommend", json=sent)
        assert answer.status_code == 422
    hits = requests.post(f"{server.url}/recommend", json={"text": "cotton", "k": 200}).text
    listed = requests.get(f"{server.url}/products?limit=500").text
    assert "image" not in json.loads(listed)["products"][0]
    assert str(Path.home()) not in hits + listed and ".zip!" not in hits + listed
    assert requests.delete(f"{server.url}/products/seen", headers=KEY).ok


def test_only_by_its_names_and_only_with_a_key(server):
    for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil"):
        answer = requests.get(f"{server.url}/filters", headers={"Host": host})
        assert answer.status_code == 400, host
        assert requests.get(f"{server.url}/health", headers={"Host": host}).ok
    elsewhere = {"Origin": "https://evil.example"}
    answer = requests.post(f"{server.url}/recommend", json={"text": "cotton"}, headers=elsewhere)
    assert "Access-Control-Allow-Origin" not in answer.headers
    simple = {"Content-Type": "text/plain"} | elsewhere
    for path in ("/feedback", "/products", "/reload"):
        assert requests.post(server.url + path, data="{}", headers=simple).status_code == 401
    assert requests.put(f"{server.url}/products/x", data="{}", headers=simple).status_code == 401


def test_a_folder_of_a_stranger_names_no_database(catalog, tmp_path):
    evil = tmp_path / "evil" / "feedback.sqlite"
    few = catalog[catalog.ids[:20]]
    trap = Recommender(text=TfidfEmbedder(fields=("title",)), feedback=f"sqlite:///{evil}")
    trap.fit(few).save(tmp_path / "shop")
    for file in evil.parent.iterdir():
        file.unlink()
    live = LiveRecommender(tmp_path / "shop", f"sqlite:///{tmp_path}/own.sqlite").open()
    live.close()
    assert not list(evil.parent.iterdir()) and (tmp_path / "own.sqlite").exists()


def test_pictures_outside_the_folder_are_shown_only_where_that_is_allowed(
    catalog, tmp_path, caplog
):
    few = catalog[catalog.ids[:3]].products
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "private.jpg").write_bytes(picture())
    (tmp_path / "key.pem").write_text("secret")
    images = [f"{tmp_path}/photos/private.jpg", f"{tmp_path}/photos/../key.pem", None]
    made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(Catalog(few.assign(image=images)))
    made.save(tmp_path / "shop", images=False)
    (tmp_path / "shop" / "link").symlink_to(tmp_path / "photos")
    options = {"database": f"sqlite:///{tmp_path}/s.sqlite"}
    for allowed, status, told in ((None, 404, "2 of 3 pictures"), ("photos", 200, "1 of 3")):
        options["pictures"] = allowed and tmp_path / allowed
        with serving(tmp_path / "shop", **options) as (url, live):
            answers = [requests.get(f"{url}/products/{i}/picture") for i in few.index]
            assert [a.status_code for a in answers] == [status, 404, 404]
        assert told in caplog.text


def test_a_refused_product_does_not_stop_the_next_start(catalog, tmp_path):
    few = catalog[catalog.ids[:20]]
    bare = Catalog(few.products.drop(columns="price"))
    Recommender(text=TfidfEmbedder(fields=("title",))).fit(bare).save(tmp_path / "shop")
    for _ in range(2):
        database = f"sqlite:///{tmp_path}/shop.sqlite"
        with serving(tmp_path / "shop", database=database, api_key="secret") as (url, live):
            for fields in (
                {"title": "cotton tee", "price": True},
                {"title": "cotton", "price": "9"},
            ):
                assert put(url, "bad", fields).status_code == 422
            assert put(url, "good", {"title": "cotton tee", "price": 9}).ok
            assert list(live.changes.last()) == ["good"]


def test_a_bad_row_is_skipped_at_the_start(folder, tmp_path, caplog):
    database = f"sqlite:///{tmp_path}/shop.sqlite"
    live = LiveRecommender(folder, database).open()
    live.put("good", {"title": "cotton tee"})
    live.changes.add("bad", {"title": "cotton tee", "price": "cheap"}, version=live.version)
    live.changes.add("worse", {"title": ["a"]}, version=live.version)
    live.close()
    again = LiveRecommender(folder, database).open()
    again.close()
    assert "good" in again.catalog and "bad" not in again.catalog
    assert "'bad' cannot be applied" in caplog.text


def test_no_picture_is_fetched_while_it_serves(catalog, tmp_path):
    asked = []

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            time.sleep(5)

    slow = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{slow.server_address[1]}"
    few = catalog[catalog.ids[:20]].products
    far = Catalog(few.assign(image=[f"{address}/{n}.jpg" for n in range(20)]))
    Recommender(text=TfidfEmbedder(fields=("title",))).fit(far).save(tmp_path / "shop")
    with serving(tmp_path / "shop", database="sqlite://", api_key="secret") as (url, _):
        for id in far.ids[:3]:
            assert requests.get(f"{url}/products/{id}/picture").status_code == 404
        sent = {"id": far.ids[0], "within": "predicted"}
        requests.post(f"{url}/recommend", json=sent)
        assert requests.get(f"{url}/filters").ok
    slow.shutdown()
    assert not asked


def test_new_columns_need_a_schema(folder, tmp_path):
    database = f"sqlite:///{tmp_path}/shop.sqlite"
    schema = {"shelf": "text"}
    with serving(folder, database=database, api_key="secret", columns=schema) as (url, live):
        before = len(live.catalog.products.columns)
        for n in range(30):
            invented = {"title": "cotton"} | {f"f{n}-{m}": m for m in range(98)}
            answer = put(url, "x", invented)
            assert answer.status_code == 422 and "needs a schema" in answer.json()["detail"]
        assert len(live.catalog.products.columns) == before
        assert put(url, "x", {"title": "cotton", "shelf": "top"}).ok
        assert put(url, "y", {"title": "cotton", "shelf": 3}).status_code == 422


def test_a_picture_that_is_replaced_does_not_let_the_database_grow(folder, tmp_path):
    noise = np.random.default_rng(0)
    database = tmp_path / "shop.sqlite"
    live = LiveRecommender(folder, f"sqlite:///{database}").open()
    for _ in range(20):
        pixels = noise.integers(0, 256, (700, 900, 3), np.uint8)
        Image.fromarray(pixels).save(out := io.BytesIO(), "PNG")
        live.put("photo", {"title": "cotton"}, out.getvalue())
    live.close()
    size = sum(f.stat().st_size for f in tmp_path.glob("shop.sqlite*"))
    assert size < 3 * len(out.getvalue())
    assert len(live.changes.last()) == 1


def test_old_changes_do_not_win_over_a_new_version(catalog, tmp_path):
    few, place = catalog[catalog.ids[:20]], Versions(tmp_path / "shop")
    first, second = few.ids[:2]

    def version(price: float):
        products = few.products.assign(price=price)
        made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(Catalog(products))
        place.add(Workspace(recommender=made))

    version(1.0)
    with serving(place.path, api_key="secret") as (url, _):
        title = few.products.title[first]
        assert put(url, first, {"title": title, "price": 5}).ok
        assert requests.delete(f"{url}/products/{second}", headers=KEY).ok
        time.sleep(0.01)
        version(2.0)
        with_new = requests.post(f"{url}/reload", headers=KEY).json()
        assert (with_new["carried"], with_new["left"]) == (0, 2)
        assert requests.get(f"{url}/products/{first}").json()["price"] == 2
        assert requests.get(f"{url}/products/{second}").json()["price"] == 2
        assert put(url, first, {"title": title, "price": 7}).ok
        place.rollback()
        assert requests.post(f"{url}/reload", headers=KEY).json()["version"] != with_new["version"]
        assert requests.get(f"{url}/products/{second}").status_code == 404
    with serving(place.path, api_key="secret") as (url, _):
        assert requests.get(f"{url}/products/{second}").status_code == 404


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "nosuch"])
def test_no_password_is_printed(mother, folder, tmp_path, scheme):
    database, log = f"{scheme}://shop:geheim@127.0.0.1:9/shop", tmp_path / "log"
    told = "is no database URL" if scheme == "nosuch" else "does not answer"
    with contextlib.suppress(TimeoutError):
        born(mother, folder, database, log, seconds=0)
    until = time.monotonic() + 30
    while not (log.exists() and told in log.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    text = log.read_text()
    assert told in text and "geheim" not in text
    assert scheme == "nosuch" or "DatabaseAway: the database " in text and "sqlalche.me" not in text


def test_an_empty_key_is_none(folder):
    for key in ("", "  "):
        with pytest.raises(ValueError, match="`api_key` is empty"):
            make_app(folder, api_key=key)


def test_work_in_flight_is_limited_and_not_connections(folder, tmp_path, monkeypatch):
    with serving(folder, database="sqlite://") as (url, live):
        live.together.waiting, live.together.limit = 4, 1
        real = live.recommender.recommend
        monkeypatch.setattr(
            live.recommender, "recommend", lambda *a, **k: time.sleep(0.15) or real(*a, **k)
        )
        answers = []

        def ask():
            answers.append(requests.post(f"{url}/recommend", json={"text": "cotton"}))

        threads = [threading.Thread(target=ask) for _ in range(24)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        for path in ("/health", "/ready", "/products"):
            began = time.perf_counter()
            assert requests.get(url + path).ok and time.perf_counter() - began < 1
        for thread in threads:
            thread.join()
    statuses = [a.status_code for a in answers]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 4
    assert all(int(a.headers["Retry-After"]) >= 1 for a in answers if a.status_code == 503)


def test_cheap_questions_do_not_wait_for_pictures(folder, catalog, monkeypatch):
    with serving(folder, database="sqlite://") as (url, live):
        real = live.recommender.recommend

        def recommend(*args, **options):
            if "image" in options:
                time.sleep(0.5)
            return real(*args, **options)

        monkeypatch.setattr(live.recommender, "recommend", recommend)
        data = catalog.open(catalog.ids[0])
        slow = [
            threading.Thread(
                target=requests.post, args=(f"{url}/recommend",), kwargs={"files": {"image": data}}
            )
            for _ in range(8)
        ]
        for thread in slow:
            thread.start()
        time.sleep(0.3)
        began = time.perf_counter()
        for id in catalog.ids[:5]:
            assert requests.post(f"{url}/recommend", json={"id": id}).ok
        assert time.perf_counter() - began < 1.5
        for thread in slow:
            thread.join()


def test_logs_are_json_and_name_nobody(mother, folder, tmp_path, catalog):
    with server_of(mother, folder, tmp_path, PRODREC_RATE="1000") as server:
        headers = {"X-Request-ID": "mine-1"} | KEY
        event = {"user": "anna@example.org", "id": catalog.ids[0]}
        answer = requests.post(f"{server.url}/v1/feedback", json=event, headers=headers)
        assert answer.status_code == 201 and answer.headers["X-Request-ID"] == "mine-1"
        requests.post(f"{server.url}/recommend", json={"user": "anna@example.org", "k": 2})
        other = sqlite3.connect(tmp_path / "shop.sqlite")
        other.execute("DROP TABLE prodrec_events")
        other.commit()
        failed = requests.post(f"{server.url}/feedback", json=event, headers=KEY)
        assert failed.status_code in (500, 503) and "anna" not in failed.text
        server.stop()
        lines = server.log.read_text().splitlines()
    assert "anna" not in "".join(lines)
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(found) >= len(lines) - 1  # the first one says where it listens
    mine = next(f for f in found if f["request"] == "mine-1")
    assert (mine["path"], mine["status"], mine["method"]) == ("/feedback", 201, "POST")
    assert any(f.get("level") == "ERROR" and f["request"] for f in found)


def test_a_new_version_without_a_stop(mother, catalog, tmp_path):
    few, place = catalog[catalog.ids[:20]], Versions(tmp_path / "shop")

    def version(n: int):
        made = Recommender(text=TfidfEmbedder(fields=("title",))).fit(catalog[catalog.ids[:n]])
        place.add(Workspace(recommender=made))

    version(20)
    with server_of(mother, place.path, tmp_path) as server:
        before = requests.get(f"{server.url}/ready").json()
        version(30)
        assert put(server.url, "late", {"title": "cotton tee"}).ok  # it is not in the new version
        with watched(server, "/filters") as seconds:
            os.kill(server.pid, signal.SIGHUP)
            for _ in range(200):
                state = requests.get(f"{server.url}/ready").json()
                if state["version"] != before["version"]:
                    break
                time.sleep(0.05)
        assert state["products"] == 31 and max(seconds) < 3
        assert requests.get(f"{server.url}/products/late").ok
        assert len(few) == before["products"]
        answer = requests.post(f"{server.url}/v1/reload", headers=KEY)
        assert answer.json()["version"] == answer.json()["previous"]


def test_pages_elsewhere_may_ask_where_they_are_named(folder):
    origin = "https://shop.example"
    with serving(folder, database="sqlite://", origins=[origin], hosts=["api.example"]) as (url, _):
        sent = {"json": {"text": "cotton"}, "headers": {"Origin": origin, "Host": "api.example"}}
        answer = requests.post(f"{url}/recommend", **sent)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        asked["Access-Control-Request-Headers"] = "content-type"
        assert requests.options(f"{url}/recommend", headers=asked).ok
        asked["Origin"] = "https://evil.example"
        assert requests.options(f"{url}/recommend", headers=asked).status_code == 400


def test_each_client_has_its_share(folder):
    with serving(folder, database="sqlite://", rate=2) as (url, _):
        answers = [requests.post(f"{url}/recommend", json={"text": "cotton"}) for _ in range(8)]
        refused = [a for a in answers if a.status_code == 429]
        assert (
            refused
            and refused[0].json()["code"] == "too_many"
            and refused[0].headers["Retry-After"]
        )
        assert all(requests.get(f"{url}/health").ok for _ in range(10))


def test_thousands_of_products_in_one_request(folder, tmp_path):
    table = pd.DataFrame({"title": [f"cotton tee {n}" for n in range(3_000)], "price": 9.5})
    table = table.rename_axis("id").set_axis([f"b{n}" for n in range(3_000)])
    database = f"sqlite:///{tmp_path}/shop.sqlite"
    with serving(folder, database=database, api_key="secret") as (url, live):
        for kind, body in (
            ("text/csv", table.to_csv(index_label="id")),
            (
                "application/x-ndjson",
                table.reset_index(names="id").to_json(orient="records", lines=True),
            ),
        ):
            headers = KEY | {"Content-Type": kind}
            lines = requests.post(f"{url}/products", data=body, headers=headers).text.splitlines()
            told = [json.loads(line) for line in lines]
            assert [t["done"] for t in told] == [1_000, 2_000, 3_000, 3_000]
            assert told[-1]["kept"] == 3_000 and told[-1]["finished"]
        assert len(live.changes.last()) == 3_000 and live.catalog["b2999"]["price"] == 9.5
        with watched(type("Address", (), {"url": url}), "/filters") as seconds:
            requests.post(f"{url}/products", data=body, headers=headers)
        assert max(seconds) < 3


def test_a_reload_that_fails_leaves_the_old_version(folder, tmp_path):
    Recommender.load(folder).save(tmp_path / "shop")
    with serving(tmp_path / "shop", api_key="secret") as (url, live):
        (tmp_path / "shop" / "index" / "vectors.faiss").write_bytes(b"damaged")
        answer = requests.post(f"{url}/reload", headers=KEY)
        assert answer.status_code == 422 and "damaged" in answer.json()["detail"]
        assert requests.post(f"{url}/recommend", json={"text": "cotton"}).ok
