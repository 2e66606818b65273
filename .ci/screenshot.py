"""The pictures of the browser in README.md and in its chapter, taken through Chromium.

`python .ci/screenshot.py` trains the demo's recommender (or loads the one in the folder that
`--shop` names) and writes nbs/images/browser.png; with `--record` it writes nbs/images/browser.webp
too, a walk of a few seconds. Whoever changes how the widget looks takes them anew.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from sheet import Canvas, launched  # noqa: E402

from prodrec import Recommender, load_demo  # noqa: E402
from prodrec.apps.browser import Browser  # noqa: E402
from prodrec.apps.pipeline import run_pipeline  # noqa: E402
from prodrec.recommend.map import ProductMap  # noqa: E402

IMAGES = ROOT / "nbs" / "images"
SIZE = {"width": 1440, "height": 900}
MAX_BYTES, MAX_RECORDING = 260_000, 2_000_000
STYLE = """body { margin: 0; background: #fff }
.prodrec-browser { height: 900px; overflow: hidden; border: 0 !important }"""


def shop(folder: str | None) -> Recommender:
    "Return the recommender in a folder, or the one that `prodrec demo` makes."
    return Recommender.load(folder) if folder else run_pipeline(load_demo(), say=print).recommender


def clear_query(recommender: Recommender) -> str:
    """Return the dress whose neighbours are dresses most often, and then the nearest ones.

    Its title is not in capitals.
    """
    products = recommender.catalog.products
    found = products[(products.category == "dress") & ~products.title.str.isupper()].index
    hits = recommender.recommend(9, id=list(found), each=True, collapse=True)
    good = [(products.category[h.ids] == "dress").sum() + h.scores.mean() for h in hits]
    return found[int(np.argmax(good))]


def take(page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def still(page, path: Path):
    "Write what is on the page, with as many colours as fit."
    picture = take(page)
    for colours in (256, 128, 64):
        out = io.BytesIO()
        small = picture.quantize(colours, dither=Image.Dither.NONE)
        small.save(out, "PNG", optimize=True)
        if out.tell() < MAX_BYTES:
            break
    path.write_bytes(out.getvalue())
    print(f"{path}: {out.tell():,} bytes, {colours} colours, {picture.width} x {picture.height}")


class Film:
    """Pictures with the time that each is shown."""

    def __init__(self, page):
        self.page, self.pictures, self.times = page, [], []

    def shoot(self, milliseconds: int):
        self.page.wait_for_timeout(250)
        picture = take(self.page)
        self.pictures.append(picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)))
        self.times.append(milliseconds)

    def write(self, path: Path):
        for quality in (80, 65, 50):
            out, options = io.BytesIO(), {"save_all": True, "loop": 0, "method": 6}
            rest = {"append_images": self.pictures[1:], "duration": self.times}
            self.pictures[0].save(out, "WEBP", quality=quality, **options, **rest)
            if out.tell() < MAX_RECORDING:
                break
        path.write_bytes(out.getvalue())
        print(f"{path}: {out.tell():,} bytes, {len(self.times)} pictures, quality {quality}")


def walk(page, film: Film):
    "Ask, wonder why, draw a frame, select on the map, look at it from near, put aside."
    cards, root = page.locator(".prodrec-card"), page.locator(".prodrec-browser")
    film.shoot(1800)
    cards.nth(1).hover()
    film.shoot(700)
    cards.nth(1).get_by_role("button", name="Why").click()
    film.shoot(2200)
    page.keyboard.press("Escape")
    cards.nth(1).locator(".prodrec-face").click()
    film.shoot(1500)
    box = page.locator(".prodrec-large").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.05 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    film.shoot(900)
    page.mouse.up()
    film.shoot(1500)
    page.keyboard.press("Escape")
    page.locator(".prodrec-input").fill("boots")
    film.shoot(1000)
    page.keyboard.press("Enter")
    film.shoot(1300)
    page.locator(".prodrec-selectkey").first.focus()
    page.keyboard.press("Enter")
    film.shoot(1800)
    root.get_by_role("button", name="Clear selection").click()
    page.locator(".prodrec-canvas").focus()
    for _ in range(3):
        page.keyboard.press("+")
    page.wait_for_timeout(700)  # until the pictures are there
    film.shoot(2200)
    page.keyboard.press("0")
    cards.first.locator(".prodrec-face").focus()
    for _ in range(2):
        page.keyboard.press("t")
        page.keyboard.press("ArrowRight")
    film.shoot(2200)


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--shop", help="the folder of a saved recommender")
    asked.add_argument("--record", action="store_true", help="write the recording too")
    args = asked.parse_args()
    recommender = shop(args.shop)
    plane = ProductMap.fit(recommender.catalog.ids, recommender.index.take())
    with sync_playwright() as p, launched(p) as chrome:
        page = chrome.new_page(viewport=SIZE)
        browser = Browser(recommender, map=plane, id=clear_query(recommender), k=9)
        Canvas(page, browser, STYLE)
        page.get_by_role("button", name="Map", exact=True).click()
        page.wait_for_selector("[data-painted]")
        page.locator(".prodrec-card").nth(1).hover()
        page.wait_for_timeout(400)
        still(page, IMAGES / "browser.png")
        if args.record:
            film = Film(page)
            walk(page, film)
            film.write(IMAGES / "browser.webp")


if __name__ == "__main__":
    main()
