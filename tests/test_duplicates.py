"""Groups of duplicates: what links products, and what must not."""

import multiprocessing
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.data.duplicates import (
    duplicate_groups,
    group_pictures,
    link_groups,
    near_candidates,
    near_pairs,
    title_groups,
)


@settings(deadline=None)  # the first call loads SciPy
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_linked_things_share_their_first(pairs):
    groups = link_groups(20, np.array(pairs, int).reshape(-1, 2))
    assert all(groups[a] == groups[b] for a, b in pairs)
    assert all(groups[g] == g and g <= i for i, g in enumerate(groups))


@pytest.mark.parametrize(
    "titles", [["काला", "कील", "किला", "कली"], ["红色裙", "蓝色裙"], ["size M", "size S"]]
)
def test_different_titles_are_no_duplicates(titles):
    assert title_groups(pd.Series(titles)).tolist() == list(range(len(titles)))


def test_titles_and_pictures_link_through_each_other():
    demo = load_demo(60)
    first, second, third = demo.ids[:3]
    frame = demo.products.copy()
    frame.loc[second, "title"] = frame.loc[first, "title"].upper()
    frame.loc[third, "image"] = None
    catalog = Catalog(frame)
    alone, joined = duplicate_groups(catalog), duplicate_groups(catalog, titles=True)
    assert alone[second] == second and joined[second] == first
    assert (joined.groupby(alone).nunique() == 1).all()


def test_no_picture_and_no_product():
    empty = pd.DataFrame({"exact": [], "near": [], "gap": []})
    from prodrec.data.duplicates import Fingerprint

    assert len(group_pictures(pd.DataFrame(columns=Fingerprint._fields))) == len(empty)
    words = Catalog(pd.DataFrame({"title": ["a", "A", None]}, index=list("xyz")))
    assert duplicate_groups(words).tolist() == ["x", "y", "z"]
    assert duplicate_groups(words, titles=True).tolist() == ["x", "x", "z"]


def test_asking_again_gives_the_same_and_not_the_same_arrays():
    thumbs = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    thumbs[30] = thumbs[2]
    pairs, gaps = near_pairs(thumbs)
    pairs[:] = -1
    assert (
        near_pairs(thumbs)[0].tolist() == [[2, 30]]
        and near_pairs(thumbs)[1].tolist() == gaps.tolist()
    )


def _search():
    thumbs = np.random.default_rng(0).integers(0, 256, (3_000, 16, 16, 3), dtype=np.uint8)
    near_candidates(thumbs)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_hang():
    _search()
    child = multiprocessing.get_context("fork").Process(target=_search)
    child.start()
    child.join(60)
    alive = child.is_alive()
    if alive:
        child.kill()
    assert not alive and child.exitcode == 0
