"""A PostgreSQL server with pgvector, one for all tests of a process that need it."""

import atexit
import contextlib

import pytest
from postgres import postgres

_kept: dict = {}


def vector_server():
    "Return the server, started at the first call and stopped when the process ends."
    pytest.importorskip("psycopg", reason='`pip install "prodrec[pgvector]"` to test with pgvector')
    if "server" not in _kept:
        stack = contextlib.ExitStack()
        _kept["server"] = stack.enter_context(postgres(vectors=True))
        atexit.register(stack.close)
    return _kept["server"]
