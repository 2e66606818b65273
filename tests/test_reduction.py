"""Reduced vectors keep what varies.

That they keep the contract as well stands in the tests of the embedders.
"""

import numpy as np
import pytest
from builders import SIZE, shop

from prodrec.recommend.embedders import ColorHistogram
from prodrec.recommend.reduction import PCAEmbedder, principal_directions


@pytest.fixture(scope="module")
def catalog():
    return shop(30)


@pytest.mark.parametrize("whiten", [False, True])
def test_reduced_keeps_what_varies(catalog, whiten):
    pictured = catalog[[i for n, i in enumerate(catalog.ids) if n % 5 != 3]]
    full = ColorHistogram(SIZE)
    small = PCAEmbedder(full, 10, whiten).fit(pictured)
    vectors = small.embed(pictured)
    assert vectors.shape == (len(pictured), 10) and small.dim == 10 and small.kind == "image"
    everything = PCAEmbedder(full, 512).fit(pictured)
    centred = full.embed(pictured) - full.embed(pictured).mean(0)
    kept = everything.embed(pictured)
    cosines = centred @ centred.T / np.outer(*[np.linalg.norm(centred, axis=1)] * 2)
    np.testing.assert_allclose(kept @ kept.T, cosines, atol=1e-3)


def test_whitened_directions_count_alike():
    x = np.random.default_rng(0).normal(size=(500, 3)) * [10, 1, 0.1] + 5
    mean, turn = principal_directions(x, 3, whiten=True)
    np.testing.assert_allclose(((x - mean) @ turn).std(axis=0), 1, rtol=0.01)
