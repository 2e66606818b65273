"""The figures of a catalogue, on catalogues of every shape."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.data.explore import (
    categories_figure,
    distinctive_words,
    explore,
    lengths_figure,
    log_likelihood_ratio,
    missing_fields,
    missing_figure,
    prices_figure,
    samples_figure,
    text_lengths,
    words_figure,
)

FIGURES = [
    categories_figure,
    samples_figure,
    prices_figure,
    lengths_figure,
    words_figure,
    missing_figure,
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def demo():
    return load_demo(120)


def shop(**columns):
    n = len(next(iter(columns.values())))
    return Catalog(pd.DataFrame(columns, index=[str(i) for i in range(n)]))


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_has_a_title_and_named_axes(figure, demo):
    ax = figure(demo)
    assert ax.get_title() and ax.figure.dpi >= 100
    assert ax.get_xlabel() or not len(ax.get_xticks())
    _, given = plt.subplots()
    assert figure(demo, ax=given) is given


def test_a_hundred_long_names_are_drawn_apart(demo):
    n = np.arange(len(demo)) % 100
    names = pd.Series([f"Home and Living, Decorative $ Items, number {i}" for i in n], demo.ids)
    ax = categories_figure(Catalog(demo.products.assign(category=names)), n=20)
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert len(set(labels)) == 20 and max(map(len, labels)) <= 29
    assert len(ax.patches) == 20 and "80 others" in ax.get_title() and "of 100" in ax.get_title()


def test_the_page_of_any_catalogue():
    empty = shop(title=[None, ""])
    assert len(explore(empty)) == 1
    assert len(explore(shop(title=["Mug", None], category=["a", None]))) == 5
    assert len(explore(shop(category=[1, 2, None], price=[0.0, 5.0, np.nan]))) == 4
    assert len(explore(shop(title=["काली कील", "红色连衣裙"], category=["x", "裙"]))) == 5


def test_lists_and_unknown_columns_are_refused(demo):
    with pytest.raises(ValueError, match="`by` names 'colours'.*did you mean 'colour'"):
        categories_figure(demo, by="colours")
    with pytest.raises(ValueError, match="has no words in any"):
        distinctive_words(shop(title=["12", "!"], category=["a", "b"]))
    with pytest.raises(ValueError, match="has no text in any"):
        lengths_figure(shop(title=[None, ""]))
    with pytest.raises(ValueError, match="has no value above zero"):
        prices_figure(shop(category=["a"], price=[-1.0]))


def test_forms_of_a_word_count_once():
    titles = ["red mug", "two mugs", "mugs", "cap", "caps", "green cap"]
    found = distinctive_words(shop(title=titles, category=list("aaabbb")))
    best = found.groupby("category").first()
    assert best.loc["a", ["word", "share"]].tolist() == ["mugs", 1.0]
    assert best.loc["b", ["word", "share"]].tolist() == ["cap", 1.0]


def test_the_ratio_is_that_of_a_table_of_two_by_two():
    from scipy.stats import chi2_contingency

    table = np.array([[9, 1], [21, 79]])
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    ratio = log_likelihood_ratio(np.array([9]), 10, np.array([21]), 100)
    assert ratio[0] == pytest.approx(expected)


def test_lengths_and_gaps():
    catalog = shop(title=["a b c", "红色连衣裙", " "], other=[None, 1.0, 2.0])
    assert text_lengths(catalog)["title"].tolist() == [3, 4]
    assert missing_fields(catalog)[["title", "other", "image"]].round(2).tolist() == [0.33, 0.33, 1]
