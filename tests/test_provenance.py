"""Figures say where they come from."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest

from prodrec import Catalog, History
from prodrec.provenance import (
    code_commit,
    code_digest,
    data_digest,
    library_versions,
    provenance,
)

SHOP = pd.DataFrame({"title": ["mug", None], "price": [9.5, np.nan]}, index=["a", "b"])


def test_one_value_changes_the_digest_and_a_path_does_not():
    digest = data_digest(SHOP)
    assert len(digest) == 16 and digest == data_digest(SHOP.copy())
    for other in (SHOP.rename(index={"a": "c"}), SHOP.rename(columns={"price": "cost"}), SHOP[:1]):
        assert data_digest(other) != digest
    here, there = (SHOP.assign(image=[f"{place}/a.jpg", None]) for place in ("here", "there"))
    assert data_digest(here) == data_digest(there)
    catalog = Catalog(SHOP)
    assert data_digest(catalog) == data_digest(catalog.products)
    history = History(pd.DataFrame({"user": ["u"], "id": ["a"]}))
    assert data_digest(history) == data_digest(history.events)
    with pytest.raises(TypeError, match="received list"):
        data_digest([SHOP])


def test_the_commit_is_that_of_the_clone_and_says_what_was_changed(tmp_path):
    def git(*command):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True, capture_output=True)

    assert code_commit(tmp_path) is None
    git("init")
    assert code_commit(tmp_path) is None  # nothing here is known to git
    (tmp_path / "code.py").write_text("x = 1")
    git("add", "code.py")
    git("commit", "-m", "first")
    commit = code_commit(tmp_path)
    assert len(commit) == 12 and int(commit, 16)
    (tmp_path / "code.py").write_text("x = 2")
    assert code_commit(tmp_path) == f"{commit}+"


def test_all_of_it_can_be_written():
    found = provenance({"shop": SHOP})
    assert list(found) == ["commit", "date", "data", "versions"]
    assert json.loads(json.dumps(found)) == found and found["date"].endswith("+00:00")
    assert (
        found["data"] == {"shop": data_digest(SHOP)} == {"shop": provenance(SHOP)["data"]["data"]}
    )
    assert library_versions()["numpy"] == np.__version__


def test_only_code_changes_the_digest_of_a_notebook():
    def notebook(*sources, prose="text"):
        cells = [{"cell_type": "code", "source": [s], "outputs": []} for s in sources]
        return json.dumps({"cells": [*cells, {"cell_type": "markdown", "source": prose}]})

    digest = code_digest(notebook("x = f(1)", "! ls"))
    same = notebook("x = f(\n    1,\n)  # one", "! ls", "#| eval: false\n! pip", prose="other")
    assert code_digest(same) == digest
    assert code_digest(notebook("x = f(1)", "! ls -l")) != digest
    assert code_digest(notebook("x = g(1)", "! ls")) != digest
