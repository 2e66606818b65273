"""Search in PostgreSQL: as many hits as match, and what several views of a table share."""

import numpy as np
import pandas as pd
import pytest
from vectors import vector_server

from prodrec import Recommender, load_demo
from prodrec.recommend import pgvector
from prodrec.recommend.embedders import ColorHistogram
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.pgvector import PgVectorIndex
from prodrec.stats import unit_rows

N, DIM = 1_000, 16
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def vectors():
    return unit_rows(RNG.normal(size=(N, DIM))).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 1.0])
def test_a_graph_gives_as_many_as_match_and_nearly_the_nearest(monkeypatch, vectors, share):
    monkeypatch.setattr(pgvector, "EXACT_ROWS", 100)
    index = PgVectorIndex(vector_server().url, "wide", approximate=True).add(vectors)
    exact, found = FaissIndex().add(vectors), []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        allowed = rng.random(N) < share
        query = unit_rows(rng.normal(size=(1, DIM)))
        rows, _ = index.search(query, 10, allowed)
        best, _ = exact.search(query, 10, allowed)
        assert rows.shape == (1, min(10, allowed.sum())) and allowed[rows].all()
        found.append(np.isin(rows, best).mean())
    assert np.mean(found) > 0.9


def test_the_iterative_scan_is_why(vectors):
    "With the defaults of pgvector a filter that leaves 2 % has too few hits."
    PgVectorIndex(vector_server().url, "plain", approximate=True).add(vectors)
    with pgvector.transaction(pgvector.vector_engine(vector_server().url)) as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        few = f"SELECT slot FROM prodrec_plain_{DIM}h WHERE slot %% 50 = 0 ORDER BY vector <#> "
        found = cursor.execute(few + "%s::halfvec LIMIT 10", [pgvector.as_text(vectors[0])])
        assert len(found.fetchall()) < 10


def test_views_of_one_table_share_vectors_and_nothing_else(vectors):
    url = vector_server().url
    one, other = (PgVectorIndex(url, "views").add(vectors[:50]) for _ in range(2))
    with pgvector.transaction(one.engine) as cursor:
        assert cursor.execute(f"SELECT count(*) FROM {one.table}").fetchone()[0] == 50
    one.remove([7]).add(vectors[60])
    assert (len(one), len(other)) == (50, 50)
    assert other.search(vectors[7], 1)[0].tolist() == [[7]]
    assert one.search(vectors[60], 1)[0].tolist() == [[49]]
    assert other.search(vectors[60], 1)[0].tolist() != [[49]]
    assert other.compact() == 1
    with pytest.raises(ValueError, match="1 of 1 vectors are no longer in table"):
        one.take([49])


def test_copies_of_a_picture_share_a_vector_and_are_all_found(vectors):
    index = PgVectorIndex(vector_server().url, "copies").add(np.repeat(vectors[:3], 4, axis=0))
    rows, scores = index.search(vectors[1], 6)
    assert {*rows[0, :4]} == {4, 5, 6, 7} and rows.shape == (1, 6)
    assert (scores[0, :4] == scores[0, 0]).all()
    assert index.search(vectors[1], 6, np.arange(12) % 2 == 0)[0][0, :2].tolist() == [4, 6]


def test_a_recommender_on_postgres_answers_as_one_in_memory(tmp_path):
    catalog = load_demo(60, seed=1)
    own = Recommender(image=ColorHistogram((40, 30))).fit(catalog)
    index = PgVectorIndex(vector_server().url, "shop", dtype="float32")
    there = Recommender(image=ColorHistogram((40, 30)), index=index).fit(catalog)
    there.save(tmp_path / "shop")
    back = Recommender.load(tmp_path / "shop")
    back.remove(catalog.ids[9])
    own.remove(catalog.ids[9])
    for options in ({}, {"where": {"category": catalog.products["category"].iloc[0]}}):
        asked = {"id": catalog.ids[0], "k": 8} | options
        mine, theirs = own.recommend(**asked).to_frame(), back.recommend(**asked).to_frame()
        pd.testing.assert_frame_equal(mine, theirs, atol=1e-5)
    assert len(there.index) == 60  # its view is its own


def test_a_table_that_is_not_there_is_told(tmp_path, vectors):
    index = PgVectorIndex(vector_server().url, "lost").add(vectors[:3])
    index.save(tmp_path / "i")
    with pgvector.transaction(index.engine) as cursor:
        cursor.execute(f"DROP TABLE {index.table}")
    with pytest.raises(ValueError, match="fit the recommender again"):
        PgVectorIndex.load(tmp_path / "i")
    assert "shop@" in (tmp_path / "i" / "manifest.json").read_text()


@pytest.mark.parametrize("url", ["shop:secret@127.0.0.1:1/s", "127.0.0.1:1/s?password=secret"])
def test_no_password_is_written(tmp_path, url):
    PgVectorIndex(f"postgresql://{url}").save(tmp_path / "i")
    told = (tmp_path / "i" / "manifest.json").read_text()
    assert "secret" not in told and "***" not in told  # which would be taken for a password


def test_a_server_that_refuses_is_not_one_that_is_away():
    index = PgVectorIndex(vector_server().url, "long", approximate=True, dtype="float32")
    with pytest.raises(RuntimeError, match="refuses: column cannot have more than 2000 dimensions"):
        index.add(np.ones((1, 2001)))
