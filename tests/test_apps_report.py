"""The report in a browser: errors behind each number, no faults, nothing from elsewhere."""

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sheet import chromium, launched

from prodrec.apps.report import bars_html, classifier_page, recommender_page, shown_classes
from prodrec.data.demo import load_demo
from prodrec.models.report import Report
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.recommender import Recommender

if not chromium() and os.environ.get("CI") != "true":
    pytest.skip("Chromium is not installed: `apt-get install chromium`", allow_module_level=True)

from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="module")
def catalog():
    products = load_demo(n=120).products.copy()
    products.loc[products.index[0], "title"] = "</script><script>window.hurt = 1</script>"
    from prodrec.data.catalog import Catalog

    return Catalog(products)


@pytest.fixture(scope="module")
def report(catalog):
    labels = catalog.products.category.to_numpy(object)
    classes = sorted(set(labels))
    proba = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(labels))
    proba[np.arange(len(labels)), [classes.index(x) for x in labels]] += 0.15
    return Report(labels, proba / proba.sum(1, keepdims=True), classes, ids=catalog.ids)


@pytest.fixture(scope="module")
def pages(catalog, report, tmp_path_factory):
    made = Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder(dim=16)).fit(catalog)
    folder = tmp_path_factory.mktemp("pages")
    (folder / "classifier.html").write_text(classifier_page(report, catalog), encoding="utf-8")
    (folder / "recommender.html").write_text(recommender_page(made), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def chrome():
    with sync_playwright() as p, launched(p) as browser:
        yield browser


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_pages_have_no_faults(pages, chrome, scheme, width):
    axe = pytest.importorskip("axe_playwright_python", reason="`pip install axe-playwright-python`")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text()
    context = chrome.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, asked = context.new_page(), []
    page.on("request", lambda r: asked.append(r.url))
    for name in ("classifier", "recommender"):
        page.goto(f"file://{pages}/{name}.html")
        if name == "classifier":
            page.locator(".matrix td button").first.click()
            page.locator("summary").first.click()
        page.evaluate("(source) => (0, eval)(source)", source)
        faults = page.evaluate(
            "async () => (await axe.run()).violations.map((v) => [v.id, v.nodes[0].html])"
        )
        assert not faults
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0  # nothing sticks out on a phone
    assert all(url.startswith(("file:", "data:")) for url in asked)
    context.close()


def test_in_colours_that_the_user_chose_bars_are_told_apart(pages, chrome):
    context = chrome.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(f"file://{pages}/classifier.html")
    table = pd.DataFrame({"value": 0.5, "low": 0.3, "high": 0.7}, index=["own", "other"])
    page.evaluate(
        "(bars) => { document.querySelector('.bars').outerHTML = bars; }",
        bars_html(table, highest=1.0, other=["other"]),
    )

    def ink(bar: int) -> np.ndarray:
        "Dark pixels of a bar: bool (height, 100 places from left to right)."
        shot = Image.open(io.BytesIO(page.locator(".bars .track").nth(bar).screenshot()))
        dark = np.asarray(shot.convert("L")) < 128
        return dark[:, np.linspace(0, dark.shape[1] - 1, 100).astype(int)]

    own, other = ink(0), ink(1)
    middle = len(own) // 2
    assert own[3, 3:48].all() and not own[3, 52:].any()  # as long as its value
    assert own[middle - 1 : middle + 1, 55:68].any(0).all()  # the interval, beside the bar
    assert (~own[middle - 4 : middle + 4, 33:48]).any(0).all()  # and on it
    assert not other[4, 3:48].any() and other[0:2, 3:48].any(0).all()  # not filled, but framed
    shades = "cells => new Set(cells.map((c) => getComputedStyle(c).backgroundColor)).size"
    assert page.locator(".matrix td :is(span, button)").evaluate_all(shades) > 3
    context.close()


def test_a_number_opens_its_products(pages, chrome, report):
    page, hurt = chrome.new_page(), []
    page.on("pageerror", lambda e: hurt.append(str(e)))
    page.goto(f"file://{pages}/classifier.html")
    top = report.confusions(1).iloc[0]
    name = f"labelled {top.true}, taken for {top.predicted}"
    page.locator(f'.matrix td button[aria-label$="{name}"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator("#cell .card")).to_have_count(int(min(top["count"], 12)))
    wrong = report.worst(len(report.labels))
    own = wrong[(wrong.label == top.true) & (wrong.predicted == top.predicted)]
    for id in own.id[:12]:
        expect(page.locator("#cell")).to_contain_text(id)
    picture = page.locator("#cell img").first
    assert picture.evaluate("(i) => i.decode().then(() => i.naturalWidth)") > 20
    before = page.evaluate("document.activeElement.outerHTML")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('.matrix') !== null")
    assert page.evaluate("document.activeElement.outerHTML") != before
    assert not page.evaluate("window.hurt") and not hurt
    page.close()


def test_the_map_shows_the_product_under_the_pointer(pages, chrome):
    page = chrome.new_page()
    page.goto(f"file://{pages}/recommender.html")
    for n in range(40):  # another product may lie above one
        page.locator(".map circle").nth(n).hover(force=True)
        if page.locator("#near b").count():
            break
    expect(page.locator("#near b")).not_to_be_empty()
    page.mouse.move(1, 1)
    expect(page.locator("#near")).to_be_hidden()
    page.locator(".map > svg").focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):  # by keyboard alone
        page.keyboard.press(key)
        seen.append(page.locator(".map .spoken").inner_text())
    assert len(set(seen)) == 3 and page.locator("#near b").inner_text() in seen[-1]
    expect(page.locator(".map circle.at")).to_have_count(1)
    key = page.locator(".legend button").first
    key.click()
    shown = page.locator(".map > svg circle:not(.faded)").count()
    assert shown == page.locator(".map > svg circle.c0").count() > 0
    page.close()


def test_classes_with_errors_are_shown_first(report):
    shown = shown_classes(report.confusion, 3)
    counts = report.confusion.to_numpy()
    wrong = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
    at = report.confusion.index.get_indexer(shown)
    assert min(wrong[at]) >= max(np.delete(wrong, at))
