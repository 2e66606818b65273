"""The browser in a real one: the page's part alone, in JupyterLab, and in Voila."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from sheet import Canvas, chromium, launched, watched  # noqa: E402

from prodrec.apps.browser import Browser  # noqa: E402
from prodrec.apps.browser_messages import HANDLERS  # noqa: E402
from prodrec.data.demo import load_demo  # noqa: E402
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder  # noqa: E402
from prodrec.recommend.profiles import Feedback  # noqa: E402
from prodrec.recommend.recommender import Recommender  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
N = 120

if not chromium() and os.environ.get("CI") != "true":
    pytest.skip(
        "Chromium is not installed: `apt-get install chromium`, or say where it is in CHROMIUM",
        allow_module_level=True,
    )

from playwright.sync_api import expect, sync_playwright  # noqa: E402

CELLS = [
    """
import os
import pandas as pd
from prodrec.apps.browser import Browser
from prodrec.recommend.recommender import Recommender

recommender = Recommender.load(os.environ["SHOP"], feedback=os.environ["FEEDBACK"])
""",
    'browser = Browser(recommender, map=pd.read_parquet(os.environ["PLANE"]), me="anna")\nbrowser',
    "Browser(recommender, k=4, id=recommender.catalog.ids[0])",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    "A recommender saved once, with a map of its products."
    folder = tmp_path_factory.mktemp("shop")
    catalog = load_demo(n=N)
    recommender = Recommender(image=ColorHistogram(), text=TfidfEmbedder()).fit(catalog)
    recommender.save(folder / "recommender", images=True)
    places = np.random.default_rng(0).random((N, 2))
    pd.DataFrame(places, index=catalog.products.index, columns=["x", "y"]).to_parquet(
        folder / "plane.parquet"
    )
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
    with watched(chrome) as page:
        yield page


def picture(format: str, size=(900, 700), noise=False, **options) -> bytes:
    out, rng = io.BytesIO(), np.random.default_rng(0)
    pixels = (
        rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        if noise
        else np.full((size[1], size[0], 3), (200, 30, 40), np.uint8)
    )
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def uploads(tmp_path_factory) -> dict[Path, str | None]:
    "file: what is said about it, None where it is taken"
    folder = tmp_path_factory.mktemp("uploads")
    bomb = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(bomb, "PNG")
    large = picture("PNG", (2450, 2450), noise=True, compress_level=0)
    assert len(large) > 18e6 and len(bomb.getvalue()) < 25_000
    made = {
        "photo.jpg": (picture("JPEG"), None),
        "large.png": (large, None),
        "moving.gif": (picture("GIF", (60, 60)), "this is a GIF file; send a JPEG, PNG or WebP"),
        "letter.jpg": (
            b"Dear shop, this is not a picture at all.",
            "this is no picture; send a JPEG, PNG or WebP",
        ),
        "bomb.png": (bomb.getvalue(), "13000 x 13000 is more than 40,000,000 pixels"),
    }
    for name, (data, _) in made.items():
        (folder / name).write_bytes(data)
    return {folder / name: said for name, (_, said) in made.items()}


def send(widget, file: Path):
    widget.locator("input[type=file]").set_input_files(file)


def cards(widget):
    return widget.locator(".prodrec-card")


def upload_all(widget, uploads):
    for file, said in uploads.items():
        send(widget, file)
        if said is None:
            expect(widget.locator(".prodrec-chip-image")).to_contain_text(file.name)
            expect(widget.get_by_role("alert")).to_be_hidden()
        else:
            expect(widget.get_by_role("alert")).to_contain_text(said)


def draw_around(page, canvas):
    "A lasso around the middle of the map."
    box = canvas.bounding_box()
    at = [
        (box["x"] + box["width"] * a, box["y"] + box["height"] * b)
        for a, b in ((0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.3))
    ]
    page.keyboard.down("Shift")
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")


# -- the page's part alone


@pytest.fixture
def sheet(page, recommender, shop):
    "How to open a browser on a bare page: a `Sheet`, and the locator of the widget."

    def opened(style="", made_from=recommender, **options):
        sheet = Canvas(page, Browser(made_from, **options), style)
        return sheet, page.get_by_role("region", name="Product browser")

    return opened


def test_an_answer_is_one_message(sheet, recommender):
    made, widget = sheet(k=6)
    first = made.widget._view["lists"][0]["cards"][0]
    widget.get_by_role("button", name=first["title"]).first.click()
    expect(widget.locator(".prodrec-chip-id")).to_contain_text(first["title"])
    expect(widget.get_by_role("status")).to_contain_text("6 recommendations")
    assert made.widget.hits.ids == recommender.recommend(k=6, id=first["id"], collapse=True).ids
    assert len(made.sizes) == 1 and made.sizes[0] < 60_000
    expect(widget).to_have_attribute("aria-busy", "false")


def test_uploads_are_shrunk_before_they_are_sent(sheet, uploads, monkeypatch):
    made, widget = sheet(k=3)
    sent = []
    do = HANDLERS["upload"]

    def noted(browser, content, buffers):
        sent.append((content["name"], content["size"], len(buffers[0])))
        return do(browser, content, buffers)

    monkeypatch.setitem(HANDLERS, "upload", noted)
    upload_all(widget, uploads)
    assert [name for name, *_ in sent] == [file.name for file in uploads]
    for file, (_, size, travelled) in zip(uploads, sent, strict=True):
        assert size == file.stat().st_size
        assert travelled < 200_000


def test_search_box(sheet, page, recommender):
    made, widget = sheet(k=3)
    box = widget.get_by_role("combobox", name="Words, a product")
    box.fill("boot")
    expect(widget.locator(".prodrec-found li")).to_have_count(1 + len(made.widget.find("boot", 6)))
    box.press("ArrowDown")
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", re.compile("option-.*-1$"))
    box.press("Enter")
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    assert made.widget.query["id"] == made.widget.find("boot", 6)[0]
    box.fill("leather")
    box.press("Shift+Enter")  # beside what is asked already
    expect(widget.locator(".prodrec-chip")).to_have_count(2)
    widget.get_by_role("button", name="Remove leather").click()
    expect(widget.locator(".prodrec-chip")).to_have_count(1)
    box.fill("xyzzy")
    box.press("Enter")
    expect(widget.get_by_role("alert")).to_contain_text("no known word")
    expect(box).to_have_value("xyzzy")  # to be mended
    expect(widget.locator(".prodrec-chip")).to_have_count(1)


def test_keys(sheet, page):
    made, widget = sheet(k=12)
    faces = widget.locator(".prodrec-face")
    faces.first.focus()
    page.keyboard.press("ArrowRight")
    expect(faces.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(faces.nth(1)).not_to_be_focused()
    page.keyboard.press("Enter")
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    expect(faces.first).to_be_focused()  # the old card is gone; the next key should not be lost
    page.keyboard.press("Backspace")
    expect(widget.locator(".prodrec-chip-id")).to_have_count(0)
    assert made.widget.trail == [{}]


def test_nothing_is_html(sheet, page):
    catalog = load_demo(n=N)
    nasty = "<img src=x onerror=document.title='broken'><b>bold</b>"
    bad = type(catalog)(catalog.products.assign(title=nasty, brand=nasty, category=nasty + "s"))
    bad.products.loc[bad.ids[:50], "category"] = "plain"
    made, widget = sheet(
        made_from=Recommender(image=ColorHistogram()).fit(bad), id=bad.ids[0], k=3, paths=False
    )
    expect(widget.locator(".prodrec-title").first).to_have_text(nasty)
    widget.locator(".prodrec-input").fill("<b>")
    expect(widget.locator(".prodrec-found li").nth(0)).to_contain_text(nasty)
    assert widget.locator("b b, img[src=x]").count() == 0
    assert page.title() == "Browser"


def test_map_and_grid_know_each_other(sheet, page, shop):
    plane = pd.read_parquet(shop / "plane.parquet")
    made, widget = sheet(map=plane, k=5)
    widget.get_by_role("button", name="Map", exact=True).click()
    canvas = widget.get_by_role("img", name=re.compile("^Map"))
    expect(widget.locator(".prodrec-map")).to_have_attribute("data-painted", re.compile(r"\d"))
    draw_around(page, canvas)
    expect(widget.get_by_role("tab", selected=True)).to_contain_text("Selected on the map")
    x, y = (plane[c] - (plane[c].min() + plane[c].max()) / 2 for c in "xy")
    middle = plane.index[(x.abs() < 0.1) & (y.abs() < 0.1)]
    assert set(middle) <= set(made.widget.selection) and len(made.widget.selection) < N / 2
    made.widget.select([])
    made.push()
    expect(widget.get_by_role("tab")).to_have_count(0)

    # what lies under the pointer is asked for when it does, shown, and becomes the question
    box, span = canvas.bounding_box(), (plane.max() - plane.min()).max()
    id = ((plane.x - 0.5) ** 2 + (plane.y - 0.5) ** 2).idxmin()
    to_page = min(box["width"], box["height"]) * 0.94 / span
    at = (
        box["x"] + box["width"] / 2 + x[id] * to_page,
        box["y"] + box["height"] / 2 - y[id] * to_page,
    )
    page.mouse.move(*at)
    title = made.widget.recommender.catalog[id].title
    expect(widget.locator(".prodrec-tip")).to_contain_text(title)
    page.mouse.click(*at)
    expect(widget.locator(".prodrec-chip-id")).to_contain_text(title)
    assert made.widget.query["id"] == id


def test_code_and_what_is_set_from_code(sheet, recommender):
    made, widget = sheet(id=recommender.catalog.ids[3], k=4)
    widget.get_by_role("button", name="Code", exact=True).click()
    text = widget.locator(".prodrec-codetext").inner_text()
    assert eval(text, {"recommender": recommender}).ids == made.widget.hits.ids
    made.events.clear()
    made.widget.query = {"text": "summer dress", "k": 2, "where": {"category": ["dress"]}}
    made.push()
    expect(cards(widget)).to_have_count(2)
    expect(widget.get_by_role("checkbox", name="dress")).to_be_checked()
    expect(widget.locator(".prodrec-codetext")).to_contain_text("'summer dress'")


def test_two_recommenders_side_by_side(sheet, recommender):
    looks = Recommender(image=ColorHistogram()).fit(recommender.catalog)
    made, widget = sheet(
        compare=looks, labels=("both", "looks"), id=recommender.catalog.ids[1], k=5
    )
    expect(widget.locator(".prodrec-list")).to_have_count(2)
    expect(widget.locator("h3").filter(has_text="looks")).to_be_visible()
    expect(cards(widget)).to_have_count(10)
    ranks = made.widget.hits.ids, made.widget.compared.ids
    for side, here, there in zip(
        widget.locator(".prodrec-list").all(), ranks, ranks[::-1], strict=True
    ):
        moves = [there.index(i) - n if i in there else None for n, i in enumerate(here)]
        said = [
            "only here"
            if m is None
            else "= same place"
            if not m
            else f"{'▲' if m > 0 else '▼'} {abs(m)} place"
            for m in moves
        ]
        expect(side.locator(".prodrec-both")).to_contain_text(said)
    twin = next(i for i in ranks[0] if i in ranks[1])
    widget.locator(f".prodrec-card[data-id='{twin}']").first.hover()
    expect(widget.locator(".prodrec-marked")).to_have_count(2)  # the same product on both sides
    expect(widget.get_by_text(re.compile("of 5 in both")).first).to_be_visible()


@pytest.mark.parametrize("width", [360, 700, 1400])
def test_fits_its_place(sheet, page, width, shop):
    page.set_viewport_size({"width": width, "height": 900})
    _, widget = sheet("body { margin: 0 }", map=pd.read_parquet(shop / "plane.parquet"), k=6)
    widget.get_by_role("button", name="Map", exact=True).click()
    expect(cards(widget)).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = cards(widget).first.bounding_box()
    assert 100 <= first["width"] <= 360


def test_reads_in_the_dark(sheet, page, recommender):
    dark = ":root { --jp-layout-color1: #111; --jp-ui-font-color1: rgba(255, 255, 255, 0.87); --jp-brand-color1: #2196f3 }"  # noqa: E501
    _, widget = sheet(dark, id=recommender.catalog.ids[0], k=3)
    weak = page.evaluate(CONTRAST)
    assert not weak


CONTRAST = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const c of colours) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (c) => c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const weak = [];
  for (const node of document.querySelectorAll(".prodrec-browser *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.offsetParent || getComputedStyle(node).opacity < 1 || node.closest(".prodrec-none")) continue;
    const behind = [];
    for (let n = node; n; n = n.parentElement) behind.unshift(getComputedStyle(n).backgroundColor);
    const back = rgb(["#fff", ...behind]), ink = rgb(["#fff", ...behind, getComputedStyle(node).color]);
    const [a, b] = [light(back), light(ink)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) weak.push([node.className, node.textContent.slice(0, 30), back, ink]);
  }
  return weak;
}"""  # noqa: E501


# -- in Jupyter


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def serving(command: list[str], folder: Path, ready: str, env: dict):
    "A server of Jupyter with folders of its own, once `ready` answers; its address."
    port = free_port()
    private = {
        f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    private |= {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, f"--port={port}"],
            cwd=folder,
            env=os.environ | private | env | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}{ready}", timeout=10).close()
                break
            except urllib.error.HTTPError:
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
    made = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "source": c.strip(),
            "outputs": [],
            "execution_count": None,
        }
        for n, c in enumerate(cells)
    ]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": spec, "cells": made})
    )


@pytest.fixture(scope="module")
def env(shop):
    return {
        "SHOP": str(shop / "recommender"),
        "PLANE": str(shop / "plane.parquet"),
        "FEEDBACK": f"sqlite:///{shop}/feedback.sqlite",
    }


@pytest.fixture(scope="module")
def lab(shop, env, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    (folder / "work").mkdir()
    write_notebook(folder / "work" / "shop.ipynb", CELLS)
    write_notebook(folder / "work" / "saved.ipynb", [CELLS[0], CELLS[2]])
    command = [
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.token=secret",
        f"--ServerApp.root_dir={folder / 'work'}",
    ]
    with serving([*command, *EXPOSED], folder, "/api?token=secret", env) as address:
        yield address


EXPOSED = [f"--{app}.expose_app_in_browser=True" for app in ("LabApp", "JupyterNotebookApp")]
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


def test_in_lab(page, lab, env, uploads):
    page.goto(f"{lab}/doc/tree/shop.ipynb?reset&token=secret")
    page.wait_for_function("window.jupyterapp")
    page.evaluate(RUN)
    widget, second = (page.get_by_role("region", name="Product browser").nth(n) for n in (0, 1))
    expect(cards(widget)).to_have_count(12, timeout=120_000)
    expect(cards(second)).to_have_count(4)

    drive(page, widget, uploads)
    scroll_to_the_last_product(page, widget)
    page.set_viewport_size({"width": 1000, "height": 900})  # the map lies above the products
    scroll_to_the_last_product(page, widget)

    # keys that mean something to the notebook stay in the widget
    cards(widget).first.locator("button").first.focus()
    for key in ("d", "d", "x", "m", "ArrowRight"):
        page.keyboard.press(key)
    expect(cards(widget).nth(1).locator("button").first).to_be_focused()
    assert page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 3

    expect(cards(second)).to_have_count(
        4
    )  # nothing that was done in the first has changed the second
    assert Feedback(env["FEEDBACK"]).events()[["user", "event"]].values.tolist() == [
        ["anna", "like"]
    ]


def test_a_saved_notebook_shows_the_table_and_a_dead_kernel_is_named(page, lab):
    page.goto(f"{lab}/doc/tree/saved.ipynb?reset&token=secret")
    page.wait_for_function("window.jupyterapp")
    page.evaluate(RUN)
    widget, table = (
        page.get_by_role("region", name="Product browser"),
        page.locator(".jp-OutputArea table"),
    )
    expect(cards(widget)).to_have_count(4, timeout=120_000)
    title = cards(widget).first.locator(".prodrec-title").inner_text()
    expect(table).to_be_hidden()  # the widget is alive
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    kernel = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"() => void {kernel}.requestExecute({{ code: 'import os; os._exit(1)' }})")
    page.wait_for_timeout(500)
    # Lab's own dialog about the kernel may lie above, and takes the mouse
    cards(widget).first.locator(".prodrec-face").dispatch_event("click")
    expect(widget.get_by_role("alert")).to_contain_text("run this cell again", timeout=3_000)
    page.goto(f"{lab}/doc/tree/saved.ipynb?reset&token=secret")
    expect(table).to_be_visible(timeout=60_000)
    expect(table).to_contain_text(title)
    page.wait_for_timeout(1_500)  # until the manager has given up on the widget
    expect(page.get_by_text("Error displaying widget")).to_be_hidden()
    assert title in table.locator("img").evaluate_all("all => all.map((i) => i.alt)")


def test_in_notebook_7(chrome, lab):
    pytest.importorskip("notebook", reason="`pip install notebook` to test the widget in it")
    page = chrome.new_page()  # not watched: Notebook misses a setting of its own
    page.goto(f"{lab}/notebooks/saved.ipynb?token=secret")
    page.wait_for_function("() => !!window.jupyterapp")
    page.evaluate(RUN)
    widget = page.get_by_role("region", name="Product browser")
    expect(cards(widget)).to_have_count(4, timeout=60_000)
    cards(widget).nth(1).locator(".prodrec-face").click()
    expect(widget.get_by_role("status")).to_contain_text("4 recommendations")
    page.close()


def drive(page, widget, uploads):
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

    upload_all(widget, uploads)

    widget.get_by_role("button", name="Map", exact=True).click()
    canvas = widget.get_by_role("img", name=re.compile("^Map of the products"))
    expect(widget.locator(".prodrec-map")).to_have_attribute("data-painted", re.compile(r"\d"))
    canvas.scroll_into_view_if_needed()
    draw_around(page, canvas)
    expect(widget.get_by_role("tab", name=re.compile("Selected on the map"))).to_have_attribute(
        "aria-selected", "true"
    )
    widget.get_by_role("button", name="Clear selection").click()
    expect(widget.get_by_role("tab")).to_have_count(0)

    cards(widget).first.hover()
    cards(widget).first.get_by_role("button", name="More like").click()
    expect(widget.locator(".prodrec-chip-positive")).to_have_count(1)


def scroll_to_the_last_product(page, widget):
    "However far one scrolls through the products, filters and map stay in sight."
    widget.get_by_role("slider", name="Products").fill("40")
    expect(widget.locator(".prodrec-grid")).to_be_visible()
    expect(cards(widget).nth(25)).to_be_attached()
    widget.locator(".prodrec-answer").evaluate("a => { a.scrollTop = 0; }")
    widget.locator(".prodrec-body").evaluate("b => b.scrollIntoView({ block: 'end' })")
    expect(cards(widget).last).not_to_be_in_viewport()
    widget.locator(".prodrec-answer").hover(position={"x": 60, "y": 90})
    for _ in range(40):
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(20)
        if widget.locator(".prodrec-answer").evaluate(
            "a => a.scrollTop + a.clientHeight > a.scrollHeight - 3"
        ):
            break
    expect(cards(widget).last).to_be_in_viewport(ratio=0.5)
    expect(widget.locator(".prodrec-canvas")).to_be_in_viewport(ratio=0.9)
    expect(widget.get_by_role("heading", name="Filters")).to_be_in_viewport()


def test_in_voila(page, env, uploads, tmp_path):
    write_notebook(tmp_path / "shop.ipynb", CELLS)
    command = ["voila", "shop.ipynb", "--no-browser", "--Voila.ip=127.0.0.1"]
    with serving(command, tmp_path, "/nothing-here", env) as address:
        page.set_default_timeout(120_000)
        page.goto(address)
        widget = page.get_by_role("region", name="Product browser").first
        expect(cards(widget)).to_have_count(12, timeout=120_000)
        cards(widget).first.locator(".prodrec-face").click()
        expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
        widget.get_by_role("slider", name="Products").fill("3")
        expect(cards(widget)).to_have_count(3)
        photo, *_, letter, _ = uploads
        send(widget, photo)
        expect(widget.locator(".prodrec-chip-image")).to_contain_text(photo.name)
        send(widget, letter)
        expect(widget.get_by_role("alert")).to_contain_text(uploads[letter])
        widget.get_by_role("button", name="Map", exact=True).click()
        scroll_to_the_last_product(page, widget)
