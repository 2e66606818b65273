"""Recommenders are measured as by hand, and their answers are drawn as they are."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.recommend.compare import (
    RIGHT,
    WRONG,
    answers_figure,
    basket_queries,
    evaluate_complements,
    evaluate_recommender,
    label_metrics,
    paired_table,
    recommended_ids,
)
from prodrec.recommend.complements import Complements
from prodrec.recommend.history import History
from prodrec.recommend.metrics import evaluate_ranking, precision_at_k, relevant
from prodrec.stats import paired_difference


class Found(list):
    "Hits, as far as they are asked here."

    @property
    def ids(self):
        return list(self)


class Alphabet:
    "A recommender that answers with the next products by name; it has the two methods needed."

    def __init__(self, catalog):
        self.catalog = catalog

    def neighbours(self, ids=None, k=5):
        everything = self.catalog.ids
        rows = range(len(everything)) if ids is None else self.catalog.rows(ids)
        found = [[everything[(r + n + 1) % len(everything)] for n in range(k)] for r in rows]
        return np.array(found, object), np.ones((len(found), k))

    def recommend(self, k, each, text):
        titles = self.catalog.products["title"]
        return [Found(titles.index[titles == t][:k]) for t in text]


@pytest.fixture
def shop():
    rows = [("a", "mug"), ("b", "mug"), ("c", "lamp"), ("d", "lamp"), ("e", "boot"), ("f", None)]
    table = pd.DataFrame(rows, columns=["id", "category"]).assign(brand=["x"] * 3 + ["y"] * 3)
    table["title"] = table["category"].fillna("thing")
    return Alphabet(Catalog(table.set_index("id")))


def test_a_recommender_is_measured_as_by_hand(shop):
    table = evaluate_recommender(shop, k=2)
    # a: b c, b: c d, c: d e, d: e f, e: f a; f has no label and is left out
    assert table.loc["precision@2", ["value", "queries"]].tolist() == [2 / 10, 5]
    assert table.loc["hit rate@2", "value"] == 2 / 5
    assert table.loc["recall@2", ["value", "queries"]].tolist() == [2 / 4, 4]  # e is alone
    assert table.loc["coverage@2", "value"] == 1
    some = evaluate_recommender(shop, ["a", "c"], k=1)
    assert some.loc["precision@1", ["value", "queries"]].tolist() == [1, 2]
    grouped = evaluate_recommender(shop, k=2, groups="brand")
    assert grouped.loc["precision@2", "value"] == table.loc["precision@2", "value"]


def test_new_products_are_asked_by_their_words(shop):
    new = Catalog(
        pd.DataFrame({"category": ["lamp", "boot"], "title": ["lamp", "mug"]}, ["n", "m"])
    )
    assert recommended_ids(shop, new, 2, "text").tolist() == [["c", "d"], ["a", "b"]]
    table = evaluate_recommender(shop, new, k=2, ask="text")
    assert table.loc["precision@2", "value"] == 0.5
    assert table.loc["recall@2", "value"] == 0.5  # nothing is taken off for the query itself
    with pytest.raises(ValueError, match="`ask` must be"):
        recommended_ids(shop, new, 2, "words")


def test_what_cannot_be_measured_is_said(shop):
    with pytest.raises(ValueError, match="`target` is 'size'"):
        evaluate_recommender(shop, target="size")
    with pytest.raises(ValueError, match="`groups` is 'size'"):
        evaluate_recommender(shop, groups="size")
    with pytest.raises(ValueError, match="no query has a value"):
        evaluate_recommender(shop, ["f"])
    with pytest.raises(KeyError):
        evaluate_recommender(shop, ["unheard of"])


def test_a_query_that_is_alone_counts_for_precision_only():
    found = label_metrics(np.array([[True, False], [False, False]]), [1, 0], 2)
    assert found["precision@2"].tolist() == [0.5, 0] and found["hit rate@2"].tolist() == [1, 0]
    assert found["nDCG@2"][0] == 1 and np.isnan(found["nDCG@2"][1])


def outfits(n=60, seed=0):
    "Each user buys a shirt and, an hour later, trousers of the same number or of the next."
    rng, rows = np.random.default_rng(seed), []
    for u in range(n):
        day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=u)
        one = int(rng.integers(5))
        rows.append((f"u{u}", f"shirt{one}", day))
        rows.append((f"u{u}", f"trousers{(one + rng.integers(2)) % 5}", day + pd.Timedelta("1h")))
    return History(pd.DataFrame(rows, columns=["user", "id", "time"]))


def test_complements_are_measured_by_the_rest_of_later_baskets():
    ids = [f"{kind}{n}" for kind in ("shirt", "trousers") for n in range(5)]
    table = pd.DataFrame({"category": ["shirt"] * 5 + ["trousers"] * 5}, index=ids)
    catalog, later = Catalog(table), outfits(10, seed=1)
    model = Complements().fit(outfits(), catalog, np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4] * 2])
    shown, right, basket = basket_queries(later, catalog.ids)
    assert len(shown) == 20 and [len(r) for r in right] == [1] * 20
    assert np.unique(basket).size == 10
    found = evaluate_complements(model, later, k=3)
    scores, at = model.scores(shown), catalog.rows(shown)
    scores[np.arange(20), at] = -np.inf
    lists = [[catalog.ids[c] for c in np.argsort(-row, kind="stable")[:3]] for row in scores]
    expected = evaluate_ranking(lists, right, 3)["value"]
    pd.testing.assert_series_equal(found["complements"]["value"].drop("coverage@3"), expected)
    assert (found["complements"]["queries"] == 20).all()
    with pytest.raises(ValueError, match="no basket"):
        evaluate_complements(model, History(pd.DataFrame({"user": ["a"], "id": ["shirt0"]})))


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    a, b = hard + 0.01 + rng.normal(scale=0.01, size=200), hard
    row = paired_table({"b": b, "a": a}).loc["a"]
    low, mean, high = paired_difference(a, b)
    assert row[["difference", "low", "high"]].tolist() == [mean, low, high] and low > 0
    assert row["better"] == (a > b).mean()
    groups = np.repeat(np.arange(4), 50)
    whole = paired_table({"b": b, "a": a + groups}, groups=groups).loc["a"]
    alone = paired_table({"b": b, "a": a + groups}).loc["a"]
    assert whole["high"] - whole["low"] > 2 * (alone["high"] - alone["low"])
    assert paired_table({"b": b, "a": a}, against="a").index.tolist() == ["b"]
    for values, against in (({"a": a}, None), ({"a": a, "b": b}, "c")):
        with pytest.raises(ValueError, match="and another name"):
            paired_table(values, against)


def test_answers_are_framed_by_their_label():
    catalog = load_demo(30)
    products = catalog.products[catalog.products["category"].notna()]
    labels = products["category"]
    query = labels.index[0]
    same = labels.index[labels == labels[query]][1:2].tolist()
    other = labels.index[labels != labels[query]][:1].tolist()
    answers = {"one": [same + other], "two": [[*other]]}
    first = answers_figure(catalog, [query], answers)
    axes = [ax for ax in first.figure.axes if ax.spines["left"].get_visible()]
    frames = [(ax.spines["left"].get_edgecolor(), ax.spines["left"].get_linestyle()) for ax in axes]
    assert [style for _, style in frames] == ["-", RIGHT[1], WRONG[1], WRONG[1]] or [
        style for _, style in frames
    ] == ["solid", RIGHT[1], WRONG[1], WRONG[1]]
    assert "dashed orange" in first.figure.get_suptitle()
    plt.close("all")
    with pytest.raises(ValueError, match="1 lists for 2"):
        answers_figure(catalog, [query, query], answers)
    found = relevant([same + other], labels, [labels[query]])
    assert precision_at_k(found, 2).tolist() == [0.5]
