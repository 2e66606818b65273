"""Photographs of invented products: the same for the same seed, of any size, and never empty."""

import numpy as np
import pytest

from prodrec.data.drawing import COLOURS, KINDS, PATTERNS, STYLES, draw_product


@pytest.mark.parametrize("size", [(16, 12), (96, 128), (300, 200)])
def test_any_size(size):
    picture = draw_product("lamp", "red", "dotted", "boho", seed=4, size=size)
    assert picture.shape == (*size, 3) and picture.dtype == np.uint8 and picture.std() > 5


@pytest.mark.parametrize("seed", [0, [1, 2], 12345])
def test_the_seed_decides_everything(seed):
    assert (draw_product("cap", seed=seed) == draw_product("cap", seed=seed)).all()
    assert (draw_product("cap", seed=seed) != draw_product("cap", seed=99)).any()


def test_every_look_is_drawn():
    rng = np.random.default_rng(0)
    for n, kind in enumerate(KINDS):
        look = list(COLOURS)[n % 12], PATTERNS[n % 7], STYLES[n % 4]
        assert draw_product(kind, *look, seed=rng).std() > 3


@pytest.mark.parametrize(
    ("argument", "value"),
    [("kind", "zeppelin"), ("colour", "mauve"), ("pattern", "tartan"), ("style", "punk")],
)
def test_unknown_names_are_refused_with_the_known_ones(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be one of .*received '{value}'"):
        draw_product(**({"kind": "mug"} | {argument: value}))
