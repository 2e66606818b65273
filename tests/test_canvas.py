"""Outlines, patterns and the canvas: what they promise for any input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodrec.data.canvas import (
    COLOURS,
    PATTERNS,
    SIZE,
    STYLES,
    Canvas,
    accent_for,
    box,
    ellipse,
    mirrored,
    patterned_cloth,
    rounded,
    varied,
)

points = st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1)), min_size=3, max_size=8)


@given(points)
def test_a_mirrored_outline_is_the_same_on_both_sides(half):
    outline = mirrored(half)
    assert np.allclose(outline + outline[::-1] * (1, -1), (1, 0))


@given(points, st.integers(0, 4))
def test_a_rounded_outline_stays_inside(half, times):
    curve, outline = rounded(mirrored(half), times), mirrored(half)
    assert len(curve) == len(outline) * 2**times
    assert (curve.min(0) >= outline.min(0) - 1e-9).all() and (
        curve.max(0) <= outline.max(0) + 1e-9
    ).all()


def test_boxes_and_ellipses():
    assert box(0.1, 0.2, 0.3, 0.4).tolist() == [[0.1, 0.2], [0.3, 0.2], [0.3, 0.4], [0.1, 0.4]]
    smooth = box(0.1, 0.2, 0.5, 0.4, 9)
    assert smooth.min(0) == pytest.approx((0.1, 0.2)) and smooth.max(0) == pytest.approx((0.5, 0.4))
    assert np.allclose(ellipse(0, 0, 2, 1)[0], (2, 0))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("seed", range(3))
def test_a_cloth_holds_both_colours_and_repeats(pattern, seed):
    main, accent = np.float32(COLOURS["navy"]), np.float32(COLOURS["beige"])
    cloths = [patterned_cloth(pattern, main, accent, np.random.default_rng(seed)) for _ in range(2)]
    assert cloths[0].shape == (SIZE, SIZE, 3)
    assert (cloths[0] == cloths[1]).all()
    assert (cloths[0].std((0, 1)).max() > 1) == (pattern != "plain")


def test_colours_stay_apart_and_in_range():
    rng = np.random.default_rng(0)
    for colour in COLOURS.values():
        main = varied(colour, rng, 9)
        assert 12 <= main.min() and main.max() <= 246
        assert np.abs(accent_for(main, rng) - main).sum() > 150


@pytest.mark.parametrize("style", STYLES)
def test_the_canvas_draws_where_it_is_told(style):
    sheet = Canvas("red", "plain", style, np.random.default_rng(1))
    assert sheet.alpha.max() == 0 and (sheet.on_white() == 255).all()
    sheet.shape(box(0.25, 0.25, 0.75, 0.75), volume=0, edge=0)
    assert sheet.alpha.mean() == pytest.approx(0.25, abs=0.01)
    assert sheet.alpha[: SIZE // 4 - 3].max() == 0
    sheet.line([(-0.5, 0.9), (1.5, 0.9)], (0, 0, 0))  # may leave the square
    assert sheet.by_style(1, 2, 3, 4, spread=0) == STYLES.index(style) + 1
