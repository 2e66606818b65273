"""What a user model returns is checked, and what it learned is kept without pickle."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from prodrec.recommend.arrays import (
    checked_arrays,
    checked_scores,
    read_arrays,
    stack_rows,
    write_arrays,
)


def test_scores_become_float32():
    found = checked_scores([[1, 2], [3, 4]], 2, (2, 5), "M.score_known")
    assert found.dtype == np.float32 and found.tolist() == [[1, 2], [3, 4]]
    assert checked_scores(np.ones((2, 5)), 2, (2, 5), "M.score_known").shape == (2, 5)


@pytest.mark.parametrize("scores", [np.ones((2, 3)), np.ones((1, 2)), [[1, 2], [3]], None, "ab"])
def test_other_scores_are_refused(scores):
    with pytest.raises(ValueError, match=r"`M.score_known` must return .* \(2, 2\) or \(2, 5\)"):
        checked_scores(scores, 2, (2, 5), "M.score_known")


def test_the_error_names_one_shape_where_only_one_is_right():
    with pytest.raises(ValueError, match=r"shape \(1, 2\), a row"):
        checked_scores(None, 1, (2, 2), "M.score_known")


def test_arrays_come_back_as_they_were(tmp_path):
    made = {"dense": np.arange(3), "sparse": csr_matrix(np.eye(2)), "two words": np.ones((1, 2))}
    write_arrays(tmp_path, checked_arrays(made, "M.learn"))
    again = read_arrays(tmp_path)
    assert set(again) == set(made) and (again["sparse"] != made["sparse"]).nnz == 0
    assert (again["dense"] == made["dense"]).all() and again["dense"].dtype == made["dense"].dtype


def test_rows_are_stacked_in_a_new_order():
    old, added = np.array([[1], [2]]), np.array([[3]])
    for kind in (np.asarray, csr_matrix):
        found = stack_rows(kind(old), kind(added), np.array([2, 0]))
        found = found.toarray() if kind is csr_matrix else found
        assert found.tolist() == [[3], [1]]
