"""What each collaborative model does on its own, and what version 0.1 saved."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from builders import checkerboard

from prodrec.core import save_folder
from prodrec.recommend.collaborative import (
    ALS,
    BPR,
    Collaborative,
    ItemKNN,
    Popularity,
    fold_in,
)
from prodrec.recommend.history import History, ground_truth, split_by_time
from prodrec.recommend.metrics import evaluate_ranking
from prodrec.recommend.profiles import Profiles
from prodrec.recommend.user_models import UserModel


def test_a_basket_has_the_factors_that_implicit_gives_it():
    from implicit.als import AlternatingLeastSquares

    matrix = History(checkerboard(12).events).matrix()
    model = AlternatingLeastSquares(factors=5, alpha=7.0, regularization=0.3, random_state=0)
    model.fit(matrix, show_progress=False)
    expected = model.recalculate_user(np.arange(4), matrix[:4])
    np.testing.assert_allclose(
        fold_in(matrix[:4], model.item_factors, 7.0, 0.3), expected, atol=1e-4
    )


def test_arguments_are_checked():
    for wrong, message in [
        (lambda: ItemKNN("svd"), "`similarity` must be 'cosine' or 'cooccurrence', received 'svd'"),
        (lambda: ItemKNN(neighbours=0), "`neighbours` must be a positive integer, received 0"),
        (lambda: ALS(factors=0), "`factors` must be a positive integer, received 0"),
        (lambda: BPR(factors=2.5), "`factors` must be a positive integer, received 2.5"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()


# -- the class of version 0.1


@pytest.mark.parametrize(
    ("method", "kind", "options"),
    [
        ("als", ALS, {"alpha": 7.0}),
        ("bpr", BPR, {"iterations": 3}),
        ("cosine", ItemKNN, {}),
        ("cooccurrence", ItemKNN, {}),
        ("popularity", Popularity, {}),
    ],
)
def test_the_former_name_makes_the_new_classes(method, kind, options):
    with pytest.warns(DeprecationWarning, match="`ALS`, `BPR`"):
        model = Collaborative(method, factors=5, neighbours=7, seed=2, **options)
    assert type(model) is kind
    made = vars(model)
    assert {n: v for n, v in options.items() if made[n] != v} == {}
    assert (
        made.get("factors", 5) == 5 and made.get("neighbours", 7) == 7 and made.get("seed", 2) == 2
    )
    assert getattr(model, "similarity", method) == method


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_former_name_refuses_what_it_did():
    with pytest.raises(ValueError, match="`method` must be one of als, .*'svd'"):
        Collaborative("svd")
    with pytest.raises(TypeError, match="'alpha' is no option of method 'cosine'"):
        Collaborative("cosine", alpha=3)


def test_a_model_of_version_one_is_read(tmp_path):
    model = ALS(4, alpha=7.0).fit(checkerboard())
    meta = {"method": "als", "factors": 4, "neighbours": 100, "seed": 0}
    meta |= {"options": {"alpha": 7.0, "regularization": 0.1, "iterations": 15}}
    with save_folder(tmp_path / "model", "Collaborative", **meta) as folder:
        model._write(folder)
        for name in ("borrow", "spaces"):
            (folder / f"{name}.npz").unlink()
    file = tmp_path / "model" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    del manifest["format"]
    file.write_text(json.dumps(manifest), encoding="utf-8")
    again = UserModel.load(tmp_path / "model")
    assert type(again) is ALS and again.alpha == 7.0
    assert (again.scores(["00", "nobody"]) == model.scores(["00", "nobody"])).all()


def test_options_survive_before_any_history(tmp_path):
    "A model that has seen nothing comes back with its options, through `Profiles`."
    Profiles(ItemKNN("cosine", neighbours=7)).save(tmp_path / "profiles")
    learner = Profiles.load(tmp_path / "profiles").learner
    assert type(learner) is ItemKNN and (learner.similarity, learner.neighbours) == ("cosine", 7)


# -- a real shop


@pytest.mark.skipif(
    "PRODREC_DATA" not in os.environ,
    reason="needs real data: let PRODREC_DATA name a folder with `hm/`",
)
def test_purchases_of_a_real_week_predict_the_last_day():
    path = Path(os.environ["PRODREC_DATA"]) / "hm" / "transactions.csv.gz"
    history = History.from_csv(path, user="customer_id", id="article_id", time="t_dat")
    assert len(history) == 86_159 and len(history.users) == 20_127
    assert all(len(i) == 10 and i[0] == "0" for i in history.ids)
    train, test = split_by_time(history, cut="2020-09-22")
    truth = ground_truth(train, test, new=False)
    assert len(truth) == 835
    recall = {}
    models = {"popularity": Popularity(), "cosine": ItemKNN(), "als": ALS(64), "bpr": BPR(64)}
    for method, model in models.items():
        found, _ = model.fit(train).recommend(truth.index, 12, exclude_seen=False)
        recall[method] = evaluate_ranking(found, truth, 12).loc["recall@12"]
    assert all(
        recall[m]["low"] > 3 * recall["popularity"]["value"] for m in ("cosine", "als", "bpr")
    )
