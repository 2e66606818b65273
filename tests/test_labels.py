"""Advice on label columns, checked on columns of every form."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodrec.data.audit import audit
from prodrec.data.catalog import Catalog
from prodrec.data.labels import (
    check_target,
    column_of,
    first_step,
    label_text,
    labelled,
    labels_in,
    path_separator,
    target_advice,
)
from prodrec.data.split import split


def shop(**columns):
    n = len(next(iter(columns.values())))
    return Catalog(pd.DataFrame(columns, index=[str(i) for i in range(n)]))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            ["Home >> Kitchen >> Mugs", "Home >> Bath", "Toys >> Dolls", "Toys >> Cars"] * 10,
            "2 class",
        ),
        (["Home > Kitchen", "Home > Bath", "Toys > Dolls"] * 10, "3 paths"),
        (["Home|Kitchen", "Home|Bath", "Toys|Dolls"] * 10, "3 paths"),
        (["Home/Kitchen", "Home/Bath", "Toys/Dolls"] * 10, "3 paths"),
        (['["Home >> Mugs"]', '["Home >> Cups"]', '["Toys >> Cars"]'] * 10, "2 classes"),
        ([f"shop {n}" for n in range(40)], "40 values for 40 products"),
        (["2024-01-01", "2024-02-01T10:00:00Z"] * 20, "dates"),
        (["01/02/2024", "3.4.24"] * 20, "dates"),
        (list(pd.to_datetime(["2024-01-01", "2024-02-01"] * 20)), "dates"),
        ([1.5, 2.25] * 20, "numbers with fractions"),
        (["9.99", "12.50"] * 20, "numbers with fractions"),
        (["https://a.b/c", "http://d.e/f"] * 20, "links"),
        (["mug"] * 30, "one value only"),
        (
            ["a mug of blue clay that holds your tea warm", "and one more of the same for guests"]
            * 9,
            "",
        ),
    ],
)
def test_poor_targets_are_named_with_a_cure(values, words):
    advice = target_advice(pd.Series(values), "x")
    assert (advice or "").startswith("`x` holds") or words == ""
    assert words in (advice or "")


@pytest.mark.parametrize(
    "values",
    [
        ["mug", "cap", None] * 20,
        [1, 2, 3] * 20,
        [10.0, None, 20.0] * 20,
        ["T-shirts/Tops", "Shoes/Boots", "Bags"] * 10,
        [True, False] * 20,
        ["a", "b", "c"],
        [],
        [None] * 30,
    ],
)
def test_good_targets_and_toy_tables_need_no_advice(values):
    assert target_advice(pd.Series(values, dtype=object)) is None


@given(st.lists(st.sampled_from(["Home >> A", "Home >> B >> C", "Toys", None]), max_size=20))
def test_first_steps_keep_index_and_gaps(values):
    paths = pd.Series(values, [f"p{i}" for i in range(len(values))], dtype=object)
    first = first_step(paths, " >> ")
    assert first.index.equals(paths.index)
    assert set(first.dropna()) <= {"Home", "Toys"}
    assert (first.isna() == paths.isna()).all()


def test_steps_and_separators():
    assert path_separator(pd.Series(["a>b", "a>c"])) == ">"
    assert first_step(pd.Series(["a > b > c"]), ">", 2).tolist() == ["a>b"]
    with pytest.raises(ValueError, match="`steps` must be at least 1, received 0"):
        first_step(pd.Series(["a > b"]), ">", 0)


@pytest.mark.parametrize("several", [["a", "b"], ("a",), {"a": 1}, {"a"}, np.array(["a"])])
def test_several_labels_are_refused_at_once(several):
    catalog = shop(title=["x", "y"])
    catalog.products["tags"] = pd.Series([None, several], catalog.products.index, dtype=object)
    for use in (labels_in, labelled, check_target, split):
        with pytest.raises(ValueError, match="`target` 'tags' holds a .* for product '1'"):
            use(catalog, "tags")
    with pytest.raises(ValueError, match="'tags' holds a"):
        audit(catalog, target="tags")


def test_a_wrong_name_is_answered_with_the_right_one():
    with pytest.raises(
        ValueError, match="`target` names 'colours'.*did you mean 'colour'.*has colour"
    ):
        column_of(shop(colour=["red"]), "colours", "target")


def test_whole_numbers_are_one_label_in_every_type():
    for values in ([10, 40], [10.0, 40.0], ["10", "40"], np.array([10, 40], np.int8)):
        assert label_text(pd.Series(values)).tolist() == ["10", "40"]
    assert label_text(pd.Series([0.5, np.nan, np.inf])).tolist() == ["0.5", None, "inf"]


def test_checking_warns_once_and_returns_the_advice():
    catalog = shop(path=["Home > A", "Home > B", "Toys > C"] * 10, label=["a", "b", None] * 10)
    with pytest.warns(UserWarning, match="3 paths"):
        assert "first_step" in check_target(catalog, "path")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_target(catalog, "label") is None
    assert len(labelled(catalog, "label")) == 20
    with pytest.raises(ValueError, match="`target` 'empty' is empty"):
        labelled(shop(empty=[None, " "]), "empty")


def test_the_audit_notes_a_poor_target():
    report = audit(shop(category=["Home > A", "Home > B", "Toys > C"] * 10))
    assert len(report.notes) == 1 and "3 paths" in report.notes[0]
    assert "3 paths" in repr(report) and "3 paths" in report._repr_html_()
