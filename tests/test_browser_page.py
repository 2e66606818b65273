"""The browser in a real one: the page's part alone, in JupyterLab, and in Voila."""

import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from sheet import Sheet, chromium, launched  # noqa: E402

from prodrec.apps.browser import Browser  # noqa: E402
from prodrec.data.demo import load_demo  # noqa: E402
from prodrec.recommend.embed import ColorHistogram, TextEmbedder  # noqa: E402
from prodrec.recommend.similar import Recommender  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
N = 120

if not chromium() and os.environ.get("CI") != "true":
    pytest.skip("Chromium is not installed: `apt-get install chromium`, or say where it is in CHROMIUM", allow_module_level=True)

from playwright.sync_api import expect, sync_playwright  # noqa: E402

CELLS = [
    """
import os, sqlite3
import pandas as pd
from prodrec.apps.browser import Browser
from prodrec.recommend.similar import Recommender

class Shop(Recommender):
    def feedback(self, user, id, event):
        with sqlite3.connect(os.environ["FEEDBACK"]) as db:
            db.execute("create table if not exists events (user, id, event)")
            db.execute("insert into events values (?, ?, ?)", (user, id, event))

    def recommend(self, k=5, *, diversity=0, more=None, less=None, within=None, **rest):
        return super().recommend(k, **rest)

recommender = Shop.load(os.environ["SHOP"])
""",
    'browser = Browser(recommender, map=pd.read_parquet(os.environ["PLANE"]), user="anna")\nbrowser',
    "Browser(recommender, k=4, id=recommender.catalog.ids[0])",
]
WIDE = {"width": 1400, "height": 1000}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    "A recommender saved once, with a map of its products."
    folder = tmp_path_factory.mktemp("shop")
    catalog = load_demo(n=N)
    recommender = Recommender(image=ColorHistogram(), text=TextEmbedder()).fit(catalog)
    recommender.save(folder / "recommender", images=True)
    places = np.random.default_rng(0).random((N, 2))
    pd.DataFrame(places, index=catalog.products.index, columns=["x", "y"]).to_parquet(folder / "plane.parquet")
    return folder


@pytest.fixture(scope="module")
def recommender(shop):
    return Recommender.load(shop / "recommender")


@pytest.fixture(scope="module")
def chrome():
    with sync_playwright() as p, launched(p) as browser:
        yield browser


@pytest.fixture
def page(chrome):
    "A page on which nothing may fail, and which may not ask for anything outside."
    context = chrome.new_context(viewport=WIDE)
    context.set_default_timeout(20_000)
    page = context.new_page()
    errors, outside = [], []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: re.match(r"https?://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:", r.url) or outside.append(r.url))
    yield page
    context.close()
    assert not errors
    assert not outside


def picture(format: str, size=(900, 700), noise=False, **options) -> bytes:
    out, rng = io.BytesIO(), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8) if noise else np.full((size[1], size[0], 3), (200, 30, 40), np.uint8)
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


def uploads() -> dict[str, tuple[bytes, str | None]]:
    "name: (file, what is said about it, None where it is taken)"
    bomb = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(bomb, "PNG")
    large = picture("PNG", (2450, 2450), noise=True, compress_level=0)
    assert len(large) > 18e6 and len(bomb.getvalue()) < 25_000
    return {
        "photo.jpg": (picture("JPEG"), None),
        "large.png": (large, None),
        "moving.gif": (picture("GIF", (60, 60)), "this is a GIF file; send a JPEG, PNG or WebP"),
        "letter.jpg": (b"Dear shop, this is not a picture at all.", "this is no picture; send a JPEG, PNG or WebP"),
        "bomb.png": (bomb.getvalue(), "13000 x 13000 is more than 40,000,000 pixels"),
    }


def send(widget, name: str, data: bytes):
    widget.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def cards(widget):
    return widget.locator(".prodrec-card")


def upload_all(widget):
    for name, (data, said) in uploads().items():
        send(widget, name, data)
        if said is None:
            expect(widget.locator(".prodrec-chip-image")).to_contain_text(name)
            expect(widget.get_by_role("alert")).to_be_hidden()
        else:
            expect(widget.get_by_role("alert")).to_contain_text(said)


def draw_around(page, canvas):
    "A lasso around the middle of the map."
    box = canvas.bounding_box()
    at = [(box["x"] + box["width"] * a, box["y"] + box["height"] * b) for a, b in ((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.3))]
    page.keyboard.down("Shift")
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")


# -- the page's part alone


def test_the_page_alone(page, recommender, shop):
    sheet = Sheet(page, Browser(recommender, map=pd.read_parquet(shop / "plane.parquet"), k=6))
    widget = page.get_by_role("region", name="Product browser")
    expect(cards(widget)).to_have_count(6)
    first = sheet.widget._view["lists"][0]["cards"][0]
    widget.get_by_role("button", name=first["title"]).first.click()
    expect(widget.locator(".prodrec-chip-id")).to_contain_text(first["title"])
    expect(widget.get_by_role("status")).to_contain_text("6 recommendations")
    assert sheet.widget.hits.ids == recommender.recommend(k=6, id=first["id"]).ids
    assert sheet.sizes[-1] < 100_000


# -- in Jupyter


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def serving(command: list[str], folder: Path, ready: str, env: dict):
    "A server of Jupyter with folders of its own, once `ready` answers; its address."
    port = free_port()
    private = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    private |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, f"--port={port}"], cwd=folder, env=os.environ | private | env | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}{ready}", timeout=10).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()[-2000:]
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def write_notebook(path: Path, cells: list[str]):
    made = [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": c.strip(), "outputs": [], "execution_count": None} for n, c in enumerate(cells)]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": spec, "cells": made}))


@pytest.fixture(scope="module")
def env(shop):
    return {"SHOP": str(shop / "recommender"), "PLANE": str(shop / "plane.parquet"), "FEEDBACK": str(shop / "feedback.sqlite")}


@pytest.fixture(scope="module")
def lab(shop, env, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (folder / "work").mkdir()
    write_notebook(folder / "work" / "shop.ipynb", CELLS)
    command = ["jupyterlab", "--no-browser", "--allow-root", "--ServerApp.token=secret", f"--ServerApp.root_dir={folder / 'work'}"]
    with serving([*command, "--LabApp.expose_app_in_browser=True"], folder, "/api?token=secret", env) as address:
        yield address


RUN = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  while (!app.shell.currentWidget?.context) await new Promise((done) => setTimeout(done, 50));
  const { context, sessionContext } = app.shell.currentWidget;
  await context.ready;
  await sessionContext.ready;
  await sessionContext.session.kernel.info;
  await app.commands.execute("notebook:run-all-cells");
}"""


def test_in_lab(page, lab, env):
    page.goto(f"{lab}/doc/tree/shop.ipynb?reset&token=secret")
    page.wait_for_function("window.jupyterapp")
    page.evaluate(RUN)
    widget, second = (page.get_by_role("region", name="Product browser").nth(n) for n in (0, 1))
    expect(cards(widget)).to_have_count(12, timeout=120_000)
    expect(cards(second)).to_have_count(4)

    drive(page, widget)

    # keys that mean something to the notebook stay in the widget
    cards(widget).first.locator("button").first.focus()
    for key in ("d", "d", "x", "m", "ArrowRight"):
        page.keyboard.press(key)
    expect(cards(widget).nth(1).locator("button").first).to_be_focused()
    assert page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 3

    expect(cards(second)).to_have_count(4)  # nothing that was done in the first has changed the second
    with sqlite3.connect(env["FEEDBACK"]) as db:
        rows = db.execute("select user, event from events").fetchall()
    assert rows == [("anna", "like")]


def drive(page, widget):
    "A walk through everything."
    title = cards(widget).nth(2).locator(".prodrec-title").inner_text()
    cards(widget).nth(2).locator(".prodrec-face").click()
    expect(widget.locator(".prodrec-chip-id")).to_contain_text(title)
    expect(widget.locator(".prodrec-scorebar").first).to_be_visible()
    widget.get_by_role("button", name="Back (Backspace)").click()
    expect(widget.locator(".prodrec-chip")).to_have_count(0)

    widget.get_by_role("slider", name="Products").fill("6")
    expect(cards(widget)).to_have_count(6)
    widget.get_by_role("checkbox", name="boot").check()
    expect(widget.locator(".prodrec-facts")).to_have_text([re.compile("^boot ")] * 6)
    widget.get_by_role("button", name="Clear filters").click()
    expect(widget.get_by_role("checkbox", name="boot")).not_to_be_checked()

    upload_all(widget)

    widget.get_by_role("button", name="Map", exact=True).click()
    canvas = widget.get_by_role("img", name=re.compile("^Map of the products"))
    expect(widget.locator(".prodrec-map")).to_have_attribute("data-painted", re.compile(r"\d"))
    canvas.scroll_into_view_if_needed()
    draw_around(page, canvas)
    expect(widget.get_by_role("tab", name=re.compile("Selected on the map"))).to_have_attribute("aria-selected", "true")
    widget.get_by_role("button", name="Clear selection").click()
    expect(widget.get_by_role("tab")).to_have_count(0)

    cards(widget).first.hover()
    cards(widget).first.get_by_role("button", name="More like this").click()
    expect(widget.locator(".prodrec-chip-more")).to_have_count(1)
