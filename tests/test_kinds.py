"""Every kind of product can be drawn in every style, and the styles differ."""

import numpy as np
import pytest

from prodrec.data.canvas import STYLES, Canvas
from prodrec.data.kinds import KINDS


def drawn(kind, style, seed):
    sheet = Canvas("blue", "plain", style, np.random.default_rng(seed))
    KINDS[kind](sheet)
    return sheet.alpha


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_fills_the_square_and_has_styles(kind):
    masks = {style: drawn(kind, style, 3) for style in STYLES}
    for style, mask in masks.items():
        rows, columns = np.nonzero(mask > 0.5)
        assert 0.02 < mask.mean() < 0.8, style
        assert max(np.ptp(rows), np.ptp(columns)) > 0.5 * len(mask), style
        assert (mask == drawn(kind, style, 3)).all()
    assert len({mask.tobytes() for mask in masks.values()}) == len(STYLES)


def test_kinds_can_be_told_apart_by_their_outlines():
    means = {k: np.mean([drawn(k, s, seed) for s in STYLES for seed in range(3)], 0) for k in KINDS}
    names = list(means)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert np.abs(means[a] - means[b]).mean() > 0.02, (a, b)
