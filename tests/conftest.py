"""What every test of the package runs in: caches of its own, no progress bars."""

import os
import tempfile

import pytest

os.environ["PRODREC_PROGRESS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session():
    "What is cached is forgotten afterwards, so that no test finds what an earlier run has left."
    with tempfile.TemporaryDirectory() as tmp, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODREC_CACHE", tmp)
        yield
