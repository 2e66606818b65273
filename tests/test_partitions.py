"""A table of vectors over two PostgreSQL servers, made by the statements of the chapter on scaling.

The wheel with pgvector lacks `postgres_fdw`. Debian's packages `postgresql-17` and
`postgresql-17-pgvector` bring both: name their folder of programs in POSTGRES.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from postgres import postgres, vector_programs

from prodrec.recommend import pgvector
from prodrec.recommend.database import DatabaseAway
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.pgvector import PgVectorIndex, transaction, vector_engine
from prodrec.stats import unit_rows

N, DIM = 600, 16
CHAPTER = Path(__file__).parents[1] / "nbs" / "scaling.ipynb"


def statements(port: int) -> list[list[str]]:
    "The statements for the second server and for the first, in the chapter's words."
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    blocks = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    other = {"256": str(DIM), "second.example": "127.0.0.1", "5432": str(port)}
    other |= {"dbname 'shop'": "dbname 'postgres'"}
    for there, here in other.items():
        blocks = [block.replace(there, here) for block in blocks]
    return [[s.strip() for s in block.split(";\n") if s.strip()] for block in blocks]


@pytest.fixture(scope="module")
def pair():
    "The first server, which is asked, and the second."
    path = vector_programs()
    config = path and f"{path}/pg_config"
    share = os.path.exists(config or "") and subprocess.check_output([config, "--sharedir"])
    control = share and Path(share.decode().strip(), "extension", "postgres_fdw.control")
    if not control or not control.exists():
        pytest.skip("there is no PostgreSQL with pgvector and postgres_fdw, see above")
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(postgres(vectors=True)) for _ in range(2))
        for server, said in zip((second, first), statements(second.port), strict=True):
            with transaction(vector_engine(server.url)) as cursor:
                for statement in said:
                    cursor.execute(statement)
        yield first, second


@pytest.fixture(scope="module")
def vectors():
    drawn = np.random.default_rng(0).normal(size=(N, DIM))
    return unit_rows(drawn).astype(np.float16).astype(np.float32)


def parts(url: str) -> dict[str, int]:
    with transaction(vector_engine(url)) as cursor:
        said = f"SELECT tableoid::regclass::text, count(*) FROM prodrec_shop_{DIM}h GROUP BY 1"
        return dict(cursor.execute(said).fetchall())


def test_a_search_over_two_servers_is_that_of_one_index(pair, vectors, monkeypatch):
    index, exact = PgVectorIndex(pair[0].url).add(vectors), FaissIndex().add(vectors)
    assert len(parts(pair[0].url)) == 2 and min(parts(pair[0].url).values()) > N / 3
    np.testing.assert_array_equal(index.take(), vectors)
    queries = unit_rows(np.random.default_rng(1).normal(size=(5, DIM)))
    rng, found = np.random.default_rng(2), []
    for most in (10_000, 10):  # the slots are listed; through both graphs
        monkeypatch.setattr(pgvector, "EXACT_ROWS", most)
        for share in (None, 0.5, 0.05, 0.005):
            allowed = None if share is None else rng.random(N) < share
            rows, _ = index.search(queries, 10, allowed)
            best, _ = exact.search(queries, 10, allowed)
            assert rows.shape == best.shape
            same = np.mean([np.isin(r, b).mean() for r, b in zip(rows, best, strict=True)])
            assert same == 1 or most == 10 and same > 0.9
            found.append(same)
    index.add(vectors[:3])  # copies share a vector
    assert sum(parts(pair[0].url).values()) == N


def test_the_other_server_sorts_and_filters(pair, vectors):
    PgVectorIndex(pair[0].url).add(vectors)
    with transaction(vector_engine(pair[0].url)) as cursor:
        pgvector.set_way(cursor, "graph", 10)
        said = pgvector.nearest_sql(f"prodrec_shop_{DIM}h", "float16", "graph", masked=True)
        values = {"query": pgvector.as_text(vectors[0]), "limit": 10, "top": 8, "mask": b"\xff"}
        plan = "\n".join(r for (r,) in cursor.execute("EXPLAIN VERBOSE " + said, values))
    remote = next(line for line in plan.splitlines() if "Remote SQL" in line)
    assert "ORDER BY" in remote and "get_bit" in remote and "Merge Append" in plan


def test_a_killed_server_is_an_error_and_loses_nothing(pair, vectors):
    first, second = pair
    index, drawn = PgVectorIndex(first.url).add(vectors), np.random.default_rng(3)
    new = unit_rows(drawn.normal(size=(20_000, DIM))).astype(np.float16).astype(np.float32)
    threading.Timer(0.5, second.stop, (signal.SIGQUIT,)).start()
    with pytest.raises(DatabaseAway, match="does not answer"):
        for vector in new:
            index.add(vector)
    kept = len(index) - N  # that many were confirmed
    assert kept > 3
    with pytest.raises(DatabaseAway, match="does not answer"):
        index.search(vectors[:1], 10)
    second.start()
    np.testing.assert_array_equal(index.take(np.arange(N, len(index))), new[:kept])
    rows, _ = index.search(new[:kept], 1)
    assert (rows[:, 0] == N + np.arange(kept)).mean() > 0.9  # the graph may miss one
    assert kept <= sum(parts(first.url).values()) - N <= kept + 1
    index.add(new[kept])
    assert sum(parts(first.url).values()) == N + kept + 1
