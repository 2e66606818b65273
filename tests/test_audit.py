"""The audit against pictures and tables made to be wrong, and against real ones where they are to
be had.
"""

import io
import os
import zipfile
import zlib
from pathlib import Path

import cv2
import faiss
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.data.audit import DROP, ISSUES, audit
from prodrec.data.catalog import Catalog
from prodrec.data.duplicates import duplicate_groups, fingerprint, near_candidates, near_pairs
from prodrec.data.split import leaks, split


def scene(seed, height=80, width=60):
    "A picture unlike any other: coloured boxes on white, as pixels."
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 255, np.uint8)
    for _ in range(6):
        top, left = rng.integers(0, height - height // 5), rng.integers(0, width - width // 5)
        h, w = rng.integers(height // 8, height // 2), rng.integers(width // 8, width // 2)
        pixels[top : top + h, left : left + w] = rng.integers(0, 230, 3)
    return pixels


def encoded(pixels, format="JPEG", mode=None, **options):
    picture = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    out = io.BytesIO()
    (picture if mode is None else picture.convert(mode)).save(out, format, **options)
    return out.getvalue()


def shop(pictures, **columns):
    """A catalogue of `pictures` (id -> bytes), good in every other way unless `columns` say
    otherwise.
    """
    frame = pd.DataFrame({"image": list(pictures.values())}, index=list(pictures), dtype=object)
    frame = frame.assign(title=[f"product number {i}" for i in pictures], category="thing")
    return Catalog(frame.assign(**columns))


def found(catalog, **options):
    "What the audit reports: a set of (id, issue)."
    issues = audit(catalog, **{"min_class": 1, **options}).issues
    assert set(issues["issue"]) <= set(ISSUES)
    assert issues["score"].between(0, 1).all() and (issues["detail"] != "").all()
    return set(zip(issues["id"], issues["issue"], strict=True))


GOOD = {f"good{i}": encoded(scene(i), quality=92) for i in range(8)}


def test_nothing_is_wrong_with_what_is_right():
    assert found(shop(GOOD)) == set()


def test_each_kind_of_bad_picture():
    blurred = cv2.GaussianBlur(scene(21), (0, 0), 4)
    moving = encoded(
        Image.fromarray(scene(22)), "GIF", save_all=True, append_images=[Image.fromarray(scene(23))]
    )
    webp = encoded(
        Image.fromarray(scene(24)),
        "WEBP",
        save_all=True,
        append_images=[Image.fromarray(scene(25))],
    )
    bad = {
        "none": (None, "missing_picture"),
        "lost": ("/no/such/file.jpg", "missing_picture"),
        "zero": ("a\0b.jpg", "missing_picture"),
        "cut": (encoded(scene(26))[:900], "unreadable_picture"),
        "page": (b"<html>not found</html>", "unreadable_picture"),
        "moving": (moving, "animated_picture"),
        "webp": (webp, "animated_picture"),
        "small": (encoded(scene(27, 30, 25), "PNG"), "small_picture"),
        "long": (encoded(scene(28, 60, 240)), "extreme_aspect"),
        "white": (encoded(np.full((80, 60, 3), 255, np.uint8)), "blank_picture"),
        "black": (encoded(np.zeros((80, 60, 3), np.uint8)), "blank_picture"),
        "dark": (encoded((scene(29) * 0.1).astype(np.uint8), "PNG"), "dark_picture"),
        "soft": (encoded(blurred), "blurred_picture"),
    }
    catalog = shop(GOOD | {i: picture for i, (picture, _) in bad.items()})
    assert found(catalog) == {(i, issue) for i, (_, issue) in bad.items()}
    report = audit(catalog, min_class=1)
    assert "truncated" in report.issues.set_index("id").loc["cut", "detail"]
    assert report.clean().ids == [*GOOD, "small", "long", "dark", "soft"]
    assert set(report.dropped["id"]) == {
        "none",
        "lost",
        "zero",
        "cut",
        "page",
        "moving",
        "webp",
        "white",
        "black",
    }


def test_duplicates_name_the_first():
    one, again = encoded(scene(31), quality=95), encoded(scene(31), quality=70)
    catalog = shop({"a": one, **GOOD, "b": one, "c": again, "d": again})
    issues = audit(catalog, min_class=1).issues.set_index("id")
    assert issues["issue"].to_dict() == {
        "b": "exact_duplicate",
        "c": "near_duplicate",
        "d": "exact_duplicate",
    }
    assert issues["detail"].to_dict() == {
        "b": "the same file as 'a'",
        "c": "nearly the same as 'a'",
        "d": "the same file as 'c'",
    }
    assert found(catalog, near=False) == {("b", "exact_duplicate"), ("d", "exact_duplicate")}


def test_a_conflict_is_reported_on_every_member():
    one = encoded(scene(31))
    pictures = {"a": one, "b": one, "c": encoded(scene(31), quality=70), "d": one, **GOOD}
    labels = ["mug", "mug", "cap", None, *["mug"] * len(GOOD)]
    conflicts = {
        i
        for i, issue in found(shop(pictures, category=labels), required=["title"])
        if issue == "conflicting_label"
    }
    assert conflicts == {"a", "b", "c"}


def test_tables():
    titles = ["Mug", "mug!", "", None, "ＭＵＧ", "Tasse é", "Tasse e\u0301", "!!"]
    catalog = shop(GOOD, title=titles, category=["a"] * 6 + ["b", None])
    assert found(catalog, min_class=2) == {
        ("good1", "duplicate_title"), ("good4", "duplicate_title"), ("good6", "duplicate_title"), ("good2", "missing_field"),  # noqa: E501
        ("good3", "missing_field"), ("good7", "missing_field"), ("good6", "rare_class"),
    }  # fmt: skip


def test_blank_pictures_tie_nothing_together():
    white = encoded(np.full((80, 60, 3), 255, np.uint8))
    catalog = shop({"a": white, "b": white, "c": None, "d": None}, category=["x", "y", "x", "y"])
    assert found(catalog) == {
        ("a", "blank_picture"),
        ("b", "blank_picture"),
        ("c", "missing_picture"),
        ("d", "missing_picture"),
    }
    assert duplicate_groups(catalog).tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "catalog",
    [shop({"a": GOOD["good1"]}), shop({"a": None}), Catalog(pd.DataFrame({"x": [1]}, index=["a"]))],
)
def test_one_product(catalog):
    report = audit(catalog)
    assert len(report.summary()) == len(ISSUES)
    assert report.summary()["products"].sum() == len(report.issues)
    assert "Audit(1 products" in repr(report) and report._repr_html_() and report.figure()


def test_a_catalogue_of_nothing_but_waste_is_refused():
    with pytest.raises(ValueError, match="no product is left"):
        audit(shop({"a": None})).clean()


def test_every_cut_of_a_jpeg_is_noticed():
    data = encoded(scene(41, 40, 40))
    cuts = {f"cut{n}": data[:n] for n in range(len(data))}
    issues = found(shop(cuts | {"whole": data}), required=[])
    unusable = {i for i, issue in issues if issue in ("unreadable_picture", "missing_picture")}
    assert unusable == set(cuts)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP"])
def test_no_cut_of_any_format_stops_the_audit(format):
    data = encoded(scene(42, 40, 40), format)
    cuts = {f"cut{n}": data[:n] for n in range(0, len(data), max(1, len(data) // 200))}
    report = audit(shop(cuts))
    half = {i for i in cuts if int(i[3:]) < len(data) / 2}
    assert half <= set(report.ids("unreadable_picture")) | set(report.ids("missing_picture"))


def test_noise_never_stops_the_audit():
    rng = np.random.default_rng(0)
    heads = [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBP",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"%PDF-1.4",
    ]
    pictures = {
        f"n{i}": heads[i % len(heads)] + rng.bytes(int(rng.integers(1, 3000))) for i in range(200)
    }
    damaged = bytearray(GOOD["good1"])
    for i in range(100):
        copy = bytearray(damaged)
        for at in rng.integers(20, len(copy) - 2, 5):
            copy[at] = rng.integers(256)
        pictures[f"d{i}"] = bytes(copy)
    report = audit(shop(pictures))
    assert {i for i in pictures if i.startswith("n")} <= set(report.ids("unreadable_picture"))


def png_claiming(width, height):
    "A small PNG whose header promises a large picture."

    def chunk(kind, body):
        return (
            len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        )

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def test_bombs_and_damaged_archives_are_issues(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.jpg", bytes(range(256)) * 40)
    raw = bytearray((tmp_path / "z.zip").read_bytes())
    raw[40:60] = b"\xff" * 20
    (tmp_path / "z.zip").write_bytes(raw)
    (tmp_path / "not.zip").write_bytes(b"no archive")
    jpeg = bytearray(encoded(scene(1)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    bad = {
        "bomb": encoded(Image.new("1", (13_000, 13_000)), "PNG"), "claim": png_claiming(60_000, 60_000), "jpeg": bytes(jpeg),  # noqa: E501
        "member": f"{tmp_path}/z.zip!/a.jpg", "archive": f"{tmp_path}/not.zip!/a.jpg", "folder": str(tmp_path),  # noqa: E501
    }  # fmt: skip
    issues = found(shop(GOOD | bad))
    assert {i for i, _ in issues} == set(bad)
    assert {issue for _, issue in issues} <= {"missing_picture", "unreadable_picture"}


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("PNG", "P"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("PNG", "1"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("GIF", "P"),
        ("WEBP", "RGBA"),
    ],
)
def test_unusual_pictures_are_no_issue(format, mode):
    assert found(shop(GOOD | {"odd": encoded(scene(51), format, mode)})) == set()


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_no_issue(channels):
    pixels = scene(52).astype(np.uint16) * 257
    data = cv2.imencode(".png", pixels if channels == 3 else pixels[..., 0])[1].tobytes()
    assert found(shop(GOOD | {"deep": data})) == set()


def copies_of(pixels):
    height, width = pixels.shape[:2]
    yield "quality", encoded(pixels, quality=75)
    yield "png", encoded(pixels, "PNG")
    yield (
        "smaller",
        encoded(
            cv2.resize(
                pixels, (round(width * 0.9), round(height * 0.9)), interpolation=cv2.INTER_AREA
            )
        ),
    )
    yield (
        "larger",
        encoded(
            cv2.resize(
                pixels, (round(width * 1.2), round(height * 1.2)), interpolation=cv2.INTER_CUBIC
            )
        ),
    )
    yield "darker", encoded((pixels * 0.97).astype(np.uint8), quality=85)
    yield "brighter", encoded(np.clip(pixels * 1.03, 0, 255).astype(np.uint8), quality=85)
    yield "right", encoded(np.pad(pixels, ((0, 0), (1, 0), (0, 0)), "edge")[:, :-1], quality=85)
    yield "up", encoded(np.pad(pixels, ((0, 1), (0, 0), (0, 0)), "edge")[1:], quality=85)


def test_copies_are_found_and_strangers_are_not():
    pictures = {f"{seed}": encoded(scene(seed, 160, 120), quality=92) for seed in range(100, 140)}
    copies = {
        f"{seed}-{kind}": data
        for seed in range(100, 140)
        for kind, data in copies_of(scene(seed, 160, 120))
    }
    groups = duplicate_groups(shop(pictures | copies))
    right = [groups[i] == i.partition("-")[0] for i in copies]
    assert np.mean(right) > 0.97
    assert all(groups[i] == i for i in pictures)


def test_few_pairs_are_compared():
    "50,000 pictures that have nothing to do with each other."
    thumbs = np.random.default_rng(0).integers(0, 256, (50_000, 16, 16, 3), dtype=np.uint8)
    thumbs[49_999] = thumbs[7]
    faiss.cvar.indexIVF_stats.reset()
    assert near_candidates(thumbs).tolist() == [[7, 49_999]]
    assert faiss.cvar.indexIVF_stats.ndis < 0.03 * 50_000**2
    assert near_pairs(thumbs[[7, 8, 49_999]])[0].tolist() == [[0, 2]]


def test_a_crowd_of_equals_stays_one_group():
    thumb = fingerprint(GOOD["good1"]).thumb
    pairs, _ = near_pairs(np.repeat(thumb[None], 500, axis=0))
    assert len(pairs) <= 500 * 33
    assert set(pairs.ravel()) == set(range(500))


def test_groups_do_not_depend_on_the_order_of_rows():
    catalog = shop({f"{s}-{k}": d for s in range(60) for k, d in list(copies_of(scene(s)))[:3]})
    parts = [duplicate_groups(c) for c in (catalog, catalog.sample(len(catalog), seed=1))]
    members = [set(map(frozenset, g.groupby(g).groups.values())) for g in parts]
    assert members[0] == members[1]


def test_the_split_keeps_copies_together():
    catalog = shop(
        {f"{s}-{k}": d for s in range(60) for k, d in list(copies_of(scene(s, 160, 120)))[:2]}
    )
    options = {"target": None, "sizes": (0.6, 0.4)}
    kept, torn = split(catalog, **options), split(catalog, groups=None, **options)
    assert leaks(kept["train"], kept["test"]).empty
    assert set(leaks(torn["train"], torn["test"])["reason"]) == {"near duplicate"}


DATA = os.environ.get("PRODREC_DATA")


@pytest.mark.skipif(
    not DATA, reason="needs real data: let PRODREC_DATA name a folder with `fashion/`"
)
def test_the_real_fashion_catalogue():
    archive = Path(DATA, "fashion", "fashion-product-images-small.zip")
    with zipfile.ZipFile(archive) as z, z.open("styles.csv") as f:
        frame = pd.read_csv(f, dtype={"id": str}, keep_default_na=False)
    frame = frame.assign(image="images/" + frame["id"] + ".jpg").set_index("id")
    catalog = Catalog(
        frame.rename(columns={"productDisplayName": "title", "articleType": "category"}),
        images=archive,
    )
    report = audit(catalog)
    count = report.summary()["products"]
    assert count["missing_picture"] == 369 and count["unreadable_picture"] == 0
    assert count["exact_duplicate"] == 1_429 - 651
    assert 200 < count["near_duplicate"] < 800
    near = report.issues[report.issues.issue == "near_duplicate"]
    assert near.detail.value_counts().max() < 40  # of those near to one product
    assert len(report.clean()) == len(catalog) - report.dropped["id"].nunique()
    assert set(report.dropped["issue"]) <= set(DROP)


def even(grey: float, depth: float = 40.0) -> bytes:
    "A picture of this mean and this much between its darkest and its lightest place."
    place = np.linspace(-depth / 2, depth / 2, 60)[None, :, None] + grey
    noise = 6 * np.random.default_rng(int(10 * grey + depth)).normal(size=(80, 60, 3))
    return encoded(np.clip(place + noise * (depth > 30), 0, 255).astype(np.uint8), "PNG")


@pytest.mark.parametrize(
    "grey, depth, blank, dark",
    [
        (128, 0.04 * 255, True, False),
        (128, 0.08 * 255, False, False),
        (0.10 * 255, 40, False, True),
        (0.20 * 255, 40, False, False),
        (0.28 * 255, 40, False, False),
    ],
)
def test_where_blank_and_dark_begin(grey, depth, blank, dark):
    issues = {name for i, name in found(shop(GOOD | {"x": even(grey, depth)})) if i == "x"}
    assert ("blank_picture" in issues, "dark_picture" in issues) == (blank, dark)
