"""One trial of a search: what it writes, what it keeps, and what an oracle promises."""

import json

import keras
import keras_tuner as kt
import numpy as np
import pandas as pd
import pytest

from prodrec.data.catalog import Catalog
from prodrec.models.text import TextClassifier
from prodrec.models.trials import (
    METHODS,
    Candidates,
    best_trial,
    keep_best,
    make_oracle,
    read_json,
    run_trials,
    trial_folder,
    trial_outcomes,
    write_json,
)


def titles(start, stop):
    frame = {"title": ["sip clay" if n % 2 else "sole lace" for n in range(start, stop)]}
    frame["category"] = ["mug" if n % 2 else "boot" for n in range(start, stop)]
    return Catalog(pd.DataFrame(frame, index=[f"p{n}" for n in range(start, stop)]))


def bag(vectorizer, n_classes, dims=4):
    inputs = keras.Input((), dtype="string")
    x = keras.layers.Embedding(vectorizer.vocabulary_size(), dims)(vectorizer(inputs))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


@pytest.fixture
def candidates():
    same = {"classifier": TextClassifier, "params": {"baseline": False, "batch_size": 8}}
    return Candidates(bag, titles(0, 16), titles(16, 24), {"dims": [2, 4, 8]}, epochs=1, **same)


def test_trials_leave_their_outcomes_and_one_classifier(candidates, tmp_path):
    run_trials(candidates, "random", 3, tmp_path / "s")
    outcomes = trial_outcomes(tmp_path / "s")
    assert list(outcomes) == [0, 1, 2] and {r["status"] for r in outcomes.values()} == {"completed"}
    best = best_trial(outcomes)
    kept = list((tmp_path / "s").glob("trial_*/classifier"))
    assert kept == [trial_folder(tmp_path / "s", best) / "classifier"]
    assert outcomes[best]["score"] == TextClassifier.load(kept[0]).evaluate(titles(16, 24)).accuracy


def test_texts_are_read_once(candidates, tmp_path, monkeypatch):
    read, calls = TextClassifier.read_catalog, []
    monkeypatch.setattr(
        TextClassifier, "read_catalog", lambda self, c: calls.append(len(c)) or read(self, c)
    )
    run_trials(candidates, "random", 3, tmp_path / "s")
    assert sorted(calls) == [8, 16]


def test_the_best_of_equals_is_the_first():
    done = {"status": "completed", "score": 0.5}
    assert best_trial({0: {"status": "failed"}, 1: done, 2: done, 3: {"status": "unfinished"}}) == 1
    assert best_trial({}) is None and best_trial({0: {"status": "failed"}}) is None


def test_only_completed_trials_lose_their_classifier(tmp_path):
    for n, row in enumerate(
        [
            {"status": "completed", "score": 0.2},
            {"status": "completed", "score": 0.9},
            {"status": "unfinished"},
        ]
    ):
        folder = tmp_path / f"trial_{n}"
        (folder / "classifier").mkdir(parents=True)
        write_json(folder / "outcome.json", row)
    keep_best(tmp_path)
    assert [(tmp_path / f"trial_{n}" / "classifier").exists() for n in range(3)] == [
        False,
        True,
        True,
    ]


def test_files_are_whole_or_as_they_were(tmp_path):
    write_json(tmp_path / "a.json", {"n": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"n": object()})
    assert read_json(tmp_path / "a.json") == {"n": 1} and read_json(tmp_path / "b.json") is None
    assert json.loads((tmp_path / "a.json").read_text()) == {"n": 1}


@pytest.mark.parametrize("method", METHODS)
def test_an_oracle_has_a_seed_of_its_own(method):
    one, same, other = (make_oracle(method, 2, 9, 9, seed) for seed in (0, 0, 1))
    assert one.seed == same.seed != other.seed and one.seed > 0 and one.verbose == 0
    assert isinstance(one, kt.Oracle) and np.isfinite(one.seed)
