"""A recommender that changes while it answers: each change, reloads, and the order of things."""

import asyncio
import contextlib
import sqlite3
import threading
from types import SimpleNamespace

import keras
import pytest
from builders import encoded, pixels
from builders import shop as products

from prodrec.apps.changes import ChangeLog
from prodrec.apps.live import (
    Facets,
    HeldFeedback,
    LiveRecommender,
    Writer,
    ask,
    blocks_of,
    embed_products,
    load_networks,
    newest_folder,
)
from prodrec.apps.workspace import Versions, Workspace
from prodrec.models.networks import SavedNetwork
from prodrec.recommend.database import DatabaseAway
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder, TfidfEmbedder
from prodrec.recommend.recommender import Recommender


def made(n: int = 12) -> Recommender:
    return Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder(fields=("title",))).fit(
        products(n)
    )


@pytest.fixture
def live(tmp_path):
    live = LiveRecommender(made(), f"sqlite:///{tmp_path}/shop.sqlite").open()
    yield live
    live.close()


def title(live) -> str:
    return live.catalog.products["title"].iloc[0]


def test_changes_of_one_product_are_made_in_their_order(live):
    words, known = title(live), live.catalog.ids
    block = [
        ("a", {"title": words, "price": 1}, None),
        ("a", None, None),
        ("a", {"title": words, "price": 2}, None),
        ("b", None, None),
        (known[0], None, None),
        (known[0], None, None),
    ]
    errors = live.writer.apply(block)
    assert [type(e).__name__ for e in errors] == ["NoneType"] * 3 + [
        "KeyError",
        "NoneType",
        "KeyError",
    ]
    assert live.catalog["a"]["price"] == 2 and known[0] not in live.catalog
    assert live.changes.last() == {
        "a": ({"title": words, "price": 2}, None),
        known[0]: (None, None),
    }


def test_index_and_catalogue_stay_in_step(live):
    words = title(live)
    for n in range(30):
        live.writer.apply([(f"n{n}", {"title": words}, None), (live.catalog.ids[0], None, None)])
        assert len(live.recommender.index) == len(live.catalog) == 12
    assert live.catalog.ids == [f"n{n}" for n in range(18, 30)]


def test_what_cannot_be_written_is_not_in_memory(live, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(live.changes, "write", full)
    errors = live.writer.apply([("a", {"title": title(live)}, None), ("b", {"title": 3}, None)])
    assert [type(e) for e in errors] == [OSError, ValueError] and "a" not in live.catalog


def test_a_picture_that_cannot_be_read_is_told_before_anything_is_kept(live):
    with pytest.raises(ValueError, match="no picture"):
        live.put("a", {"title": title(live)}, b"hello")
    assert live.changes.last() == {}
    live.put("a", {"title": "zzzz"}, encoded(pixels()))  # it is found by its picture
    assert live.recommender.recommend(1, image=encoded(pixels())).ids == ["a"]


def test_bad_ones_are_found_among_many_and_the_others_taken(live):
    words = title(live)
    sent = {f"n{n}": ({"title": words}, None) for n in range(50)}
    sent |= {"silent": ({"title": "zzzz"}, None)}
    good, vectors, errors = embed_products(live.recommender, sent)
    assert len(good) == len(vectors) == 50 and list(errors) == ["silent"]
    assert embed_products(live.recommender, {})[0] is None


def test_all_but_one_may_go(live):
    errors = live.writer.apply([(i, None, None) for i in live.catalog.ids])
    assert len(live.catalog) == 1 and sum(e is not None for e in errors) == 1


def test_a_change_during_a_reload_is_in_the_new_version(tmp_path, monkeypatch):
    place = Versions(tmp_path / "shop")
    place.add(Workspace(recommender=made(12)))
    live = LiveRecommender(place.folder(), f"sqlite:///{tmp_path}/shop.sqlite").open()
    place.add(Workspace(recommender=made(20)))
    assert newest_folder(live._source) == place.path.absolute()
    loaded, go, real = threading.Event(), threading.Event(), Recommender.load.__func__

    def slow(cls, *args, **options):
        found = real(cls, *args, **options)
        loaded.set()
        go.wait(20)
        return found

    monkeypatch.setattr(Recommender, "load", classmethod(slow))
    told = []
    thread = threading.Thread(target=lambda: told.append(live.reload()))
    thread.start()
    loaded.wait(20)
    live.put("meanwhile", {"title": title(live)})
    with pytest.raises(RuntimeError, match="under way"):
        live.reload()
    assert len(live.catalog) == 13  # the old one answers
    go.set()
    thread.join()
    assert told[0]["carried"] == 1 and len(live.catalog) == 21 and "meanwhile" in live.catalog
    live.close()
    monkeypatch.undo()
    again = LiveRecommender(place.path, f"sqlite:///{tmp_path}/shop.sqlite").open()
    assert "meanwhile" in again.catalog
    again.close()


def test_events_are_held_until_they_change():
    feedback = HeldFeedback("sqlite://", users=2)
    feedback.read("anna")
    HeldFeedback.__mro__[1].add(feedback, "anna", "1", "like")  # by another process
    assert len(feedback.events("anna")) == 0 and len(feedback.read("anna")) == 1
    feedback.add("anna", "2", "like")
    assert len(feedback.events("anna")) == 2
    for user in "abc":
        feedback.read(user)
    assert len(feedback._held) == 2


def test_filters_are_not_counted_again_for_every_change(live, monkeypatch):
    calls, clock = [], SimpleNamespace(now=0.0)

    def counted(products):
        calls.append(len(products))
        clock.now += 0.1  # seconds that it takes
        return products

    monkeypatch.setattr("prodrec.apps.live.FilterFacts", counted)
    monkeypatch.setattr("prodrec.apps.live.time", SimpleNamespace(monotonic=lambda: clock.now))
    facets = Facets()
    for n in range(5):
        live.put(f"n{n}", {"title": title(live)})
        facets.table(live.catalog)
    assert calls == [13]
    clock.now += 1.8
    assert len(facets.table(live.catalog)) == 13
    clock.now += 0.3  # 20 times as long as it took: a twentieth of the time at most is spent on it
    assert len(facets.table(live.catalog)) == 17 and calls == [13, 17]
    facets._next = 0
    facets.table(live.catalog)
    assert calls == [13, 17]  # nothing has changed


def test_blocks():
    names = [("a", 1, 1), ("b", 1, 1), ("a", 1, 1), ("a", 1, 1), ("c", 1, 1)]
    assert blocks_of(names) == [[0, 1], [2], [3, 4]] and blocks_of([]) == [[]]


def test_types_follow_the_columns():
    recommender = made()
    writer = Writer(recommender, ChangeLog("sqlite://"), "one", {"shelf": "text"})
    title = recommender.catalog.products["title"].iloc[0]
    assert writer.apply([("a", {"title": title, "shelf": "top"}, None)]) == [None]
    assert "shelf" in recommender.catalog.products and writer.types["shelf"] == "text"


def test_a_question_for_a_user_reads_ahead(live, monkeypatch):
    read = []
    feedback = live.recommender.profiles.feedback
    monkeypatch.setattr(
        feedback, "read", lambda user: read.append((user, threading.current_thread().name))
    )

    async def some():
        return [
            await ask(live, query, {"k": 2}) for query in ({"user": "anna"}, {"text": title(live)})
        ]

    assert [len(h) for h in asyncio.run(some())] == [2, 2]
    assert [user for user, _ in read] == ["anna"] and "batch" not in read[0][1]


def test_a_database_that_another_process_has_locked_is_told_in_one_line(live, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        late = LiveRecommender(made(), f"sqlite:///{tmp_path}/shop.sqlite", patience=0.1)
        with pytest.raises(DatabaseAway, match="does not answer: database is locked"):
            late.open()
    assert late.open().close()


def test_a_table_of_products_belongs_to_a_saved_version():
    with pytest.raises(ValueError, match="`products` needs a saved recommender"):
        LiveRecommender(made(), "postgresql://127.0.0.1:1/shop", products="goods")


def test_networks_are_loaded_beside_the_first_answers(tmp_path):
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    eye = ImageEmbedder(keras.Model(inputs, x))
    shop = Recommender(image=eye, text=TfidfEmbedder(fields=("title",))).fit(products(6))
    shop.save(tmp_path / "shop")
    live = LiveRecommender(tmp_path / "shop", f"sqlite:///{tmp_path}/shop.sqlite").open()
    with contextlib.closing(live):
        live.lanes.pictures.thread.submit(int).result(60)  # behind the loading
        assert not live.recommender.spaces["image"].waits


def test_a_network_that_cannot_be_loaded_is_in_the_log(caplog):
    eye = ImageEmbedder.__new__(ImageEmbedder)
    eye._saved = SavedNetwork(b"no network")
    load_networks(SimpleNamespace(spaces={"image": eye}, classifier=None))
    assert "a network cannot be loaded" in caplog.text and eye.waits
