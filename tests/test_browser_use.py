"""The widget's page as people use it: by mouse, by keyboard alone, by ear, and with a kernel that
stays silent.
"""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sheet import Canvas, chromium, launched, watched  # noqa: E402

from prodrec.apps.browser import Browser, widget_file, widget_script  # noqa: E402
from prodrec.data.catalog import Catalog  # noqa: E402
from prodrec.data.demo import load_demo, load_demo_events  # noqa: E402
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder  # noqa: E402
from prodrec.recommend.history import History  # noqa: E402
from prodrec.recommend.recommender import Recommender  # noqa: E402

N = 120

if not chromium() and os.environ.get("CI") != "true":
    pytest.skip(
        "Chromium is not installed: `apt-get install chromium`, or name it in CHROMIUM",
        allow_module_level=True,
    )

from playwright.sync_api import expect, sync_playwright  # noqa: E402

DARK = """:root { --jp-layout-color1: #111; --jp-ui-font-color1: rgba(255, 255, 255, 0.87);
--jp-brand-color1: #2196f3 } body { background: #111 }"""


@pytest.fixture(scope="module")
def catalog():
    return load_demo(n=N)


@pytest.fixture(scope="module")
def plane(catalog):
    places = np.random.default_rng(0).random((N, 2))
    return pd.DataFrame(places, index=catalog.products.index, columns=["x", "y"])


@pytest.fixture(scope="module")
def saved(catalog, tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop"
    made = Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder(dim=16))
    made.fit(catalog, History(load_demo_events(n=N))).save(path)
    return path


@pytest.fixture
def recommender(saved, tmp_path):
    return Recommender.load(saved, feedback=f"sqlite:///{tmp_path}/feedback.sqlite")


@pytest.fixture(scope="module")
def chrome():
    with sync_playwright() as p, launched(p) as browser:
        yield browser


@pytest.fixture
def page(chrome):
    with watched(chrome) as page:
        yield page


@pytest.fixture
def sheet(page, recommender):
    "How to open a browser on a bare page: a `Canvas`, and the locator of the widget."

    def opened(style="", made_from=recommender, **options):
        sheet = Canvas(page, Browser(made_from, **options), style)
        return sheet, page.get_by_role("region", name="Product browser")

    return opened


def cards(widget):
    return widget.locator(".prodrec-card")


def open_map(widget):
    widget.get_by_role("button", name="Map", exact=True).click()
    expect(widget.locator(".prodrec-map")).to_have_attribute("data-painted", re.compile(r"\d"))


# -- the map and the filters


def test_filters_fade_the_map_and_nothing_faded_is_selected(sheet, page, plane, catalog):
    made, widget = sheet(map=plane, k=5)
    open_map(widget)
    canvas = widget.locator(".prodrec-canvas")
    ink = "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((s, v, i) => s + (i % 4 === 3 ? v : 0), 0)"  # noqa: E501
    before = canvas.evaluate(ink)
    widget.get_by_role("checkbox", name="boot").check()
    expect(widget.get_by_role("status")).to_contain_text("match the filters")
    page.wait_for_timeout(100)
    assert canvas.evaluate(ink) < 0.4 * before
    widget.get_by_role("button", name="Select the products in view").click()
    boots = catalog.products.index[catalog.products.category == "boot"]
    expect(widget.get_by_role("tab", selected=True)).to_contain_text(f"({len(boots)})")
    assert set(made.widget.selection) == set(boots)


def test_a_long_selection_is_read_page_by_page(sheet, plane, catalog):
    made, widget = sheet(map=plane, k=6)
    made.widget.select(catalog.ids[:40])
    made.push()
    expect(widget.get_by_text("page 1 of 7")).to_be_visible()
    widget.get_by_role("button", name="Next").click()
    expect(widget.get_by_text("page 2 of 7")).to_be_visible()
    shown = cards(widget).evaluate_all("all => all.map((c) => c.dataset.id)")
    assert shown == catalog.ids[6:12]
    widget.get_by_role("button", name="Put all into the tray").click()
    expect(widget.get_by_role("region", name="Tray")).to_contain_text("40 products")
    assert made.widget.tray.index.tolist() == catalog.ids[:40]


def test_without_a_map_there_is_no_button(sheet):
    _, widget = sheet(k=3)
    expect(widget.get_by_role("button", name="Filters")).to_be_visible()
    expect(widget.get_by_role("button", name="Map", exact=True)).to_have_count(0)


def test_the_map_has_names_pictures_and_knows_the_cards(sheet, page, plane, catalog):
    group = catalog.products.category.astype("category").cat.codes
    clustered = plane * 0.3 + np.c_[group % 4, group // 4]
    made, widget = sheet(map=clustered, k=5)
    open_map(widget)
    expect(widget.get_by_label("Colour the map by")).to_have_value("category")
    often = catalog.products.category.value_counts().index[0]
    expect(widget.locator(".prodrec-legend li").first).to_contain_text(often)
    field, canvas = widget.locator(".prodrec-map"), widget.locator(".prodrec-canvas")
    expect(field).to_have_attribute("data-names", re.compile("."))  # they come after the points
    names = field.get_attribute("data-names").split(", ")
    assert often in names and len(names) > 6
    # both ways: from a card to its point, and from the point to its card
    before = canvas.evaluate("c => c.toDataURL()")
    cards(widget).first.hover()
    page.wait_for_function(
        "b => document.querySelector('.prodrec-canvas').toDataURL() !== b", arg=before
    )  # noqa: E501
    card = made.widget._view["lists"][0]["cards"][0]
    x, y = (clustered.loc[card["id"]] - (clustered.max() + clustered.min()) / 2) / np.ptp(
        clustered, axis=0
    ).max()  # noqa: E501
    box = canvas.bounding_box()
    reach = 0.94 * min(box["width"], box["height"])
    page.mouse.move(
        box["x"] + box["width"] / 2 + x * reach, box["y"] + box["height"] / 2 - y * reach
    )  # noqa: E501
    expect(widget.locator(".prodrec-marked")).to_have_attribute("data-id", card["id"])
    canvas.focus()
    for _ in range(3):
        page.keyboard.press("+")
    expect(field).to_have_attribute("data-faces", re.compile("[1-9]"))


CROWD = """async (n) => {
  const plane = new Plane(() => {}, () => {}), root = document.createElement("div");
  Object.assign(root, { className: "prodrec-browser" }).append(plane.node);
  Object.assign(root.style, { width: "800px" });
  plane.node.hidden = false;
  document.body.replaceChildren(root);
  const codes = Uint8Array.from({ length: n }, (_, i) => i % 3);
  const points = Float32Array.from({ length: 2 * n }, (_, i) => (i * 0.618034) % 1 + codes[i >> 1] / 3);
  plane.load({ column: "c", labels: ["a", "b", "other"] }, [new DataView(codes.buffer), new DataView(points.buffer)]);
  plane.paint();
  const ink = () => plane.canvas.getContext("2d").getImageData(0, 0, 800, 400).data.reduce((s, v, i) => s + (i % 4 === 3 ? v : 0), 0);
  const start = performance.now(), all = ink();
  const times = [1, 1.5, 1.5, 1.5, 1.5, 2, 3].map((by) => { const t = performance.now(); plane.zoom(by); plane.paint(); return performance.now() - t; });
  plane.reset();
  plane.lit = new Uint8Array(n / 8);
  plane.paint();
  return [all, ink(), times.sort((a, b) => a - b)[3]];
}"""  # noqa: E501


def test_two_hundred_thousand_points_do_not_lag(page):
    page.set_content(f"<!doctype html><style>{widget_file('widget.css')}</style><body>")
    script = widget_script().replace("export default", "window.Plane = Plane; const unused =")
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("() => !!window.Plane")
    ink, faded, median = page.evaluate(CROWD, 200_000)
    assert 0 < faded < 0.3 * ink
    assert median < 150  # milliseconds a paint; 20 on an idle machine


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]
    xyz = np.clip(light, 0, 1) @ np.array(to_xyz).T / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


SEEN = {  # Machado, Oliveira and Fernandes, 2009: without red, without green
    "all": np.eye(3),
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@pytest.mark.parametrize(
    "theme, backgrounds", [("light", ["#ffffff", "#f2f2f2"]), ("dark", ["#111111", "#2c2c2c"])]
)
def test_colours_of_the_map_are_told_apart_by_all_eyes(theme, backgrounds):
    script = widget_file("map.js")
    palettes = script[script.index("const PALETTES") : script.index("const SHAPES")]
    lists = re.findall(rf"{theme}: \[([^\]]*)\]", palettes)
    colours = re.findall("#[0-9a-f]{6}", lists[0])
    ramp, rest = re.findall("#[0-9a-f]{6}", lists[1]), re.findall(rf'{theme}: "(#\w+)"', palettes)
    assert (len(colours), len(ramp), len(rest)) == (8, 6, 1)
    for colour in (*colours, *ramp, *rest):
        for background in backgrounds:
            lights = sorted(
                linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (colour, background)
            )
            assert lights[1] / lights[0] >= 3, (colour, background)
    for matrix in SEEN.values():
        seen = [lab(np.array(matrix) @ linear(c)) for c in colours]
        apart = [np.linalg.norm(a - b) for n, a in enumerate(seen) for b in seen[:n]]
        assert min(apart) > 15


# -- by keyboard alone, by ear


def test_few_stops_between_the_box_and_the_products(sheet, page, recommender, plane):
    _, widget = sheet(map=plane, id=recommender.catalog.ids[0], k=12)
    widget.locator(".prodrec-input").focus()
    for stops in range(1, 20):  # noqa: B007
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('prodrec-face')"):
            break
    assert stops <= 8
    page.keyboard.press("Tab")  # the other products are one stop away, not eleven
    assert not page.evaluate("!!document.activeElement.closest('.prodrec-grid')")


def test_every_button_says_what_it_is_about(sheet, recommender):
    _, widget = sheet(id=recommender.catalog.ids[0], k=12)
    names = widget.locator(".prodrec-grid button").evaluate_all(
        "all => all.map((b) => b.getAttribute('aria-label') ?? b.textContent)"
    )
    shown = widget.locator(".prodrec-title").all_inner_texts()
    if len(set(shown)) == len(shown):
        assert len(set(names)) == len(names)
    assert all(any(title in name for title in shown) or "cop" in name for name in names)
    assert widget.locator(".prodrec-grid img").first.get_attribute("alt") == shown[0]


def test_the_status_says_what_happened(sheet, page, recommender):
    made, widget = sheet(k=5)
    status, said = widget.get_by_role("status"), []
    said.append(status.inner_text())
    for _ in range(3):
        cards(widget).nth(1).locator(".prodrec-face").click()
        expect(status).not_to_have_text(said[-1])
        said.append(status.inner_text())
    assert len(set(said)) == 4 and made.widget._view["trail"][-1] in said[-1]


def test_a_category_is_selected_without_a_mouse(sheet, page, plane, catalog):
    made, widget = sheet(map=plane, k=5)
    open_map(widget)
    first = widget.locator(".prodrec-legend li").first
    first.locator("button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(widget.get_by_role("tab", selected=True)).to_contain_text("Selected on the map")
    often = catalog.products.category.value_counts().index[0]
    assert set(made.widget.selection) == set(
        catalog.products.index[catalog.products.category == often]
    )
    canvas = widget.locator(".prodrec-canvas")
    canvas.focus()
    for key in ("+", "+", "+", "ArrowRight", "s"):
        page.keyboard.press(key)
    expect(widget.get_by_role("tab", selected=True)).not_to_contain_text(
        f"({len(made.widget.selection)})x"
    )
    assert 0 < len(made.widget.selection) < N


def test_keys_for_every_act_on_a_product(sheet, page, recommender, catalog):
    made, widget = sheet(id=catalog.ids[0], k=6)
    second = made.widget.hits.ids[1]
    cards(widget).nth(1).locator(".prodrec-face").focus()
    page.keyboard.press("t")
    expect(widget.get_by_role("region", name="Tray")).to_contain_text("1 product")
    assert made.widget.tray.index.tolist() == [second]
    page.keyboard.press("?")
    why = widget.get_by_role("dialog")
    expect(why).to_contain_text("Score")
    page.keyboard.press("Escape")
    expect(why).to_be_hidden()
    expect(cards(widget).nth(1).locator(".prodrec-face")).to_be_focused()
    page.keyboard.press("+")
    expect(widget.locator(".prodrec-chip-positive")).to_have_count(1)
    assert made.widget.feedback.values.tolist() == [["browser", second, "like"]]
    page.keyboard.press("Backspace")  # takes the opinion back, not the question
    expect(widget.locator(".prodrec-chip-positive")).to_have_count(0)
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    assert len(recommender.profiles.feedback.events("browser")) == 0


def test_an_opinion_is_taken_back_by_pressing_again(sheet, recommender):
    made, widget = sheet(k=6)
    id = made.widget._view["lists"][0]["cards"][0]["id"]
    made.widget.more_like(id)
    made.push()
    widget.get_by_role("button", name=re.compile("^Remove ")).click()
    expect(widget.locator(".prodrec-chip")).to_have_count(0)
    assert made.widget.feedback.empty and made.widget.query == {"k": 6, "collapse": True}


TARGETS = """() => [...document.querySelectorAll(".prodrec-browser :is(button, select, input, summary, [tabindex])")]
  .filter((n) => n.getClientRects().length && !n.closest(".prodrec-file"))
  .map((n) => [n.closest("label.prodrec-choice") ?? n, n]).filter(([, n]) => n.type !== "file")
  .map(([box, n]) => [n.className || n.tagName, n.getAttribute("aria-label") ?? n.textContent.slice(0, 20), box.getBoundingClientRect().width, box.getBoundingClientRect().height])
  .filter(([, , w, h]) => w < 23.9 || h < 23.9)"""  # noqa: E501


def test_nothing_is_too_small_to_hit(sheet, page, recommender, plane):
    made, widget = sheet(map=plane, id=recommender.catalog.ids[0], k=6, where={"price": (None, 90)})
    open_map(widget)
    widget.locator("summary").nth(3).click()
    made.widget.pick(made.widget.hits.ids[:2])
    made.widget.select(recommender.catalog.ids[:30])
    made.push()
    expect(widget.get_by_role("tab")).to_have_count(2)
    assert page.evaluate(TARGETS) == []


def violations(page) -> list:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=".prodrec-browser").response["violations"]
    return [(v["id"], v["impact"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found]


@pytest.mark.parametrize("style", ["", DARK], ids=["light", "dark"])
def test_axe_finds_nothing(sheet, page, recommender, plane, style):
    pytest.importorskip("axe_playwright_python")
    ids = recommender.catalog.ids
    made, widget = sheet(style, map=plane, k=6)
    assert violations(page) == [], "at first"
    widget.locator(".prodrec-input").fill("boot")
    expect(widget.locator(".prodrec-found img").first).to_be_visible()
    assert violations(page) == [], "while typing"
    widget.locator(".prodrec-input").press("Escape")
    cards(widget).first.locator(".prodrec-face").click()
    expect(widget.locator(".prodrec-scorebar").first).to_be_visible()
    open_map(widget)
    for summary in widget.locator("summary").all():
        if not summary.evaluate("s => s.parentElement.open"):
            summary.click()
    widget.get_by_role("button", name="Code", exact=True).click()
    widget.get_by_role("button", name="Views", exact=True).click()
    made.widget.keep_view("boots of winter")
    made.push()
    assert violations(page) == [], "map, filters, views and code"
    made.widget.pick(made.widget.hits.ids[:2])
    made.widget.more_like(made.widget.hits.ids[0])
    made.widget.select(ids[:20])
    made.push()
    expect(widget.get_by_role("tab")).to_have_count(2)
    assert violations(page) == [], "selection and tray"
    widget.get_by_role("tab").first.click()
    widget.get_by_role("button", name=re.compile("^Why")).first.click()
    expect(widget.get_by_role("dialog")).to_be_visible()
    widget.locator(".prodrec-input").fill("xyzzy")
    widget.locator(".prodrec-input").press("Enter")
    expect(widget.get_by_role("alert")).to_be_visible()
    assert violations(page) == [], "reasons and an error"
    made.widget.ask(user=recommender.profiles.history.users[0])
    made.push()
    expect(widget.get_by_role("region", name="What the customer had")).to_be_visible()
    assert violations(page) == [], "a customer"


def test_axe_finds_nothing_in_a_comparison(sheet, page, recommender):
    pytest.importorskip("axe_playwright_python")
    other = Recommender(text=TfidfEmbedder(dim=8)).fit(recommender.catalog)
    made, widget = sheet(compare=other, blind=True, id=recommender.catalog.ids[0], k=4)
    assert violations(page) == [], "before the vote"
    made.widget.vote("tie")
    made.push()
    expect(widget.get_by_role("region", name="Votes")).to_contain_text("of 1 vote")
    assert violations(page) == [], "after the vote"


def test_forced_colours_leave_everything_visible(sheet, page, recommender):
    page.emulate_media(forced_colors="active")
    _, widget = sheet(id=recommender.catalog.ids[0], k=4)
    act = cards(widget).first.locator(".prodrec-act").first
    assert act.evaluate("n => getComputedStyle(n).borderTopWidth") == "1px"
    assert widget.locator(".prodrec-acts").first.evaluate("n => getComputedStyle(n).opacity") == "1"
    pressed = widget.get_by_role("button", name="Filters")
    assert pressed.evaluate("n => getComputedStyle(n).outlineStyle") == "solid"


# -- quick hands and silent kernels


def test_of_five_quick_clicks_the_last_one_counts(sheet, page):
    made, widget = sheet(k=6)
    asked, real = [], made.widget.recommender.recommend
    made.widget.recommender.recommend = lambda **q: asked.append(q["id"]) or real(**q)
    drawn = page.evaluate("""async () => {
      const lists = document.querySelector(".prodrec-lists"), drawn = [];
      new MutationObserver(() => drawn.push(document.querySelector(".prodrec-chip-id span")?.textContent)).observe(lists, { childList: true });
      [...document.querySelectorAll(".prodrec-face")].slice(0, 5).forEach((face) => face.click());
      while (document.querySelector(".prodrec-browser").getAttribute("aria-busy") === "true") await new Promise((done) => setTimeout(done, 20));
      return drawn;
    }""")  # noqa: E501
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    assert len(drawn) == 1 and len(asked) == 2
    assert made.widget.query["id"] == asked[-1] and made.widget.trail == [{}, {"id": asked[-1]}]


def test_a_silent_kernel_is_talked_about_within_two_seconds(sheet, page):
    made, widget = sheet(k=4)
    page.evaluate("() => { window.kernel = () => new Promise(() => {}); }")
    cards(widget).first.locator(".prodrec-face").click()
    expect(widget.get_by_role("alert")).to_contain_text(
        "restart it and run this cell again", timeout=2600
    )
    made.events.clear()
    made.widget.pivot(made.widget._view["lists"][0]["cards"][0]["id"])  # it comes after all
    made.push()
    expect(widget.get_by_role("alert")).to_be_hidden()


def test_a_stopped_kernel_is_named_at_once(sheet, page):
    _, widget = sheet(k=4)
    page.evaluate("() => { window.kernel = () => { throw new Error('Kernel is dead'); }; }")
    cards(widget).first.locator(".prodrec-face").click()
    expect(widget.get_by_role("alert")).to_contain_text("The kernel does not answer", timeout=1000)
    expect(widget).to_have_attribute("aria-busy", "false")


# -- the question, its reasons, and what is chosen


def test_the_same_picture_is_shown_once(sheet, catalog):
    products = catalog.products.iloc[:12].copy()
    shop = Catalog(products)
    twins = Catalog(
        products.iloc[:2]
        .set_axis(["twin-a", "twin-b"])
        .assign(title=["Other words", "Quite other"])
    )
    both = Catalog.concat([shop, twins])
    made = Recommender(text=TfidfEmbedder(fields=("category", "colour"), dim=4)).fit(both)
    sheet_, widget = sheet(made_from=made, id=both.ids[5], k=13)
    lists = sheet_.widget._view["lists"][0]["cards"]
    folded = [c["copies"] for c in lists if c.get("copies")]
    ids = [c["id"] for c in lists]
    assert folded and len(ids) == len(set(c["thumb"] for c in lists))
    widget.get_by_role("button", name=re.compile(r"^\+ 1 cop")).first.click()
    expect(cards(widget)).to_have_count(len(ids) + len(folded[0]))


def test_the_part_of_a_picture_that_matters(sheet, page, catalog):
    made, widget = sheet(id=catalog.ids[0], k=4)
    picture = widget.get_by_role("group", name=re.compile("^Part of the picture"))
    expect(picture.locator("img")).to_have_js_property("complete", True)
    page.wait_for_timeout(100)
    box = picture.locator("img").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    expect(widget.get_by_role("button", name="Whole picture")).to_be_visible()
    np.testing.assert_allclose(made.widget.query["crop"], [0.25, 0.1, 0.75, 0.6], atol=0.02)
    assert catalog.ids[0] not in made.widget.hits.ids
    expect(widget.locator(".prodrec-frame")).to_be_visible()
    picture.focus()
    for key in ("ArrowDown", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(widget.get_by_role("status")).to_contain_text("4 recommendations")
    page.wait_for_timeout(200)
    np.testing.assert_allclose(made.widget.query["crop"], [0.25, 0.15, 0.8, 0.65], atol=0.02)
    page.keyboard.press("Escape")
    expect(widget.get_by_role("button", name="Whole picture")).to_be_hidden()
    assert "crop" not in made.widget.query


def test_a_histogram_with_two_handles_and_a_chip(sheet, page, catalog):
    made, widget = sheet(k=4, currency="EUR")
    expect(widget.locator(".prodrec-facts").first).to_contain_text("€")
    widget.locator("summary").filter(has_text="price").click()
    high = widget.get_by_role("slider", name="price, to")
    high.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    pill = widget.locator(".prodrec-pill")
    expect(pill).to_contain_text("price: up to €")
    assert high.get_attribute("aria-valuetext").startswith("€")
    low, top = made.widget.query["where"]["price"]
    assert low is None and 0 < (catalog.products.price <= top).sum() < N
    assert made.widget.counts()[0] == (catalog.products.price <= top).sum()
    widget.get_by_role("button", name=re.compile("^Remove the filter price")).click()
    expect(pill).to_have_count(0)
    assert "where" not in made.widget.query
    widget.locator("summary").filter(has_text="added").click()  # dates
    widget.get_by_role("slider", name="added, from").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(pill).to_contain_text(re.compile(r"added: from \d{4}-\d\d-\d\d"))
    day = made.widget.query["where"]["added"][0]
    assert made.widget.counts()[0] == (catalog.products.added >= day).sum() < N


GIVEN = """async (name) => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 60, height: 60 });
  canvas.getContext("2d").fillRect(10, 10, 30, 30);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const data = new DataTransfer();
  data.items.add(new File([blob], `${name}.png`, { type: "image/png" }));
  const about = { clipboardData: data, dataTransfer: data, bubbles: true, cancelable: true };
  const event = name === "paste" ? new ClipboardEvent(name, about) : new DragEvent(name, about);
  document.querySelector(".prodrec-input").dispatchEvent(event);
}"""


def test_pictures_are_pasted_and_dropped(sheet, page):
    _, widget = sheet(k=3)
    for name in ("paste", "drop"):
        page.evaluate(GIVEN, name)
        expect(widget.locator(".prodrec-chip-image")).to_contain_text(f"{name}.png")
        expect(widget.locator(".prodrec-large")).to_be_visible()


def test_colours_have_swatches_and_words_have_counts(sheet, catalog):
    made, widget = sheet(k=4)
    widget.locator("summary").filter(has_text="colour").click()
    red = widget.locator("label.prodrec-choice").filter(has_text="red")
    assert (
        red.locator(".prodrec-dab").evaluate("n => getComputedStyle(n).backgroundColor")
        == "rgb(255, 0, 0)"
    )
    expect(red.locator(".prodrec-count")).to_have_text(
        str((catalog.products.colour == "red").sum())
    )


def test_products_in_the_order_of_their_price(sheet, catalog):
    made, widget = sheet(id=catalog.ids[0], k=8)
    ids = set(made.widget.hits.ids)
    widget.get_by_role("combobox", name="Sort by").select_option(label="price: low to high")
    expect(widget.get_by_role("combobox", name="Sort by")).to_have_value("price")
    shown = cards(widget).evaluate_all("all => all.map((c) => c.dataset.id)")
    prices = catalog.products.price.loc[shown].tolist()
    assert prices == sorted(prices) and set(shown) <= ids


def test_the_tray_goes_into_a_file_and_asks(sheet, page, catalog):
    made, widget = sheet(k=6)
    for n in (0, 2):
        cards(widget).nth(n).hover()
        cards(widget).nth(n).get_by_role("button", name=re.compile("^Put into the tray")).click()
        expect(widget.get_by_role("region", name="Tray").locator("li")).to_have_count(
            1 if n == 0 else 2
        )
    with page.expect_download() as download:
        widget.get_by_role("button", name="Download the tray as CSV").click()
    table = pd.read_csv(download.value.path(), index_col=0, dtype={0: str})
    assert table.title.tolist() == made.widget.tray.title.tolist()
    widget.get_by_role("button", name="Like all of these").click()
    expect(widget.locator(".prodrec-chip-id")).to_have_count(2)
    assert made.widget.query["id"] == made.widget.tray.index.tolist()
    widget.get_by_role("button", name="Empty the tray").click()
    expect(widget.get_by_role("region", name="Tray")).to_have_count(0)


def test_a_view_is_kept_under_a_name(sheet, page, catalog):
    made, widget = sheet(id=catalog.ids[0], k=4, where={"price": (None, 90)})
    widget.get_by_role("button", name="Views", exact=True).click()
    expect(widget.get_by_role("textbox", name="Name of this view")).to_be_focused()
    page.keyboard.type("cheap ones")
    page.keyboard.press("Enter")
    kept = widget.get_by_role("button", name="cheap ones", exact=True)
    expect(kept).to_be_visible()
    query, ids = made.widget.query, made.widget.hits.ids
    made.widget.steer(where=None)
    made.widget.ask(text="boots")
    made.widget.pick([catalog.ids[5]])
    made.push()
    kept.click()
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    expect(widget.locator(".prodrec-pill").filter(has_text="price")).to_have_count(1)
    assert made.widget.query == query and made.widget.hits.ids == ids
    assert made.widget.tray.index.tolist() == [catalog.ids[5]]  # the tray is no part of a view
    widget.get_by_role("button", name="Forget the view cheap ones").click()
    expect(kept).to_have_count(0)
    with pytest.raises(KeyError, match="there is no view 'cheap ones'"):
        made.widget.show_view("cheap ones")


def test_a_blind_vote(sheet, page, recommender):
    other = Recommender(text=TfidfEmbedder(dim=8)).fit(recommender.catalog)
    made, widget = sheet(compare=other, blind=True, id=recommender.catalog.ids[1], k=3)
    expect(widget.locator("h3").filter(has_text="Left")).to_be_visible()
    expect(widget.locator(".prodrec-score")).to_have_count(0)  # scores would give it away
    cards(widget).first.locator(".prodrec-face").focus()
    page.keyboard.press("1")
    expect(widget.locator("h3").filter(has_text="First")).to_be_visible()
    expect(widget.get_by_role("region", name="Votes")).to_contain_text("of 1 vote")
    assert made.widget.votes.winner.tolist() == [made.widget.votes.left[0]]
    assert 0 <= made.widget.win_rate["low"] < made.widget.win_rate["high"] <= 1


def test_what_a_customer_had_stands_beside_what_is_recommended(sheet, recommender):
    user = recommender.profiles.history.users[0]
    made, widget = sheet(user=user, k=4)
    strip = widget.get_by_role("region", name="What the customer had")
    expect(strip).to_contain_text(f"{user} had or liked")
    had = {c["id"] for c in made.widget._view["customer"]["cards"]}
    assert had and not had & set(made.widget.hits.ids)
    expect(strip.locator("button").first).to_have_attribute(
        "aria-label", re.compile("Show products like it")
    )
    assert not re.search(
        r"\blike \d", " ".join(widget.locator(".prodrec-reason").all_inner_texts())
    )


def test_a_click_is_small(sheet, page, recommender):
    made, widget = sheet(k=12)
    made.sizes.clear()
    cards(widget).nth(3).locator(".prodrec-face").click()
    expect(widget.locator(".prodrec-chip-id")).to_have_count(1)
    assert len(made.sizes) == 1 and made.sizes[0] < 40_000
