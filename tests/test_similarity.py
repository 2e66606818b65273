"""Many products at once: neighbours, the matrix, and a threshold from labels."""

import numpy as np
import pandas as pd
import pytest
from builders import SEEN, SIZE, shop

from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.similarity import (
    check_matrix,
    label_pairs,
    labelled_sample,
    matrix_blocks,
    nearest_others,
    product_queries,
    write_matrix,
)


@pytest.fixture(scope="module")
def both():
    return Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(45))


@pytest.mark.parametrize("k", [1, 7, 44, 99])
def test_neighbours_by_brute_force(both, k):
    shelf = both._look()
    rows, vectors = shelf.rows(SEEN), both.index.take()
    found, scores = nearest_others(shelf, rows, k)
    everything = product_queries(shelf, vectors[rows], strict=False) @ vectors.T
    everything[np.arange(len(rows)), rows] = -np.inf
    best = np.sort(everything, axis=1)[:, ::-1][:, : min(k, 44)]
    np.testing.assert_allclose(scores, np.clip(best, -1, 1), atol=1e-5)
    assert not (found == rows[:, None]).any()


def test_a_matrix_in_blocks_is_the_matrix_in_one(both):
    shelf, ids = both._look(), both.catalog.ids
    vectors = both.index.take()
    whole = np.vstack([s for _, s in matrix_blocks(shelf, ids, vectors, batch_size=1000)])
    for size in (1, 7, 45):
        blocks = list(matrix_blocks(shelf, ids, vectors, batch_size=size))
        assert [i for some, _ in blocks for i in some] == ids
        np.testing.assert_allclose(np.vstack([s for _, s in blocks]), whole, atol=1e-6)
    assert np.abs(whole).max() <= 1


def test_a_file_that_fails_is_not_there(tmp_path):
    def blocks():
        yield ["a"], np.ones((1, 2), np.float32)
        raise MemoryError

    with pytest.raises(MemoryError):
        write_matrix(blocks(), tmp_path / "m.parquet", 2, "float32")
    assert not list(tmp_path.iterdir())
    for wrong in ("int8", "float64"):
        with pytest.raises(ValueError, match="`dtype` must be"):
            check_matrix(3, wrong, None)
    check_matrix(50_000, "float32", "somewhere")
    with pytest.raises(ValueError, match="give a `path`"):
        check_matrix(50_000, "float32", None)


def test_pairs_are_right_where_labels_agree(both):
    shelf = both._look()
    asked = labelled_sample(both.catalog, "category", 20, seed=1)
    assert len(asked) == 20 and asked.products["category"].notna().all()
    scores, right = label_pairs(shelf, asked, shelf.vectors(asked.ids), "category", k=5)
    assert scores.shape == right.shape and (scores > 0).all() and 0 < right.mean() < 1
    with pytest.raises(ValueError, match="`target` 'colour' is not in the catalogue"):
        labelled_sample(both.catalog, "colour")


def test_former_keywords_still_work_and_say_so(both):
    with pytest.warns(DeprecationWarning, match="`column` is now `target`"):
        old = both.suggest_min_score(precision=0.4, column="new")
    assert old == both.suggest_min_score(precision=0.4, target="new")
    assert isinstance(old.table, pd.DataFrame)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colunm'"):
        both.suggest_min_score(colunm="new")
