"""What every test of the package runs in: caches of its own, no progress bars."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

os.environ["PRODREC_PROGRESS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow
# a shell lets what it starts in the background ignore Ctrl-C, and so what that starts in turn
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session():
    "What is cached is forgotten afterwards, so that no test finds what an earlier run has left."
    with tempfile.TemporaryDirectory() as tmp, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODREC_CACHE", tmp)
        yield


@pytest.fixture(scope="module", autouse=True)
def networks_are_forgotten():
    "What thousands of tests leave takes minutes to clear away at once, and none little by little."
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        gc.collect()


@pytest.fixture(scope="session")
def place(tmp_path_factory, cache_of_the_session):
    "A folder of pictures with a table of them, a trained model, and a shop with one version."
    from terminal import make_shop

    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def a_shop(place, tmp_path):
    "A copy of the shop, to do something with."
    return Path(shutil.copytree(place / "shop", tmp_path / "shop"))


@pytest.fixture
def served(monkeypatch):
    "What would be served, call by call."
    from prodrec.apps import server

    calls = []
    monkeypatch.setattr(
        server, "serve", lambda folder, *args, **options: calls.append((Path(folder).name, options))
    )
    return calls
