"""A server that tests can talk to, in this process or in one that can be killed, and what its
clients do.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from PIL import Image

from prodrec import Recommender, audit, load_demo
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
import uvicorn
from postgres import free_port
from sheet import chromium

from prodrec.apps.guards import Impatient
from prodrec.apps.server import make_app

KEY = {"X-API-Key": "secret"}


def start(app) -> tuple[uvicorn.Server, threading.Thread, str]:
    hasty = type("Hasty", (Impatient,), {"patience": 1.5, "linger": 1.0, "drain": 1.5})
    running = uvicorn.Server(uvicorn.Config(app, port=0, http=hasty, log_level="critical"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    return running, thread, f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"


@contextlib.contextmanager
def serving(*args, **options):
    app = make_app(*args, **options)
    running, thread, url = start(app)
    try:
        yield url, app.state.live
    finally:
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def catalog():
    return audit(load_demo(80, seed=4)).clean()


@pytest.fixture(scope="module")
def folder(catalog, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "recommender"
    Recommender(image=ColorHistogram((40, 30)), text=TfidfEmbedder(fields=("title",))).fit(
        catalog
    ).save(path)
    return path


def picture(size=(60, 80), kind="JPEG", colour="red") -> bytes:
    Image.new("RGB", size, colour).save(out := io.BytesIO(), kind)
    return out.getvalue()


def put(url: str, id: str, fields: dict, image: bytes | None = None, **options):
    files = None if image is None else {"image": image}
    return requests.put(
        f"{url}/products/{id}",
        data={"fields": json.dumps(fields)},
        files=files,
        **{"headers": KEY} | options,
    )


# imports once, then becomes a server as often as it is asked to; nothing has run in it that could
# not be forked
MOTHER = """
import json, os, signal, sys
from prodrec.apps import server
from prodrec.apps.guards import Impatient
from prodrec.apps.live import ChangeLog, LiveRecommender
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if (pid := os.fork()) == 0:
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        os.environ.update(asked["environment"])
        for name, value in asked["times"].items():
            setattr(Impatient, name, value)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        server.serve(asked["folder"], port=asked["port"], patience=2.0)
        os._exit(0)
    print(pid, flush=True)
"""


@pytest.fixture(scope="module")
def mother():
    process = subprocess.Popen(
        [sys.executable, "-c", MOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(20)


def born(
    mother, folder, database: str, log=os.devnull, times=None, seconds: float = 30, **environment
) -> tuple[int, str, dict]:
    "The pid, the address and the first state of a new server."
    port = free_port()
    given = {"PRODREC_API_KEY": "secret", "PRODREC_DATABASE": database} | environment
    asked = {"folder": str(folder), "port": port, "log": str(log), "times": times or {}}
    mother.stdin.write(json.dumps(asked | {"environment": given}) + "\n")
    mother.stdin.flush()
    pid, url = int(mother.stdout.readline()), f"http://127.0.0.1:{port}"
    return pid, url, wait_for(url, seconds)


def wait_for(url: str, seconds: float = 30) -> dict:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/ready", timeout=5).json()
        time.sleep(0.02)
    raise TimeoutError(url)


@contextlib.contextmanager
def killed_after(seconds: float, pid: int, how: int = signal.SIGKILL):
    killer = threading.Timer(seconds, os.kill, (pid, how))
    killer.start()
    yield
    killer.join()


KILLS = int(os.environ.get("PRODREC_KILLS", 0))  # `make kills`; 0: as many as a test can afford


@contextlib.contextmanager
def asked_meanwhile(url: str, clients: int = 4):
    "Let clients ask the server for recommendations until it is dead."

    def ask(n: int) -> int:
        session, answers = requests.Session(), 0
        with contextlib.suppress(requests.RequestException):
            while session.post(f"{url}/recommend", data={"text": f"cotton {n}"}, timeout=10).ok:
                answers += 1
        return answers

    with ThreadPoolExecutor(clients) as pool:
        yield [pool.submit(ask, n) for n in range(clients)]


def write_until_dead(url: str, n: int, draw, confirmed: dict, begun: dict):
    """Put products one after the other, and now and then take one away; what is confirmed is
    written down.
    """
    session = requests.Session()
    session.headers.update(KEY)
    with contextlib.suppress(requests.RequestException):
        for m in range(10_000):
            gone = draw.random() < 0.2 and any(v is not None for v in confirmed.values())
            id = (
                draw.choice([i for i, v in confirmed.items() if v is not None])
                if gone
                else f"p{n}-{m}"
            )
            begun[id] = None if gone else f"cotton {m}"
            if gone:
                answer = session.delete(f"{url}/products/{id}", timeout=10)
            else:
                answer = session.put(
                    f"{url}/products/{id}",
                    data={"fields": json.dumps({"title": begun[id]})},
                    timeout=10,
                )
            assert answer.ok, answer.text
            confirmed[id] = begun.pop(id)


def check_all(url: str, state: dict, confirmed: dict, begun: dict):
    "All that was confirmed is there, what was begun may be, and products and index agree."
    there, offset, page = {}, 0, {"products": [None]}
    while page["products"]:
        page = requests.get(f"{url}/products", params={"limit": 500, "offset": offset}).json()
        there |= {p["id"]: p["title"] for p in page["products"] if p["id"].startswith("p")}
        offset += len(page["products"])
    for id, title in begun.items():  # it was cut off: done or not, from now on it is what is there
        assert there.get(id) in (title, confirmed.get(id))
        confirmed[id] = there.get(id)
    begun.clear()
    assert there == {i: t for i, t in confirmed.items() if t is not None}
    assert page["total"] == state["products"] == offset
    for id in list(there)[-2:]:
        hits = requests.post(f"{url}/recommend", data={"id": id, "k": 3}).json()["hits"]
        assert len(hits) == 3 and id not in [h["id"] for h in hits]


def page_driver():
    """Playwright; where there is no Chromium the test is skipped, but not where all of it has to
    be there.
    """
    if chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Chromium: `apt-get install chromium`")
        pytest.skip(
            "there is no Chromium to drive: `apt-get install chromium`, or say where it is in CHROMIUM"  # noqa: E501
        )
    return pytest.importorskip("playwright.sync_api")
