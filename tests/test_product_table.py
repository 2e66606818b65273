"""Filters in SQL against filters in memory, and products that change with their vectors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import vector_server

from prodrec.recommend.filters import where_mask
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.pgvector import transaction
from prodrec.recommend.product_table import ProductTable, where_sql
from prodrec.stats import unit_rows

N, DIM = 1_000, 16
RNG = np.random.default_rng(0)
COLOURS = ["red", "blue", "grün", "Zoë", "", "3", None]


def shop(n: int) -> pd.DataFrame:
    "Products with every type of column, and missing values in each that can have one."
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(RNG.integers(0, 300, n), "D")
    price = RNG.choice([*range(1, 40), np.nan], n).astype(float)
    return pd.DataFrame(
        {
            "price": price,
            "pieces": RNG.integers(0, 5, n),
            "colour": RNG.choice(np.array(COLOURS, object), n),
            "new": RNG.random(n) < 0.3,
            "added": pd.Series(days).where(RNG.random(n) < 0.9),
        },
        index=None,
    ).set_axis([f"p{i:05}" for i in range(n)])


@pytest.fixture(scope="module")
def products():
    return shop(N)


@pytest.fixture(scope="module")
def vectors():
    return unit_rows(RNG.normal(size=(N, DIM))).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def table(products, vectors):
    return ProductTable(vector_server().url, products, DIM).put(products, vectors)


number = st.integers(-2, 42) | st.sampled_from([3.5, None])
ends = st.tuples(number, number).filter(lambda r: None in r or r[0] <= r[1])
text = st.sampled_from([*COLOURS, "pink", "a%s'"])
day = st.dates(pd.Timestamp("2024-01-01").date(), pd.Timestamp("2024-12-01").date()).map(str)
WISHES = {
    "price": ends
    | number
    | st.lists(number, max_size=5).filter(lambda w: len(w) != 2)
    | st.sets(number),
    "pieces": ends | st.sets(st.integers(-1, 6), max_size=3) | st.booleans(),
    "colour": text
    | st.integers(3, 4)
    | st.lists(text, max_size=4)
    | st.tuples(st.just("b"), st.none() | st.just("s")),
    "new": st.booleans() | st.lists(st.booleans(), max_size=2),
    "added": day.map(lambda d: (d, None)) | day | st.none() | st.just((None, None)),
    "id": st.lists(st.integers(0, N + 9).map(lambda i: f"p{i:05}"), max_size=60),
}
wheres = st.dictionaries(st.sampled_from([*WISHES]), st.none(), max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: WISHES[name] for name in names})
)


@settings(max_examples=40, deadline=None)
@given(where=wheres, k=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_filter_in_sql_is_the_filter_in_memory(table, products, vectors, where, k, seed):
    query = unit_rows(np.random.default_rng(seed).normal(size=(1, DIM)))
    allowed = where_mask(products, where)
    rows, scores = FaissIndex().add(vectors).search(query, k, allowed)
    ids, found = table.search(query[0], k, where)
    assert len(ids) == min(k, allowed.sum()) and len({*ids}) == len(ids)
    assert {*ids} <= {*products.index[allowed]}
    np.testing.assert_allclose(found, scores[0], atol=1e-5)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"prise": 3}, "did you mean 'price'"),
        ({"price": "cheap"}, "column 'price'.*received the text 'cheap'"),
        ({"price": (9, 3)}, "is empty"),
        ({"price": (1, 2, 3)}, r"give a range as \(low, high\)"),
        ({"price": ("a", None)}, "cannot be compared"),
    ],
)
def test_a_wrong_filter_is_refused_before_the_database_is_asked(products, where, says):
    with pytest.raises(ValueError, match=says):
        where_sql(products, where)


def test_values_never_stand_in_the_statement(products):
    text, values = where_sql(products, {"colour": "x'; DROP TABLE prodrec_products; --"})
    assert "DROP" not in text and values == [["x'; DROP TABLE prodrec_products; --"]]


def test_a_change_is_whole_or_not_there(products, vectors):
    own = ProductTable(vector_server().url, products, DIM, "whole").put(products[:5], vectors[:5])
    twice = pd.concat([products[5:7], products[5:6]])
    with pytest.raises(Exception, match="second time"):
        own.put(twice, vectors[5:8])
    assert len(own) == 5
    changed = products[3:6].assign(price=99.0)
    assert len(own.put(changed, vectors[:3])) == 6
    ids, _ = own.search(vectors[0], 9, {"price": 99})
    assert sorted(ids) == [*products.index[3:6]] and own.remove(["p00004", "no"]) == 1


def test_a_table_is_opened_again_whatever_the_order_of_its_columns(products, vectors):
    url, old = vector_server().url, products[:50]
    ProductTable(url, products[["price", "colour"]], DIM, "again").put(old, vectors[:50])
    wider = ProductTable(url, products[["new", "colour", "price"]], DIM, "again")
    for where in ({"colour": "red"}, {"price": (None, 20)}, {"new": None}):
        kept = old.assign(new=None)
        assert {*wider.search(vectors[0], 50, where)[0]} == {*old.index[where_mask(kept, where)]}
    new = products[50:90]
    assert len(wider.put(new, vectors[50:90])) == 90
    assert {*wider.search(vectors[0], 90, {"new": True})[0]} == {*new.index[new["new"]]}


def test_a_table_of_an_earlier_version_is_brought_up_to_date_or_refused(products, vectors):
    url, own = vector_server().url, products[["price"]]
    table = ProductTable(url, own, DIM, "older").put(own[:2], vectors[:2])

    def changed(statement: str):
        with transaction(table.engine) as cursor:
            cursor.execute(f"ALTER TABLE {table.table} {statement}")

    changed("DROP COLUMN change")
    again = ProductTable(url, own, DIM, "older").put(own[1:3], vectors[1:3], [7, 8])
    assert again.changes(own.index[:3]) == {"p00000": None, "p00001": 7, "p00002": 8}
    with pytest.raises(ValueError, match="'price' is double precision in the table.*Drop it"):
        ProductTable(url, own.astype(str), DIM, "older")
    with pytest.raises(ValueError, match=r"'vector' is halfvec\(16\) in the table"):
        ProductTable(url, own, 2 * DIM, "older")
    changed(f"RENAME COLUMN {table.names['price']} TO c0")
    with pytest.raises(ValueError, match="columns are numbered"):
        ProductTable(url, own, DIM, "older")
