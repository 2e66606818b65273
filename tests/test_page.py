"""The page of the server, in a browser: every state without faults for those who cannot see or use
a mouse.
"""

import io
import json
import re
from pathlib import Path

import pytest
import requests
from PIL import Image

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import catalog, page_driver, serving
from sheet import launched

from prodrec import Recommender
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder

__all__ = ["catalog"]  # a fixture


@pytest.fixture(scope="module")
def shop(catalog):
    embedders = {"image": ColorHistogram((40, 30)), "text": TfidfEmbedder(fields=("title",))}
    recommender = Recommender(**embedders).fit(catalog)
    told = {"name": "Mugs & More", "currency": "EUR", "language": "de"}
    with serving(recommender, database="sqlite://", shop=told) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser():
    with page_driver().sync_playwright() as p, launched(p) as browser:
        yield browser


def faults(page) -> list:
    "What axe-core finds in the page as it is."
    axe = pytest.importorskip("axe_playwright_python", reason="`pip install axe-playwright-python`")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text()
    run = """async (source) => {
      if (!window.axe) (0, eval)(source);
      return (await axe.run()).violations.map((v) => [v.id, v.nodes[0].html]);
    }"""
    return page.evaluate(run, source)


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_every_state_is_accessible(shop, browser, size):
    expect = page_driver().expect
    context = browser.new_context(
        viewport=dict(zip(("width", "height"), size, strict=True)), bypass_csp=True
    )
    page = context.new_page()
    page.goto(shop)
    expect(page.locator(".hit")).to_have_count(24)
    assert not faults(page)
    page.locator(".hit a").first.click()
    expect(page.locator("#shown h2")).to_be_visible()
    page.locator("#shown .heart").click()
    assert not faults(page)
    if page.locator("#open").is_visible():
        page.locator("#open").click()
        assert not faults(page)
        page.keyboard.press("Escape")
    page.goto(f'{shop}/?text=zzzz&where={{"price":{{"to":60}}}}')
    expect(page.locator("#message.error")).to_be_visible()
    expect(page.locator("#chips button")).to_have_count(1)
    assert not faults(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()


def test_the_keyboard_alone(shop, browser):
    expect, page = page_driver().expect, browser.new_page()
    page.goto(shop)
    expect(page.locator(".hit")).to_have_count(24)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip what comes before the products
    stops = 0
    while not page.evaluate("document.activeElement.closest('.hit')"):
        page.keyboard.press("Tab")
        stops += 1
    assert stops <= 4  # three examples, and the first product
    title = page.evaluate("document.activeElement.querySelector('strong').textContent")
    page.keyboard.press("Enter")
    expect(page.locator("#shown h2")).to_have_text(title)
    small = """() => [...document.querySelectorAll("button, a, input, summary")].filter((e) => e.offsetParent)
      .filter((e) => !e.closest("label") && !e.classList.contains("hidden") && !e.classList.contains("skip"))
      .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
      .filter(([, r]) => r.height < 24).map(([html]) => html)"""  # noqa: E501
    assert not page.evaluate(small)
    page.close()


def test_name_money_and_language_of_the_shop(shop, browser, catalog):
    expect, page = page_driver().expect, browser.new_page()
    page.goto(shop)
    expect(page.locator("h1")).to_have_text("Mugs & More")
    expect(page.locator("#ask button[type=submit]")).to_have_text("Suchen")
    expect(page.locator(".hit small").first).to_contain_text("€")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.close()


def test_words_are_there_in_every_language(shop, browser):
    page = browser.new_page()
    page.goto(shop)
    names = page.evaluate(
        "async () => Object.entries((await import('./words.js')).words).map(([l, w]) => "
        "[l, Object.keys(w).sort(), Object.keys(w.errors).sort()])"
    )
    assert [n[0] for n in names] == ["en", "de"] and names[0][1:] == names[1][1:]
    page.close()


def test_what_is_liked_is_kept_and_asked_with(shop, browser, catalog):
    expect, context = page_driver().expect, browser.new_context()
    page = context.new_page()
    page.goto(shop)
    page.locator(".hit .heart").first.click()
    expect(page.locator("#likes")).to_contain_text("(1)")
    page.reload()
    expect(page.locator("#likes")).to_contain_text("(1)")
    liked = json.loads(page.evaluate("localStorage.getItem('prodrec-likes')"))
    page.locator("#likes").click()
    expect(page.locator("#heading")).to_have_text("Passend zu Ihren Favoriten")
    hrefs = page.locator(".hit a").evaluate_all("links => links.map((a) => a.href)")
    assert hrefs and not any(href.endswith(f"id={liked[0]}") for href in hrefs)
    context.close()


def test_filters_work_without_a_question_and_more_can_be_shown(shop, browser, catalog):
    expect, page = page_driver().expect, browser.new_page()
    page.goto(shop)
    kind = catalog.products.department.mode()[0]
    page.locator(f"input[data-column=department][value='{kind}']").check()
    n = int((catalog.products.department == kind).sum())
    expect(page.locator(".hit")).to_have_count(min(24, n))
    page.goto(f"{shop}/?id={catalog.ids[0]}")
    expect(page.locator(".hit")).to_have_count(24)
    page.locator("#more").click()
    expect(page.locator(".hit")).to_have_count(48)
    titles = page.locator(".hit a").evaluate_all("links => links.map((a) => a.href)")
    assert len(set(titles)) == 48
    page.close()


def bars(page, column: str) -> list[int]:
    "The number of products that each bar of a histogram tells."
    titles = page.locator(f".range:has([data-column={column}]) .bars i").evaluate_all(
        "bars => bars.map((bar) => bar.title)"
    )
    return [int(title.rpartition(": ")[2]) for title in titles]


def test_histograms_with_two_handles_and_counts_that_follow_the_other_filters(
    shop, browser, catalog
):
    expect, page, table = page_driver().expect, browser.new_page(), catalog.products
    page.goto(shop)
    dated = page.locator("details:has(input[type=date])")
    dated.locator("summary").click()
    assert sum(bars(page, "added")) == table.added.notna().sum()
    before = bars(page, "price")
    assert sum(before) == table.price.notna().sum() and len(before) == 24
    low = page.locator(".range:has([data-column=price]) .handle").first
    low.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("where="))
    start = float(page.locator("[data-column=price][data-end=from]").input_value())
    assert abs((table.price < start).sum() - sum(before[:3])) <= 1  # the ends have four digits
    inside = table[table.price >= start]
    expect(page.locator("#matching")).to_have_text(f"{len(inside)} von {len(table)} Produkten")
    kind = table.department.mode()[0]
    box = page.locator(f"label:has(input[data-column=department][value='{kind}'])")
    expect(box.locator("small")).to_have_text(str((inside.department == kind).sum()))
    assert bars(page, "price") == before  # a column is counted under the filters of the others
    assert page.locator(".range:has([data-column=price]) .out").count() == 3
    box.click()
    n = int((table.department == kind).sum())
    expect(page.locator("#matching")).to_contain_text(
        str((inside.department == kind).sum()) + " von"
    )
    assert sum(bars(page, "price")) == table[table.department == kind].price.notna().sum() <= n
    page.locator("[data-column=price][data-end=to]").fill("1")  # no product: both handles yield
    page.keyboard.press("Enter")
    page.locator("[data-column=price][data-end=to]").fill("50")
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).not_to_have_count(0)
    places = page.locator(".range:has([data-column=price]) .handle").evaluate_all(
        "all => all.map((h) => Number(h.value))"
    )
    assert 3 == places[0] < places[1] < 24
    page.close()


def test_counts_refuse_what_is_no_filter(shop):
    answer = requests.get(f"{shop}/filters", params={"where": '{"image": "x"}'})
    assert answer.status_code == 422 and "no filter" in answer.json()["detail"]
    assert requests.get(f"{shop}/filters", params={"where": "[]"}).status_code == 422


def test_in_colours_that_the_user_chose_bars_and_handles_are_seen(shop, browser):
    context = browser.new_context(forced_colors="active", viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.goto(f'{shop}/?where={{"price":{{"to":60}}}}')
    page_driver().expect(page.locator("#matching")).to_be_visible()

    def inks(selector: str) -> list[int]:
        "Pixels of each colour, the most frequent first: background, then what is drawn."
        shot = page.locator(selector).first.screenshot()
        picture = Image.open(io.BytesIO(shot)).convert("L").point(lambda v: 255 * (v > 127))
        return sorted((n for n, _ in picture.getcolors()), reverse=True)

    least = {".bars": 1000, ".handles": 300, ".choices label": 300, ".hit .heart": 80, ".chip": 300}
    for seen, n in least.items():
        counts = inks(seen)
        assert len(counts) == 2 and counts[1] > n, (seen, counts)  # dark on light
    kept = "i => getComputedStyle(i).backgroundColor"
    assert page.locator(".bars i:not(.out)").first.evaluate(kept) != page.locator(
        ".bars .out"
    ).first.evaluate(kept)
    context.close()


def test_the_address_holds_the_question_and_unknown_words_lead_on(shop, browser, catalog):
    expect, page = page_driver().expect, browser.new_page()
    page.goto(shop)
    asked = []
    for _ in range(2):
        page.locator(".hit a").nth(1).click()
        expect(page.locator("#shown h2")).not_to_have_text(asked[-1] if asked else "")
        asked.append(page.locator("#shown h2").inner_text())
    assert "?id=" in page.url
    page.go_back()
    expect(page.locator("#shown h2")).to_have_text(asked[0])
    page.go_back()
    expect(page.locator("#examples a")).to_have_count(3)
    page.goto(f"{shop}/?text=zzzz")
    expect(page.locator("#message.error")).to_be_visible()
    kind = catalog.products.department.mode()[0]
    page.locator(f"input[data-column=department][value='{kind}']").check()
    n = int((catalog.products.department == kind).sum())
    expect(page.locator(".hit")).to_have_count(min(24, n))  # filters work though no word is known
    chip = page.locator("#chips button")
    expect(chip).to_contain_text(kind)
    chip.click()
    expect(page.locator(".hit")).to_have_count(24)
    expect(page.locator("#chips")).to_be_hidden()
    page.close()


def test_pictures_are_pasted_dropped_and_taken(shop, browser, catalog):
    expect, context = page_driver().expect, browser.new_context(has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(shop)
    expect(page.locator("#camera")).to_be_visible()
    expect(page.locator("#photo")).to_have_attribute("capture", "environment")
    for event, name in (("ClipboardEvent", "paste"), ("DragEvent", "drop")):
        page.goto(shop)
        expect(page.locator(".hit")).to_have_count(24)
        page.evaluate(
            """async ([event, name, id]) => {
              const found = await (await fetch(`products/${id}/picture`)).blob(), data = new DataTransfer();
              data.items.add(new File([found], "own.jpg", { type: "image/jpeg" }));
              const given = { clipboardData: data, dataTransfer: data, bubbles: true, cancelable: true };
              document.body.dispatchEvent(new window[event](name, given));
            }""",  # noqa: E501
            [event, name, catalog.ids[0]],
        )
        expect(page.locator("#shown img")).to_be_visible()
        expect(page.locator(".hit a").first).to_have_attribute(
            "href", re.compile(f"id={catalog.ids[0]}")
        )
    context.close()


def test_the_interface_is_described_on_a_page_of_our_own(shop, browser):
    expect, context = page_driver().expect, browser.new_context(bypass_csp=True)
    page, elsewhere = context.new_page(), []
    page.on("request", lambda r: r.url.startswith(shop) or elsewhere.append(r.url))
    page.goto(f"{shop}/docs")
    expect(page.locator("summary", has_text="POST /recommend")).to_be_visible()
    page.locator("summary", has_text="POST /recommend").click()
    assert "min_score" in page.locator("details[open]").inner_text()
    assert not faults(page) and not elsewhere
    context.close()
