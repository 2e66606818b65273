"""The whole way on the real fashion set, a sample of it: what the demo catalogue cannot show."""

import os
from pathlib import Path

import pytest

FASHION = Path(os.environ.get("PRODREC_DATA", "")) / "fashion"
pytestmark = pytest.mark.skipif(
    "PRODREC_DATA" not in os.environ or not FASHION.is_dir(),
    reason="needs real data: let PRODREC_DATA name a folder with `fashion/`",
)


@pytest.fixture(scope="module")
def run():
    from prodrec import read_fashion
    from prodrec.apps.pipeline import run_pipeline

    how = {"network": "fashion-baseline", "image_size": (80, 60), "epochs": 3}
    return run_pipeline(lambda: read_fashion(FASHION).sample(2_000, seed=0), **how)


def test_recommends_better_than_colour_and_chance(run):
    at5 = run.precision["precision@5"]
    assert at5["random"] < at5["colour histogram"] < at5["pictures"]


def test_keeps_copies_of_a_picture_on_one_side(run):
    from prodrec import leaks

    found = leaks(run.sides["train"], run.sides["test"], near=False)
    assert not found.reason.isin(["same picture", "same id"]).any(), found
    assert (
        found.reason == "same title"
    ).any()  # titles do repeat in this set: the test can see a leak


def test_ids_are_text_and_answers_are_products(run):
    asked = run.sides["test"].ids[0]
    hits = run.recommender.recommend(k=10, id=asked, where={"gender": "Women"})
    table = hits.to_frame()
    assert len(table) == 10 and asked not in hits.ids
    assert (run.recommender.catalog.products.loc[hits.ids, "gender"] == "Women").all()
