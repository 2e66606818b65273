"""`prodrec queue` and `prodrec worker`: an import goes on where a killed worker left it."""

import json
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import catalog, folder

from prodrec.apps.changes import ChangeLog
from prodrec.apps.cli import main
from prodrec.apps.commands_work import file_blocks
from prodrec.apps.queue import JobQueue

__all__ = ["catalog", "folder"]  # fixtures


@pytest.fixture
def shop(folder, tmp_path, monkeypatch):
    "A saved recommender and the URL of a database of its own."
    url = f"sqlite:///{tmp_path / 'shop.sqlite'}"
    monkeypatch.setenv("PRODREC_DATABASE", url)
    return folder, url


def rows(path, n: int):
    lines = [json.dumps({"id": f"n{i}", "title": f"cotton {i}"}) for i in range(n)]
    path.write_text("\n".join([*lines[:3], "no json", *lines[3:]]))
    return path


def test_an_import_goes_on_where_a_killed_worker_left_it(shop, tmp_path, capsys, monkeypatch):
    folder, url = shop
    file = rows(tmp_path / "new.jsonl", 60)
    assert main(["queue", str(folder), "import", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job": 1, "kind": "import"}
    slow = """
        import sys, time
        from prodrec.apps import commands_work
        real = commands_work.apply_rows
        commands_work.file_blocks.__defaults__ = (0, 10)
        def apply_rows(*args):
            done = real(*args)
            print("block", flush=True)
            time.sleep(0.2)
            return done
        commands_work.apply_rows = apply_rows
        from prodrec.apps.cli import main
        main(sys.argv[1:])
    """
    command = [sys.executable, "-c", "\n".join(x[8:] for x in slow.splitlines())]
    dying = subprocess.Popen(
        [*command, "worker", str(folder), "--once", "--lease", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    for _ in range(2):
        assert dying.stdout.readline() == "block\n"
    dying.send_signal(signal.SIGKILL)
    dying.wait(20)
    kept = len(ChangeLog(url).last())
    assert 10 <= kept < 60
    time.sleep(1.0)  # its lease is over
    assert main(["worker", str(folder), "--once", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"jobs": 1}
    assert sorted(ChangeLog(url).last()) == sorted(f"n{i}" for i in range(60))
    job = JobQueue(url).to_frame().loc[1]
    done = json.loads(job["done"])
    assert (job["state"], job["attempts"], done["row"]) == ("finished", 2, 61)
    assert done["kept"] == 60 and done["refused"] == 1 and done["errors"][0]["row"] == 4
    assert main(["queue", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "finished"


def test_wrong_calls_are_told(shop, capsys):
    folder, url = shop
    for options, says in (([], "needs the path of one file"), (["nowhere"], "no file 'nowhere'")):
        with pytest.raises(SystemExit, match="2"):
            main(["queue", str(folder), "import", *options])
        assert says in capsys.readouterr().err
    assert main(["queue", str(folder)]) == 0 and "no jobs" in capsys.readouterr().out


def test_a_table_without_ids_fails_once_and_says_why(shop, tmp_path):
    folder, url = shop
    (tmp_path / "new.csv").write_text("title\nmug\n")
    JobQueue(url).add("import", {"file": str(tmp_path / "new.csv")})
    assert main(["worker", str(folder), "--once"]) == 0
    job = JobQueue(url).to_frame().loc[1]
    assert (job["state"], job["attempts"]) == ("failed", 1) and "a column id" in job["error"]


def test_a_file_is_read_in_blocks_from_any_row(tmp_path):
    (tmp_path / "a.csv").write_text('id,title\na,"two\nlines"\n\nb,mug')
    header, blocks = file_blocks(tmp_path / "a.csv")
    assert header == ["id", "title"] and [r for block in blocks for r in block] == [
        (2, b'a,"two\nlines"'), (4, b"b,mug"),
    ]  # fmt: skip
    assert [*file_blocks(tmp_path / "a.csv", after=2)[1]] == [[(4, b"b,mug")]]
