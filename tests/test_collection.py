"""A recommender that is interrupted while it changes: all of the change is there or nothing of it,
and the next one finishes.
"""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import SIZE, shop

from prodrec.core import defer_interrupt
from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.history import History
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.profiles import Profiles
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.user_models import UserModel
from prodrec.stats import unit_rows

TRACED = tuple(
    f"prodrec/{f}.py"
    for f in (
        "core",
        *(f"recommend/{m}" for m in ("collection", "recommender", "index", "profiles", "spaces")),
    )
)
HAD = [f"{i:03d}" for i in range(8)]


@cache
def renamed(n):
    "Products 2 to n, of which some are there already, with other words."
    products = shop(n).products.iloc[2:]
    return Catalog(products.assign(title=[f"blue shirt {i}" for i in range(len(products))]))


class Liking(UserModel):
    "A user model that has nothing to learn, so that a recommender is made in no time."

    def learn(self, history, matrix):
        return {}

    def score_known(self, rows, users):
        return np.zeros((rows.shape[0], len(self.ids)), np.float32)


class Letters(TfidfEmbedder):
    """How often each of eight letters stands in the title: nothing to learn, so that a recommender
    is made in no time.
    """

    dim = 8

    def fit(self, catalog):
        return self

    def embed(self, x, kind=None, missing="zero"):
        texts = x.texts(("title",)) if isinstance(x, Catalog) else [x] if isinstance(x, str) else x
        return unit_rows(
            np.array([[t.count(letter) for letter in "abehlrst"] for t in texts], np.float32)
        )


@cache
def taken():
    return shop(8), History(
        pd.DataFrame({"user": ["u", "v"], "id": ["000", "001"], "event": "purchase"})
    )


def made(approximate=None):
    recommender = Recommender(text=Letters(), collaborative=Liking()).fit(*taken())
    recommender.index = FaissIndex(approximate).add(recommender.index.take())
    return recommender


@cache
def newcomers():
    return shop(4, 20)


CHANGES = {
    "add": (lambda r: r.add(newcomers()), [*HAD, "020", "021", "022", "023"]),
    "update": (lambda r: r.update(renamed(10)), [*HAD, "008", "009"]),
    "remove": (lambda r: r.remove(["001", "005"]), [i for i in HAD if i not in ("001", "005")]),
}


def state(recommender):
    "What it holds, after a look at whether its parts agree."
    catalog, index = recommender.catalog, recommender.index
    assert len(catalog) == len(index)
    last = index.take()[-1:]
    found, scores = index.search(last, len(index))
    assert {*found[0]} == {*range(len(catalog))}
    np.testing.assert_allclose(scores[0], np.sort(index.take() @ last[0])[::-1], atol=1e-5)
    return catalog.ids, catalog.texts(("title",)).tolist(), index.take().tolist()


def check_all_or_nothing(recommender, before, change):
    now, (do, ids) = state(recommender), CHANGES[change]
    if now == before:
        do(recommender)
    assert state(recommender)[0] == ids
    wanted = recommender.embedders["text"].embed(recommender.catalog)
    np.testing.assert_allclose(recommender.index.take(), wanted, atol=1e-6)
    assert sorted(recommender.profiles.model.ids) == sorted(HAD if change == "remove" else ids)
    return now != before


def interrupted_at(moment, change):
    """Whether there is a line number `moment` in a change, each counted once; Ctrl-C is pressed
    before it is run.
    """
    seen = set()

    def watch(frame, event, _):
        if not frame.f_code.co_filename.replace(os.sep, "/").endswith(TRACED):
            return None
        if event == "line" and (line := (frame.f_code, frame.f_lineno)) not in seen:
            seen.add(line)
            if len(seen) == moment:
                signal.raise_signal(signal.SIGINT)
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        change()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    assert len(seen) < moment, "the interrupt was swallowed"
    return False


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="Ctrl-C reaches the main thread",
)
@pytest.mark.parametrize(
    "change, approximate",
    [("add", None), ("update", None), ("remove", None), ("update", True), ("remove", True)],
)
def test_ctrl_c_at_every_line_of_a_change(change, approximate):
    outcomes, moment = [], 1
    while True:
        recommender = made(approximate)
        before = state(recommender)
        if not interrupted_at(moment, partial(CHANGES[change][0], recommender)):
            break
        outcomes.append(check_all_or_nothing(recommender, before, change))
        moment += 1
    assert len(outcomes) > 25 and {*outcomes} == {
        False,
        True,
    }  # some before the change, some after it


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Letters, "embed"),
        (FaissIndex, "replace"),
        (FaissIndex, "add"),
        (Catalog, "updated"),
        (Profiles, "add"),
        (Liking, "add"),
    ],
)
@pytest.mark.parametrize("change", ["add", "update"])
def test_whatever_fails_nothing_is_half_done(change, owner, name, late, monkeypatch):
    recommender = made()
    before, real, calls = state(recommender), getattr(owner, name), []

    def fails(*args, **kwargs):
        calls.append(1)
        if late:
            real(*args, **kwargs)
        raise MemoryError(name) if len(calls) == 1 else None

    def fails_once(*args, **kwargs):
        return real(*args, **kwargs) if calls else fails(*args, **kwargs)

    with monkeypatch.context() as m:
        m.setattr(owner, name, fails_once)
        with pytest.raises(MemoryError, match=name):
            CHANGES[change][0](recommender)
    assert state(recommender) == before
    assert not check_all_or_nothing(recommender, before, change)


@pytest.mark.parametrize("owner, name", [(FaissIndex, "remove"), (Catalog, "_part")])
def test_a_removal_that_fails_removes_nothing(owner, name, monkeypatch):
    recommender = made()
    before = state(recommender)
    with monkeypatch.context() as m:
        m.setattr(owner, name, lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recommender.remove(["001", "005"])
    assert not check_all_or_nothing(recommender, before, "remove")


def test_a_second_fit_that_fails_leaves_the_first(monkeypatch):
    recommender = Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(20))
    before = recommender.recommend(9, text="red shirt")
    with monkeypatch.context() as m:
        m.setattr(ColorHistogram, "embed", lambda *a, **k: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            recommender.fit(shop(9, 100))
    after = recommender.recommend(9, text="red shirt")
    assert after.ids == before.ids and (after.scores == before.scores).all()
    assert (
        len(recommender.fit(shop(9, 100)).index) == 9
        and recommender.catalog.ids == shop(9, 100).ids
    )


class Slow(TfidfEmbedder):
    def embed(self, x, kind=None, missing="zero"):
        for _ in range(30):
            time.sleep(2e-4)
        return super().embed(x, kind, missing)


def test_ctrl_c_at_random_moments_pressed_twice():
    recommender, armed, rng, interrupted = (
        Recommender(text=Slow()).fit(shop(300)),
        [False],
        random.Random(0),
        0,
    )

    def pressed(*_):
        if armed[0]:
            raise KeyboardInterrupt

    def attempt(new):
        armed[0] = True
        try:
            recommender.add(new).remove(new.ids)
        finally:
            armed[0] = False

    before = signal.signal(signal.SIGINT, pressed)
    try:
        for n in range(25):
            new = shop(200, 1000 + 200 * n)
            delays = sorted(rng.uniform(0, 0.03) for _ in range(2))
            presses = [threading.Timer(d, os.kill, (os.getpid(), signal.SIGINT)) for d in delays]
            ids = recommender.catalog.ids
            for p in presses:
                p.start()
            try:
                attempt(new)
            except KeyboardInterrupt:
                armed[0], interrupted = False, interrupted + 1
            for p in presses:
                p.join()
            assert recommender.catalog.ids in (ids, [*ids, *new.ids])
            assert len(recommender.catalog) == len(recommender.index)
            if len(recommender.index) > len(ids):
                recommender.remove(new.ids)
            assert (
                len(recommender.add(new).remove(new.ids).index) == len(ids)
                and recommender.catalog.ids == ids
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted
    np.testing.assert_allclose(
        recommender.index.take(), recommender.embedders["text"].embed(recommender.catalog)
    )


def test_ctrl_c_is_not_lost_and_not_caught_elsewhere():
    handler, heard = signal.getsignal(signal.SIGINT), []
    with suppress(KeyboardInterrupt), defer_interrupt(), defer_interrupt():
        signal.raise_signal(signal.SIGINT)
        heard.append("still here")
    assert heard and signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(ZeroDivisionError), defer_interrupt():
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) is handler

    def elsewhere():
        with defer_interrupt():
            heard.append(signal.getsignal(signal.SIGINT) is handler)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard[-1] is True


def test_products_are_replaced_in_their_places():
    recommender = made()
    assert recommender.update(renamed(10)) is recommender
    assert (
        recommender.catalog.ids == [*HAD, "008", "009"]
        and recommender.catalog["003"].title == "blue shirt 1"
    )
    assert recommender.recommend(1, text="blue shirt").ids[0] in renamed(10).ids
    with pytest.raises(TypeError, match="`catalog` must be a Catalog"):
        recommender.update(["003"])
    same = state(recommender)
    assert state(recommender.update(recommender.catalog)) == same


KILLED = """
    import os, random, signal, sys, time
    sys.path.insert(0, sys.argv[2])
    from builders import shop
    from prodrec.recommend.recommender import Recommender

    path, rng = sys.argv[1], random.Random(0)
    new = shop(30, 100)

    def child():
        while True:
            recommender = Recommender.load(path)
            if "100" in recommender.catalog:
                recommender.remove(new.ids).save(path)
            else:
                recommender.add(new).save(path)

    for _ in range(8):
        process = os.fork()
        if not process:
            try:
                child()
            finally:
                os._exit(3)
        time.sleep(rng.uniform(0.02, 0.15))
        os.kill(process, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(process, 0)[1])
        found = Recommender.load(path)
        assert len(found.index) == len(found.catalog)
        assert found.recommend(3, text="red shirt").ids
        print(len(found.index), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_killed_while_adding_and_saving_over_and_over(tmp_path):
    Recommender(image=ColorHistogram(SIZE), text=TfidfEmbedder()).fit(shop(10)).save(tmp_path / "r")
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(KILLED),
        str(tmp_path / "r"),
        str(Path(__file__).parent),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sizes = list(map(int, done.stdout.split()))
    assert len(sizes) == 8 and {*sizes} <= {10, 40}


def test_answers_are_of_one_moment_while_products_come_and_go():
    recommender, stop, wrong = Recommender(text=Letters()).fit(shop(60)), threading.Event(), []
    few, many = set(shop(60).ids), {*shop(60).ids, *shop(40, 200).ids}

    def ask(n):
        rng, queries = random.Random(n), ["red shirt", "blue shoe", "green cotton"]
        while not stop.is_set():
            try:
                hits = recommender.recommend(
                    200, text=rng.choice(queries), collapse=rng.random() < 0.3
                )
                named = {*hits.ids, *(i for several in hits.duplicates for i in several)}
                table = hits.to_frame()
                assert named in (few, many) and len(table) == len(hits)
                ids, scores = recommender.neighbours(["000", "001"], 99)
                assert set(ids[0]) | {"000"} in (few, many) and np.isfinite(scores).all()
                hits = recommender.recommend(5, id="001", where=lambda products: products["new"])
                assert hits.to_frame()["title"].size == 5
            except BaseException as e:  # noqa: BLE001
                wrong.append(e)
                return

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    new = shop(40, 200)
    try:
        for _ in range(30):
            recommender.add(new).update(new).remove(new.ids)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong[0]
    assert set(recommender.catalog.ids) == few


def test_two_threads_that_change_at_once_lose_nothing():
    recommender, wrong = Recommender(text=Letters()).fit(shop(10)), []

    def change(start):
        try:
            for n in range(10):
                new = shop(5, start + 10 * n)
                recommender.add(new)
                recommender.update(Catalog(new.products.assign(title="blue blue")))
                recommender.remove(new.ids[0])
        except BaseException as e:  # noqa: BLE001
            wrong.append(e)

    threads = [threading.Thread(target=change, args=(1000 * t,)) for t in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[0]
    assert len(recommender.catalog) == len(recommender.index) == 10 + 2 * 10 * 4
    wanted = recommender.embedders["text"].embed(recommender.catalog)
    np.testing.assert_allclose(recommender.index.take(), wanted, atol=1e-6)


def test_nothing_said_compares_what_the_products_have(monkeypatch, tmp_path):
    from prodrec.recommend import spaces

    monkeypatch.setattr(spaces, "best_image_embedder", lambda: ColorHistogram((16, 12)))
    monkeypatch.setattr(spaces, "SearchEmbedder", lambda: TfidfEmbedder(4))
    demo = load_demo(30)
    both = Recommender().fit(demo)
    assert list(both.spaces) == ["image", "text"] and len(both.recommend(3, id=demo.ids[0])) == 3
    only = Recommender().fit(Catalog(demo.products.assign(image=None)))
    assert list(only.spaces) == ["text"] and set(only.weights) == {"text", "history"}
    only.save(tmp_path / "r")
    assert list(Recommender.load(tmp_path / "r").spaces) == ["text"]
    nothing = Catalog(demo.products.assign(image=None, title=None, description=None))
    with pytest.raises(ValueError, match="neither pictures nor words"):
        Recommender().fit(nothing)
