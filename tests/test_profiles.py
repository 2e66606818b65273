"""Feedback, profiles and saved recommenders, written by several processes and killed ones."""

import sqlite3
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from builders import shop

from prodrec.core import load_folder, save_folder
from prodrec.data.catalog import Catalog
from prodrec.recommend.collaborative import ItemKNN
from prodrec.recommend.embedders import TfidfEmbedder
from prodrec.recommend.history import History
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.profiles import Feedback, user_profile
from prodrec.recommend.recommender import Recommender


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_four_processes_lose_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/feedback.sqlite"
    code = """
        import sys
        from prodrec.recommend.profiles import Feedback
        assert "tensorflow" not in sys.modules
        feedback = Feedback(sys.argv[1])
        for i in range(50):
            feedback.add(f"u{sys.argv[2]}", f"p{i}", "view")
    """
    writers = [start(code, url, n) for n in range(4)]
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
    events = Feedback(url).events()
    assert sorted(zip(events["user"], events["id"], strict=True)) == sorted(
        (f"u{n}", f"p{i}") for n in range(4) for i in range(50)
    )
    assert (
        events["time"].is_monotonic_increasing
        and Feedback(url)._engine.connect().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    )


def test_what_is_refused(tmp_path):
    feedback = Feedback(f"sqlite:///{tmp_path}/deeper/feedback.sqlite")
    for wrong in (
        (None, "a", "like"),
        ("u", " ", "like"),
        ("u", "a", "adore"),
        ("u", "a", "like", -1),
        ("u", "a", "like", np.nan),
    ):
        with pytest.raises(ValueError, match="`(user|id|event|value)` must be"):
            feedback.add(*wrong)
    for wrong in ("feedback.sqlite", "nosuchdatabase:///x", ""):
        with pytest.raises(ValueError, match="is no database URL"):
            Feedback(wrong)
    assert len(feedback) == 0 and feedback.events("u").empty and "0 events" in repr(feedback)
    assert "secret" not in repr(Feedback("sqlite://")) and Feedback("sqlite://").url == "sqlite://"


def recommender():
    return Recommender(text=TfidfEmbedder(), collaborative=ItemKNN("cosine"))


def events():
    rows = [(f"u{n}", f"{i:03d}") for n in range(6) for i in range(n, n + 4)]
    return History(pd.DataFrame(rows, columns=["user", "id"]))


def test_an_opinion_taken_back_was_never_given(tmp_path):
    store = Feedback(f"sqlite:///{tmp_path}/f.sqlite")
    store.add("anna", "a", "like").add("anna", "a", "like").add("ben", "a", "like")
    assert store.remove("anna", "a", "dislike").events().event.tolist() == ["like"] * 3
    store.remove("anna", "a", "like")
    assert store.events().user.tolist() == ["anna", "ben"]
    store.remove("anna", "a", "like").remove("anna", "a", "like")
    assert store.events().user.tolist() == ["ben"]


def test_feedback_counts_at_once_and_at_the_next_fit(tmp_path):
    shop20, made = shop(20), recommender().fit(shop(20), events())
    first = made.recommend(3, user="eve")
    assert set(first.to_frame()["reason"]) == {"popular"}
    made.feedback("eve", first.ids[0], "dislike").feedback("eve", "010", "like")
    liked = made.recommend(99, user="eve")
    assert first.ids[0] not in liked.ids and "010" not in liked.ids
    assert liked.to_frame()["reason"].str.startswith("like 010").all()
    assert "eve" not in made.profiles.model
    made.feedback("u0", "012", "purchase")
    assert "012" not in made.recommend(99, user="u0").ids
    made.fit(shop20, events())
    assert "eve" in made.profiles.model and not made.profiles.profile("eve")[1]
    assert first.ids[0] not in made.recommend(99, user="eve").ids
    assert len(made.profiles.history) == len(
        events()
    )  # what came as feedback stays in the database
    with pytest.raises(KeyError, match="product 'gone' is not in the recommender"):
        made.feedback("eve", "gone", "like")
    with pytest.raises(ValueError, match="`event` must be one of view"):
        made.feedback("eve", "010", "adore")


def test_feedback_without_a_history_is_enough():
    made = recommender().fit(shop(20))
    made.feedback("eve", "000", "like").feedback("ben", "000", "purchase").feedback(
        "ben", "004", "purchase"
    )
    made.fit(shop(20))
    assert "eve" in made.profiles.model
    assert made.recommend(99, user="eve").to_frame().set_index("id")["history"]["004"] > 0
    assert set(made.recommend(2, user="stranger").ids) == {"000", "004"}


def test_products_that_are_gone_do_no_harm():
    made = recommender().fit(shop(20), events())
    made.feedback("eve", "010", "like").remove(["010", "000", "003"])
    assert set(made.recommend(99, user="eve").to_frame()["reason"]) == {
        "popular",
        "nobody had it yet",
    }
    assert len(made.recommend(99, user="u0")) == 20 - 3 - 2  # 001 and 002 are left of what u0 has
    again = made.fit(made.catalog, events())
    assert len(again.recommend(99, user="stranger")) == 17


def test_saved_with_people_and_feedback(tmp_path):
    made = recommender().fit(shop(20), events())
    made.feedback("eve", "010", "like")
    made.save(tmp_path / "r")
    made.feedback("eve", "011", "dislike")  # goes on beside the saved one
    back = Recommender.load(tmp_path / "r")
    assert len(back.profiles.feedback) == 2
    for query in (
        {"user": "u0"},
        {"user": "eve"},
        {"user": "stranger"},
        {"user": "u1", "text": "red"},
    ):
        a, b = made.recommend(9, **query), back.recommend(9, **query)
        assert a.ids == b.ids and a.to_frame().equals(b.to_frame())
    back.save(tmp_path / "r")
    back.save(tmp_path / "copy")
    back.save(tmp_path / "copy")
    assert [len(Recommender.load(tmp_path / n).profiles.feedback) for n in ("r", "copy")] == [2, 2]
    back.feedback("eve", "012", "like")
    assert [len(Recommender.load(tmp_path / n).profiles.feedback) for n in ("r", "copy")] == [3, 2]


def test_another_database(tmp_path):
    url = f"sqlite:///{tmp_path}/elsewhere.sqlite"
    made = Recommender(text=TfidfEmbedder(), feedback=url).fit(shop(10))
    made.feedback("eve", "000", "like").save(tmp_path / "r")
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(("-wal", "-shm"))) == [
        "elsewhere.sqlite",
        "r",
    ]
    assert len(Recommender.load(tmp_path / "r").profiles.feedback) == 1
    other = Feedback(f"sqlite:///{tmp_path}/other.sqlite").add("eve", "001", "like")
    moved = Recommender.load(tmp_path / "r", feedback=other)
    assert list(moved.profiles.profile("eve")[0].liked.index) == ["001"]
    assert list(moved.attach(url).profiles.profile("eve")[0].liked.index) == ["000"]


# -- a process that is killed


def test_an_interrupted_add_adds_all_or_nothing(monkeypatch):
    made, add = recommender().fit(shop(10)), FaissIndex.add

    def interrupted(self, vectors):
        add(self, vectors)
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(FaissIndex, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.add(shop(5, 50))
    assert made.catalog.ids == shop(10).ids and len(made.index) == 10
    made.add(shop(5, 50))
    assert len(made.index) == len(made.catalog) == 15


KILLED = '''
    import os, signal, sys
    sys.path.insert(0, sys.argv[2])
    from builders import shop
    from prodrec.recommend.recommender import Recommender

    path, log = sys.argv[1], sys.argv[1] + ".log"

    def child(moment):
        """Add products and save; the process is gone at file operation `moment`, or inside `add` at 0.

        None lists the operations.
        """
        recommender, seen = Recommender.load(path), []

        def watch(event, details):
            if event in ("open", "os.rename", "os.mkdir", "shutil.rmtree", "os.remove", "os.rmdir"):
                seen.append(event)
                if len(seen) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        if moment == 0:
            recommender.index.add = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        recommender.add(shop(5, 50)).save(path)
        if moment is None:
            open(log, "w").write(" ".join(seen))
        os._exit(0)

    def killed(moment):
        process = os.fork()
        if not process:
            try:
                child(moment)
            finally:
                os._exit(3)
        status = os.waitpid(process, 0)[1]
        found = Recommender.load(path)
        assert len(found.index) == len(found.catalog)
        code = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        print(moment or 0, code, len(found.index), flush=True)
        if len(found.index) == 15:
            found.remove([i for i in found.catalog.ids if i >= "050"]).save(path)

    killed(None)
    operations = open(log).read().split()
    last = len(operations) - operations[::-1].index("os.rename")  # puts the new folder in
    for moment in sorted({*range(0, last, last // 3), last - 1, last, last + 1, last + 3}):
        killed(moment)
'''  # noqa: E501


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs processes that fork")
def test_killed_at_any_moment_index_and_products_stay_in_step(tmp_path):
    recommender().fit(shop(10), events()).save(tmp_path / "r")
    process = start(KILLED, tmp_path / "r", __file__.rsplit("/", 1)[0])
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    rows = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert rows[0] == (0, 0, 15) and {signal for _, signal, _ in rows[1:]} == {9} and len(rows) >= 7
    assert rows[1][2] == 10 and {size for _, _, size in rows[1:]} == {10, 15}
    assert not [p for p in tmp_path.iterdir() if p.name.endswith("-old")] or rows[-1][2] == 15


def test_a_folder_that_was_moved_aside_is_found(tmp_path):
    with save_folder(tmp_path / "note", "Note") as folder:
        (folder / "text").write_text("one")
    (tmp_path / "note").rename(tmp_path / ".note-00000000-old")
    assert (load_folder(tmp_path / "note", "Note")[0] / "text").read_text() == "one"
    assert isinstance(shop(1), Catalog)


def test_no_error_names_a_user(tmp_path):
    feedback = Feedback(f"sqlite:///{tmp_path}/f.sqlite", patience=0.1)
    with feedback._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE prodrec_events")
    with pytest.raises(Exception, match="prodrec_events") as error:
        feedback.add("anna@example.org", "1", "like")
    assert "anna" not in str(error.value)


def test_a_locked_database_is_not_waited_for(tmp_path):
    url = f"sqlite:///{tmp_path}/f.sqlite"
    feedback, other = Feedback(url, patience=0.3), sqlite3.connect(tmp_path / "f.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    began = time.perf_counter()
    with pytest.raises(Exception, match="locked"):
        feedback.add("anna", "1", "like")
    assert time.perf_counter() - began < 3
    other.rollback()
    assert len(feedback.add("anna", "1", "like")) == 1


def test_a_dislike_ends_with_a_like_and_two_stars_are_one():
    def after(*events):
        table = pd.DataFrame(events, columns=["event", "value"]).assign(id="x")
        profile = user_profile(table)
        return profile.disliked, profile.liked.index.tolist(), profile.had

    assert after(("dislike", 1)) == (["x"], [], [])
    assert after(("like", 1), ("dislike", 1))[:2] == (["x"], [])
    assert after(("dislike", 1), ("like", 1), ("like", 1))[:2] == ([], ["x"])
    assert after(("dislike", 1), ("view", 1))[0] == ["x"]  # to look at it again takes nothing back
    assert after(("rating", 2)) == (["x"], [], ["x"])
    assert after(("rating", 2.5)) == ([], ["x"], ["x"])
    assert after(("dislike", 1), ("rating", 5))[0] == []
    assert after(("purchase", 1)) == ([], ["x"], ["x"])
