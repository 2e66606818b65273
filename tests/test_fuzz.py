"Inputs that nobody thought of; `python .ci/fuzz.py --minutes 10` looks for longer."

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
import fuzzing

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(fuzzing.damaged(fuzzing.pictures()))
def test_uploads(data):
    fuzzing.upload(data)


@few
@given(fuzzing.damaged(fuzzing.archives()))
def test_archives(data):
    fuzzing.archive(data)


@few
@given(fuzzing.tables())
def test_tables(data):
    fuzzing.table(data)


@few
@given(fuzzing.JSON)
def test_filters(value):
    fuzzing.wish(value)


FOLDERS = fuzzing.saved()


@few
@given(fuzzing.broken_folders(FOLDERS))
def test_saved_folders(case):
    fuzzing.load(FOLDERS, case)


@pytest.fixture(scope="module")
def app():
    app = fuzzing.App()
    yield app
    app.close()


@few
@given(case=fuzzing.requests())
def test_request_bodies(app, case):
    app(case)
