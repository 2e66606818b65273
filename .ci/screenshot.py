"""The picture of the browser in README.md: the widget on the demo catalogue, taken through
Chromium.

`python .ci/screenshot.py` writes nbs/images/browser.png; whoever changes how the widget looks takes
it anew.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.manifold import TSNE

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from sheet import Canvas, launched  # noqa: E402

from prodrec import History, Recommender, load_demo, load_demo_defects, load_demo_events  # noqa: E402
from prodrec.apps.browser import Browser  # noqa: E402
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder  # noqa: E402

SIZE = {"width": 1240, "height": 880}
MAX_BYTES = 200_000


def plane(recommender: Recommender) -> pd.DataFrame:
    "Where t-SNE puts the products."
    vectors = recommender.index.vectors(recommender.catalog.ids)
    places = TSNE(random_state=0, perplexity=20).fit_transform(vectors)
    return pd.DataFrame(places, index=recommender.catalog.products.index, columns=["x", "y"])


def main(path: Path):
    whole = load_demo(n=600)
    catalog = whole[~whole.products.index.isin(load_demo_defects(n=600)["id"])]
    words = TfidfEmbedder(fields=("category", "colour", "style"))
    recommender = Recommender(
        image=ColorHistogram(), text=words, weights={"image": 0.35, "text": 0.65}
    )
    recommender.fit(catalog, History(load_demo_events(n=600)))
    dress = catalog.products.query("category == 'dress' and colour == 'red'").index[0]
    with sync_playwright() as p, launched(p) as chrome:
        page = chrome.new_page(viewport=SIZE)
        style = "body { margin: 0; background: #fff } .prodrec-browser { height: 880px; overflow: hidden; border: 0 !important }"
        Canvas(page, Browser(recommender, map=plane(recommender), id=dress, k=9), style)
        page.get_by_role("button", name="Map", exact=True).click()
        page.wait_for_selector("[data-painted]")
        page.get_by_label("Colour the map by").select_option("colour")
        page.locator(".prodrec-card").nth(1).hover()
        page.wait_for_timeout(400)
        picture = Image.open(io.BytesIO(page.screenshot()))
    for colours in (256, 128, 64):
        out = io.BytesIO()
        picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(
            out, "PNG", optimize=True
        )
        if out.tell() < MAX_BYTES:
            break
    path.write_bytes(out.getvalue())
    print(f"{path}: {out.tell():,} bytes, {colours} colours, {np.prod(picture.size):,} pixels")


if __name__ == "__main__":
    main(ROOT / "nbs" / "images" / "browser.png")
