"""The whole pipeline: what it makes, what it costs once only, and its page."""

import numpy as np
import pandas as pd
import pytest

from prodrec.apps.pipeline import report_page, run_pipeline, write_report
from prodrec.data import audit as audit_module
from prodrec.data import duplicates
from prodrec.data.catalog import Catalog
from prodrec.data.demo import load_demo

SMALL = {"network": "cnn", "image_size": (16, 12), "filters": (4,), "dense": (8,), "epochs": 1}


@pytest.fixture(scope="module")
def run():
    return run_pipeline(load_demo(150), **SMALL)


def test_near_duplicates_are_looked_for_once(monkeypatch):
    looked, group = [], duplicates.group_pictures

    def counted(*args, **options):
        looked.append(args)
        return group(*args, **options)

    for module in (duplicates, audit_module):
        monkeypatch.setattr(module, "group_pictures", counted)
    run_pipeline(load_demo(100), **SMALL)
    assert len(looked) == 1


def test_the_sides_are_those_of_the_clean_catalogue(run):
    ids = [i for side in run.sides.values() for i in side.ids]
    assert len(ids) == len(set(ids)) and set(ids) == set(run.recommender.catalog.ids)
    assert list(run.precision.index)[0] == "random" and len(run.precision) == 4


def test_a_run_is_a_workspace(run, tmp_path):
    workspace = run.workspace()
    workspace.save(tmp_path / "out")
    assert workspace.sides == {name: side.ids for name, side in run.sides.items()}
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == report_page(run)


def test_products_without_a_label_take_no_part():
    products = load_demo(150).products.copy()
    products.loc[products.index[:20], "category"] = None
    run = run_pipeline(Catalog(products), **SMALL)
    assert not set(products.index[:20]) & {i for s in run.sides.values() for i in s.ids}
    with pytest.raises(ValueError, match="`target` names 'categroy'"):
        run_pipeline(Catalog(products), **SMALL, target="categroy")


def test_another_column_can_be_the_target():
    run = run_pipeline(load_demo(150), **SMALL, target="department")
    assert set(run.report.labels) <= set(load_demo(150).products["department"])
    assert np.isfinite(run.summary().to_numpy()).all()


def test_the_page_escapes_what_products_are_called(run, tmp_path):
    page = write_report(run, tmp_path / "page.html", title="<script>").read_text(encoding="utf-8")
    assert "<title>&lt;script&gt;</title>" in page and page.count("<script") == 2  # its own
    assert isinstance(run.summary(), pd.DataFrame)
