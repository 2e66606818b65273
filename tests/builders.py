"""Small catalogues, histories and queries that several test files share."""

import io

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from PIL import Image

from prodrec.data.catalog import Catalog
from prodrec.recommend.history import History

SIZE = (16, 12)
WORDS = "red green blue shirt shoe Schuh кроссовки 鞋 größe cotton".split()


def picture(n: int) -> bytes:
    "Return a PNG with a coloured rectangle; width and colour follow from `n`."
    out = io.BytesIO()
    pixels = np.full((16, 12, 3), 255, np.uint8)
    pixels[2:13, 1 : 5 + n % 7] = [(n * 53) % 256, (n * 97) % 256, (n * 31) % 256]
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def pixels(height: int = 20, width: int = 30, seed: int = 0) -> np.ndarray:
    "Return random pixels, uint8 (height, width, 3)."
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def encoded(picture: Image.Image | np.ndarray, format: str = "PNG", **options) -> bytes:
    "Return a picture as the bytes of a file."
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def coloured_products(n: int, start: int = 0, **columns) -> Catalog:
    "Return products with noisy pictures in one of three colours, which says their category."
    rows, pictures = range(start, start + n), []
    for i in rows:
        noise = np.random.default_rng(i).integers(0, 90, (32, 32, 3))
        noise[..., i % 3] += 150
        pictures.append(encoded(noise.astype(np.uint8)))
    table = {"image": pictures, "category": ["abc"[i % 3] for i in rows]} | columns
    return Catalog(pd.DataFrame(table, index=[f"p{i}" for i in rows]))


def shop(n: int, start: int = 0) -> Catalog:
    "Return products; some have no picture, some no words, one neither, some are alike in both."
    rows = range(start, start + n)
    images = [None if i % 5 == 3 else picture(i % 17) for i in rows]
    frame = pd.DataFrame(
        {
            "image": pd.Series(images, dtype=object),
            "title": [
                None if i % 7 == 3 else f"{WORDS[i % 10]} {WORDS[i % 4]} {i % 6}" for i in rows
            ],
            "category": [["a", "b", None][i % 3] for i in rows],
            "price": [np.nan if i % 4 == 0 else i / 2 for i in rows],
            "stock": pd.array([None if i % 6 == 0 else i for i in rows], dtype="Int64"),
            "made": pd.to_datetime(
                [None if i % 9 == 0 else f"2024-01-{1 + i % 28:02d}" for i in rows]
            ),
            "new": [i % 2 == 0 for i in rows],
        }
    )
    return Catalog(frame.set_axis([f"{i:03d}" for i in rows], axis=0))


SEEN = [f"{i:03d}" for i in range(45) if not (i % 5 == 3 and i % 7 == 3)]  # with picture or words
TABLE = shop(45).products


def history() -> History:
    """Return the purchases of fifteen users; nobody took the last products.

    Users of even number take products of even number, the others those of odd number.
    """
    rng = np.random.default_rng(0)
    rows = [
        (f"u{n}", f"{2 * i + n % 2:03d}", "purchase", 1.0)
        for n in range(15)
        for i in rng.permutation(18)[:6]
    ]
    rows += [
        ("u0", "001", "dislike", 1.0),
        ("u1", "gone", "purchase", 1.0),
        ("u2", "000", "view", 1.0),
    ]
    return History(pd.DataFrame(rows, columns=["user", "id", "event", "value"]))


def checkerboard(n=20, hole=True):
    "Users like the products of their own colour; each misses the one on the diagonal."
    rows = [
        (f"{u:02d}", f"p{p:02d}")
        for u in range(n)
        for p in range(n)
        if u % 2 == p % 2 and not (hole and u == p)
    ]
    return History(pd.DataFrame(rows, columns=["user", "id"]))


# -- what hypothesis draws

number = st.none() | st.integers(-2, 25) | st.sampled_from([0.5, 3.25])
day = st.none() | st.integers(1, 28).map(lambda d: pd.Timestamp(2024, 1, d))
stocked = st.integers(0, 45)


def ranges(bounds):
    "Return (low, high) of what `bounds` draws, None for an open end, never the wrong way round."
    return st.tuples(bounds, bounds).filter(lambda r: None in r or r[0] <= r[1])


filters = st.fixed_dictionaries(
    {},
    optional={
        "price": ranges(number)
        | st.sets(number.filter(lambda v: v is not None), max_size=4)
        | st.integers(0, 9),
        "stock": ranges(number) | st.sets(stocked, max_size=4) | stocked,
        "made": ranges(day) | st.sets(day.filter(lambda v: v is not None), max_size=4),
        "category": st.sampled_from(
            ["a", "b", "zz", ["a", "b"], [], ["b", "zz"], ("a", "a"), ("aa", None), (None, None)]
        ),
        "new": st.booleans() | st.sampled_from([[True, False], [False], []]),
    },
)


# -- an answer against the scores it should have


def check(hits, scores: pd.Series, k: int, allowed: set, least: float | None = None):
    "Assert that `hits` are the `k` best of `scores` among `allowed`, from `least` on."
    scores = scores[[i for i in scores.index if i in allowed]]
    best = scores.sort_values(ascending=False)[:k]
    best = best if least is None else best[best >= least]
    assert len(hits) == len(best) == len(set(hits.ids)) and set(hits.ids) <= set(allowed)
    np.testing.assert_allclose(hits.scores, best, atol=2e-6)
    np.testing.assert_allclose(hits.scores, scores[hits.ids], atol=2e-6)
    assert (np.diff(hits.scores) <= 0).all() and np.isfinite(hits.scores).all()
    assert (np.abs(hits.scores) <= 1 + 1e-6).all()
    table = hits.to_frame()
    assert table["rank"].tolist() == list(range(1, len(hits) + 1))
    assert table["id"].tolist() == hits.ids
    parts = [c for c in ("image", "text") if c in table]
    np.testing.assert_allclose(table[parts].sum(axis=1), hits.scores, atol=2e-6)
    assert all(table["reason"])


KINDS = ["view", "purchase", "dislike"]


@st.composite
def events(draw, max_events=30):
    "Few users and products, so that pairs repeat; all kinds of events, on a few days."
    n = draw(st.integers(1, max_events))
    user = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    product = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    return pd.DataFrame(
        {
            "user": [f"{u:03d}" for u in user],
            "id": [f"{p:04d}" for p in product],
            "event": draw(st.lists(st.sampled_from(KINDS), min_size=n, max_size=n)),
            "value": draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)),
            "time": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), unit="D"),
        }
    )
