"""Log, products and vectors in one PostgreSQL database: a change is there whole, or not at all."""

import random
import threading

import numpy as np
import pytest
import sqlalchemy as sa
from postgres import new_database
from vectors import vector_server

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import born, catalog, killed_after, mother, write_until_dead

from prodrec import Recommender
from prodrec.apps.changes import ChangeLog
from prodrec.apps.guards import refusal
from prodrec.apps.live import LiveRecommender
from prodrec.apps.workspace import Versions, Workspace
from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.pgvector import PgVectorIndex, transaction, vector_engine, vector_keys
from prodrec.recommend.product_table import ProductTable

__all__ = ["catalog", "mother"]  # fixtures


@pytest.fixture
def url():
    return new_database(vector_server())


def version(catalog, url: str, price: float) -> Workspace:
    "A recommender of a few products with its vectors in the database."
    few = catalog[catalog.ids[:20]].products.assign(price=price)
    made = Recommender(text=TfidfEmbedder(fields=("title",)), index=PgVectorIndex(url, "v"))
    return Workspace(recommender=made.fit(Catalog(few)))


@pytest.fixture
def shop(catalog, url, tmp_path):
    "A folder of versions."
    place = Versions(tmp_path / "shop")
    place.add(version(catalog, url, 1.0))
    return place


def opened(shop, url: str) -> LiveRecommender:
    return LiveRecommender(shop.path, url, products="goods").open()


def asked(url: str, statement: str) -> list[tuple]:
    with transaction(vector_engine(url)) as cursor:
        return cursor.execute(statement).fetchall()


def log_rows(url: str) -> dict[str, tuple]:
    "The newest change of each product: number, and whether the product is gone."
    found = asked(url, "SELECT id, seq, fields IS NULL FROM prodrec_changes ORDER BY seq")
    return {id: (seq, gone) for id, seq, gone in found}


def table_rows(live: LiveRecommender, url: str) -> dict[str, tuple]:
    "The rows of the table of products: number of the change, title."
    table = live.writer.table
    title = table.names["title"]
    return {i: v for i, *v in asked(url, f"SELECT id, change, {title} FROM {table.table}")}


def vectors_there(live: LiveRecommender, url: str) -> set[bytes]:
    return {k.bytes for (k,) in asked(url, f"SELECT key FROM {live.recommender.index.table}")}


def test_a_change_is_one_transaction(shop, url, catalog, monkeypatch):
    live = opened(shop, url)
    assert {*table_rows(live, url)} == {*live.catalog.ids}  # filled at the first start
    live.put("new", {"title": "cotton thing", "price": 7})
    live.drop(catalog.ids[0])
    log, table = log_rows(url), table_rows(live, url)
    assert table["new"] == [log["new"][0], "cotton thing"] and catalog.ids[0] not in table
    query = live.recommender.index.take([len(live.catalog) - 1])[0]
    assert live.writer.table.search(query, 1, {"price": 7})[0] == ["new"]
    before = log, table, vectors_there(live, url)
    real = live.writer.table.remove

    def broken(*args):
        real(*args)
        raise RuntimeError("cut off before the end of the transaction")

    monkeypatch.setattr(live.writer.table, "remove", broken)
    with pytest.raises(RuntimeError, match="cut off"):
        live.put("late", {"title": " ".join(live.catalog.products["title"].iloc[:3])})
    assert (log_rows(url), table_rows(live, url), vectors_there(live, url)) == before
    assert "late" not in live.catalog and len(live.recommender.index) == len(live.catalog)
    live.close()


def test_a_killed_server_leaves_all_of_a_change_or_nothing(mother, shop, url):
    draw, confirmed, begun = random.Random(0), {}, {}
    for n in range(2):
        pid, address, _ = born(mother, shop.path, url, PRODREC_PRODUCTS="goods")
        with killed_after(draw.uniform(0.3, 0.6), pid):
            write_until_dead(address, n, draw, confirmed, begun)
    live = opened(shop, url)
    log, table = log_rows(url), table_rows(live, url)
    assert len(confirmed) > 5
    for id, title in confirmed.items():
        assert id in log if title is None or id in begun else table[id][1] == title
    for id, (seq, gone) in log.items():
        assert id not in table if gone else table[id][0] == seq
    assert {*table} == {*live.catalog.ids}  # the log and the table tell of the same products
    here = [i for i, (_, gone) in log.items() if not gone]
    catalog = live.catalog[here]
    stored = live.recommender.spaces.embed(catalog).astype(np.float16)
    assert {k.tobytes() for k in vector_keys(stored)} <= vectors_there(live, url)
    live.close()


def test_the_table_of_a_version_learns_what_other_versions_took_in(shop, url, catalog):
    old = opened(shop, url)
    shop.add(version(catalog, url, 2.0))
    new = opened(shop, url)
    assert old.writer.table.table != new.writer.table.table
    old.put("from-old", {"title": "cotton thing"})
    new.put("from-new", {"title": "cotton thing"})
    old.writer.follow(), new.writer.follow()
    for live in (old, new):
        there, log = table_rows(live, url), log_rows(url)
        assert {i: there[i][0] for i in log} == {i: seq for i, (seq, _) in log.items()}
    old.reload()  # its changes are carried over to the new version
    assert table_rows(old, url) == table_rows(new, url)
    assert old.writer.table.table == new.writer.table.table
    old.close(), new.close()


def test_a_database_that_goes_away_within_a_change_keeps_nothing(shop, url, monkeypatch):
    live = opened(shop, url)

    def cut(connection):
        own = connection.connection.driver_connection.info.backend_pid
        asked(url, f"SELECT pg_terminate_backend({own})")

    monkeypatch.setattr(live.recommender.index, "store", lambda v, connection: cut(connection))
    with pytest.raises(Exception) as lost:  # whichever: a server answers
        live.put("late", {"title": "cotton thing"})
    assert refusal(lost.value)[0] == 503
    monkeypatch.undo()
    assert "late" not in log_rows(url) and "late" not in table_rows(live, url)
    live.put("late", {"title": "cotton thing"})
    assert "late" in table_rows(live, url)
    live.close()


def test_a_change_may_take_longer_than_a_question(shop, url, monkeypatch):
    live, seen = opened(shop, url), []
    limits = "current_setting('statement_timeout'), current_setting('lock_timeout')"

    def look(connection):
        seen.append(tuple(connection.execute(sa.text(f"SELECT {limits}")).one()))

    monkeypatch.setattr(live.recommender.index, "store", lambda v, connection: look(connection))
    live.put("new", {"title": "cotton thing"})
    with live.changes.turn() as connection:
        look(connection)
    assert seen == [("0", "2s"), ("2s", "2s")]  # lifted for the transaction of the change alone
    live.close()


def test_one_of_two_servers_fills_a_table_while_others_write(shop, url, catalog, monkeypatch):
    changed, log, puts, lives = catalog.ids[0], ChangeLog(url, patience=2.0), [], []
    second = threading.Thread(target=lambda: lives.append(opened(shop, url)))
    real = ProductTable.put

    def put(table, products, *args):
        puts.append(len(products))
        if len(puts) == 1:
            second.start()
            second.join(0.5)
            both = [(i, {"title": "cotton thing"}, None) for i in ("meanwhile", changed)]
            log.write(both, "another")
        return real(table, products, *args)

    monkeypatch.setattr(ProductTable, "put", put)
    lives.append(opened(shop, url))
    second.join()
    assert len(lives) == 2 and [n for n in puts if n >= 20] == [20]
    numbers, there = log_rows(url), table_rows(lives[0], url)
    for id in ("meanwhile", changed):
        assert there[id] == [numbers[id][0], "cotton thing"]
    assert len(there) == 21
    for live in lives:
        live.close()
