"""A database that does not answer is one line, without a password, whatever opens it."""

import socket
import time

import pytest
import sqlalchemy as sa

from prodrec.apps.changes import ChangeLog
from prodrec.apps.cli import main
from prodrec.apps.queue import JobQueue
from prodrec.recommend import database as module
from prodrec.recommend.database import DatabaseAway, open_database
from prodrec.recommend.pgvector import PgVectorIndex
from prodrec.recommend.profiles import Feedback

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.Text))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "nosuch", "postgresql+nosuch"])
def test_no_error_shows_a_password(scheme, monkeypatch):
    url = f"{scheme}://shop:se:cr/et@127.0.0.1:1/shop"
    with pytest.raises(Exception) as error:  # whichever: nothing listens there
        Feedback(url, patience=1)
    while (e := error.value if error else None) is not None:
        assert "se:cr/et" not in str(e) and "cr/et" not in str(e)
        error = None


def test_a_password_in_the_query_is_hidden_too():
    url = "postgresql://127.0.0.1:1/shop?password=geheim&sslpassword=auch"
    with pytest.raises(DatabaseAway) as told:
        Feedback(url, patience=1)
    assert "password=***&sslpassword=***" in str(told.value)
    assert "geheim" not in str(told.value) and "auch" not in str(told.value)


@pytest.fixture
def silent():
    "The port of a program that takes connections and never says a word."
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s.getsockname()[1]


@pytest.mark.parametrize(
    "opens",
    [
        ChangeLog,
        Feedback,
        JobQueue,
        lambda url: PgVectorIndex(url).add([[1.0, 0.0]]),
    ],
)
def test_a_refusing_database_is_one_line_wherever_it_is_opened(opens):
    with pytest.raises(DatabaseAway) as told:
        opens("postgresql://shop:geheim@127.0.0.1:1/shop")
    text = str(told.value)
    assert "shop:***@127.0.0.1:1/shop does not answer: connection failed" in text
    assert "\n" not in text and "geheim" not in text


def test_a_silent_database_is_given_up_once(silent):
    began = time.perf_counter()
    with pytest.raises(DatabaseAway, match="timeout expired"):
        open_database(f"postgresql://shop:geheim@127.0.0.1:{silent}/shop", NOTES, patience=1)
    assert time.perf_counter() - began < 4  # psycopg waits for two seconds at least


@pytest.mark.parametrize("command", [["queue"], ["worker", "--once"]])
def test_a_command_prints_one_line(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PRODREC_DATABASE", "postgresql://shop:geheim@127.0.0.1:1/shop")
    assert main([command[0], str(tmp_path), *command[1:]]) == 1
    told = capsys.readouterr().err
    assert told.startswith("prodrec: the database postgresql://shop:***@127.0.0.1:1/shop does not")
    assert told.count("\n") == 1 and "geheim" not in told


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(DatabaseAway, match="unable to open database file"):
        open_database(f"sqlite:///{tmp_path}", NOTES)


def test_a_table_that_another_process_has_just_made_is_used(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    open_database(url, NOTES)
    late = sa.exc.OperationalError("CREATE TABLE", {}, Exception("table exists"))
    monkeypatch.setattr(module.sa.MetaData, "create_all", lambda *_: (_ for _ in ()).throw(late))
    assert sa.inspect(open_database(url, NOTES)).has_table("notes")
    with pytest.raises(DatabaseAway, match="table exists"):
        open_database(f"sqlite:///{tmp_path / 'b.sqlite'}", NOTES)
