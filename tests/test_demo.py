"""The demo catalogue: the same everywhere, at any size, and its faults are where it says."""

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.core import ImageError, cache_dir
from prodrec.data import demo
from prodrec.data.catalog import Catalog
from prodrec.data.customers import ROLES
from prodrec.data.demo import load_demo, load_demo_defects, load_demo_events
from prodrec.data.drawing import COLOURS, KINDS, PATTERNS, STYLES, draw_product

PRINT_DIGEST = """
import hashlib
from prodrec.data.customers import ROLES
from prodrec.data.demo import load_demo, load_demo_defects, load_demo_events
c, d = load_demo(60, 3), load_demo_defects(60, 3)
h = hashlib.sha256()
for i in c:
    try: h.update(c.open(i))
    except Exception as e: h.update(e.reason.encode())
for t in (c.products.drop(columns="image"), d, load_demo_events(60, 3)): h.update(t.to_csv().encode())
print(h.hexdigest())
"""  # noqa: E501


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def shop():
    return load_demo(300), load_demo_defects(300)


def run_apart(cache, hash_seed):
    env = os.environ | {"PRODREC_CACHE": str(cache), "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=env, capture_output=True, text=True, check=True
    ).stdout


def test_two_processes_draw_the_same_bytes(tmp_path):
    assert run_apart(tmp_path / "a", "1") == run_apart(tmp_path / "b", "2")


def test_processes_that_start_at_once_share_one_cache(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        digests = list(pool.map(lambda i: run_apart(tmp_path, str(i)), range(3)))
    assert len(set(digests)) == 1
    assert len(list((tmp_path / "demo").glob("catalog-60-3-*[!k]"))) == 1


@pytest.mark.parametrize("n", [1, 2, 49, 50, 300])
def test_any_size(n):
    catalog, defects, events = load_demo(n), load_demo_defects(n), load_demo_events(n)
    assert len(catalog) == n and all(len(i) == 6 and i.startswith("0") for i in catalog)
    assert set(defects.id) <= set(catalog) and set(events.id) <= set(catalog)
    assert (len(defects) == 0) == (n < 50)
    assert list(events.columns) == ["user", "id", "event", "value", "time", "outfit"]
    assert set(events.event) <= {"purchase", "view", "rating"}
    assert pd.api.types.is_datetime64_any_dtype(events.time) and events.time.is_monotonic_increasing
    assert catalog.products.drop(columns=["description", "image"]).notna().all().all()


@pytest.mark.parametrize("n", [0, -1, 100_001, 2.0, "12", True, None])
def test_wrong_sizes_are_refused(n):
    for load in (load_demo, load_demo_events, load_demo_defects):
        with pytest.raises(ValueError, match="`n` must be a whole number"):
            load(n)


def test_all_that_is_no_planted_fault_decodes(shop):
    catalog, defects = shop
    broken = set(defects.id[defects.issue.isin(["missing_picture", "unreadable_picture"])])
    for i in catalog:
        if i in broken:
            with pytest.raises(ImageError):
                catalog.pixels(i)
        else:
            assert catalog.pixels(i).dtype == np.uint8


def test_missing_and_unreadable_are_told_apart(shop):
    catalog, defects = shop
    for issue, reasons in {
        "missing_picture": {"missing"},
        "unreadable_picture": {"unreadable", "truncated"},
    }.items():
        for i in defects.id[defects.issue == issue]:
            with pytest.raises(ImageError) as e:
                catalog.pixels(i)
            assert e.value.reason in reasons


def test_only_planted_copies_have_the_same_bytes(shop):
    catalog, defects = shop
    groups = {}
    for i in catalog:
        try:
            groups.setdefault(hashlib.sha256(catalog.open(i)).digest(), []).append(i)
        except ImageError:
            continue
    same = sorted(tuple(g) for g in groups.values() if len(g) > 1)
    exact = defects[defects.issue == "exact_duplicate"]
    assert same == sorted(zip(exact.other, exact.id, strict=True))


def test_conflicting_labels_are_those_of_copies_filed_elsewhere(shop):
    catalog, defects = shop
    category = catalog.products.category
    copies = defects[defects.issue.isin(["exact_duplicate", "near_duplicate"])]
    differ = {
        frozenset(p)
        for p in zip(copies.id, copies.other, strict=True)
        if category[p[0]] != category[p[1]]
    }
    conflicts = defects[defects.issue == "conflicting_label"]
    assert differ and differ == {
        frozenset(p) for p in zip(conflicts.id, conflicts.other, strict=True)
    }
    assert len(conflicts) == 2 * len(differ)


def test_wrong_labels_name_the_true_category(shop):
    catalog, defects = shop
    wrong = defects[defects.issue == "wrong_label"]
    truth = demo.true_products(300, 0)[0].set_axis(demo.product_ids(300))
    assert len(wrong) and (truth.category[wrong.id].to_numpy() == wrong.other.to_numpy()).all()
    assert (catalog.products.category[wrong.id].to_numpy() != wrong.other.to_numpy()).all()
    others = catalog.products.drop(
        index=defects.id[defects.issue.isin(["wrong_label", "conflicting_label"])]
    )
    assert (truth.category[others.index] == others.category).all()


def test_animated_pictures_are_gifs_and_no_others(shop):
    catalog, defects = shop
    animated = set(defects.id[defects.issue == "animated_picture"])
    for i in catalog:
        try:
            frames = getattr(Image.open(io.BytesIO(catalog.open(i))), "n_frames", 1)
        except (ImageError, OSError):
            continue
        assert (frames > 1) == (i in animated)


def test_a_damaged_cache_is_drawn_again():
    whole = load_demo(5)
    table = next(cache_dir("demo").glob("catalog-5-0-*/products.parquet"))
    pictures = [whole.open(i) for i in whole]
    table.write_bytes(b"nothing")
    assert [load_demo(5).open(i) for i in whole] == pictures
    Catalog.load(table.parent)


def test_outfits_are_of_one_customer_one_day_and_several_kinds():
    events = load_demo_events(300)
    baskets = events[events.outfit.notna()].groupby("outfit")
    assert len(baskets) > 100
    assert (
        (baskets.user.nunique() == 1).all()
        and (baskets.time.nunique() == 1).all()
        and (baskets.size() > 1).all()
    )
    kinds = demo.true_products(300, 0)[0].set_axis(demo.product_ids(300)).category
    roles = events[events.outfit.notna()].assign(role=lambda t: [ROLES[kinds[i]] for i in t.id])
    assert not roles.duplicated(["outfit", "role"]).any()


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_drawn_in_every_look(kind):
    for i, (style, colour, pattern) in enumerate(
        zip(STYLES * 3, COLOURS, PATTERNS * 2, strict=False)
    ):
        picture = draw_product(kind, colour, pattern, style, seed=i, size=(48 + i, 40))
        assert picture.shape == (48 + i, 40, 3) and picture.std() > 3
