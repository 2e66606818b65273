"""The log of changes: one row a product and version, old databases, and fields that do not fit."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from builders import shop

from prodrec.apps.changes import (
    ChangeLog,
    apply_changes,
    as_catalog,
    check_fields,
    column_types,
    update_or_skip,
)
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.recommender import Recommender


@pytest.fixture
def log(tmp_path):
    return ChangeLog(f"sqlite:///{tmp_path}/shop.sqlite")


def test_the_last_change_of_each_version_is_kept_and_no_other(log, tmp_path):
    for version in ("one", "two", None):
        for price in range(3):
            log.add("a", {"price": price}, version=version)
    rows = sqlite3.connect(tmp_path / "shop.sqlite").execute("SELECT version FROM prodrec_changes")
    assert sorted(rows, key=str) == sorted([("one",), ("two",), (None,)], key=str)
    assert log.last("one") == {"a": ({"price": 2}, None)}
    log.add("a", {"price": 9}, version="one")
    assert log.last("one")["a"][0] == {"price": 9}


def test_a_block_is_written_as_a_whole_or_not_at_all(log):
    with pytest.raises(ValueError):
        log.write([("a", {"price": 1}, None), ("b", {"price": float("nan")}, None)], "one")
    assert log.last() == {}
    log.write([(f"p{n}", {"price": n}, None) for n in range(1_200)], "one")
    log.write([(f"p{n}", {"price": -n}, None) for n in range(1_200)], "one")
    assert len(log.last()) == 1_200 and log.last()["p7"][0] == {"price": -7}


def test_a_database_of_an_earlier_version_is_read_and_compacted(tmp_path):
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE prodrec_changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
            "id VARCHAR(255) NOT NULL, fields TEXT, picture BLOB)"
        )
        for price in range(20):
            row = (f'{{"price": {price}}}', bytes(100_000))
            old.execute("INSERT INTO prodrec_changes (id, fields, picture) VALUES ('a', ?, ?)", row)
    log, before = ChangeLog(f"sqlite:///{path}"), path.stat().st_size
    assert log.last("whatever")["a"][0] == {"price": 19}
    assert log.compact() == 19 and log.last("whatever")["a"][0] == {"price": 19}
    assert path.stat().st_size < before / 4


def test_only_later_changes_are_carried_over(log):
    log.add("early", {"price": 1}, version="one")
    border = datetime.now(UTC) + timedelta(microseconds=1)
    log.add("late", {"price": 2}, version="one")
    log.add("late", {"price": 0}, version="two")
    assert log.carry("one", "two", border) == (1, 1)
    assert log.last("two") == {"late": ({"price": 2}, None)}
    assert list(log.last("one")) == ["early"]


def test_fields_are_checked_by_the_type_of_their_column():
    table = pd.DataFrame(
        {"title": ["a"], "new": [True], "added": pd.to_datetime(["2026-01-01"]), "empty": [None]}
    )
    types = column_types(table)
    for good in (
        {"new": False},
        {"added": "2026-02-03"},
        {"empty": 3},
        {"empty": "x"},
        {"price": 1},
    ):
        check_fields(good, types)
    for bad in ({"new": 1}, {"new": "yes"}, {"added": 3}, {"price": True}, {"title": False}):
        with pytest.raises(ValueError, match="holds"):
            check_fields(bad, types)
    for bad in (
        {"title": float("inf")},
        {"title": "\ud800"},
        {"title": {}},
        {"x": 1},
        {"more_images": "a"},
    ):
        with pytest.raises(ValueError, match="`fields`"):
            check_fields(bad, types)


def test_dates_are_read_as_their_column_holds_them():
    like = pd.DataFrame({"added": pd.to_datetime(["2026-01-01"]).astype("datetime64[us]")})
    made = as_catalog({"a": ({"added": "2026-05-01"}, None)}, like)
    assert made.products["added"].dtype == like["added"].dtype


def test_bad_rows_are_found_among_many():
    products = shop(20)
    recommender = Recommender(text=TfidfEmbedder(fields=("title",))).fit(products)
    title = products.products["title"].iloc[0]
    sent = {f"n{n}": ({"title": title}, None) for n in range(40)}
    bad = {"n7": ({"title": title, "price": "cheap"}, None), "n31": ({"title": [1]}, None)}
    assert sorted(update_or_skip(recommender, sent | bad)) == ["n31", "n7"]
    assert len(recommender.catalog) == 20 + 38


def test_the_last_product_is_never_removed():
    recommender = Recommender(text=TfidfEmbedder(fields=("title",))).fit(shop(3))
    apply_changes(recommender, dict.fromkeys(recommender.catalog.ids, (None, None)))
    assert len(recommender.catalog) == 1
