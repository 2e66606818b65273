"""Searches that are cut off, spread over processes, turned away, or that fail."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import psutil
import pytest

import prodrec.models.trials as trials
import prodrec.models.tuning as tuning
from prodrec.data.catalog import Catalog
from prodrec.models.search_spaces import SPACES, check_space
from prodrec.models.text import TextClassifier
from prodrec.models.tuning import Tuning, tune

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras 3 with numpy 2
ROOT = Path(__file__).resolve().parent.parent
SPACE = {"units": [2, 4, 8], "learning_rate": (1e-3, 1e-1, "log"), "batch_size": [4, 8, 16]}
SIZE = (8, 8)


def png(n):
    import cv2

    pixels = np.full((8, 8, 3), (40, 40, 200) if n % 2 else (200, 40, 40), np.uint8)
    pixels[n % 8, (n // 8) % 8] = n % 256
    return cv2.imencode(".png", pixels)[1].tobytes()


def catalog(start, stop, **columns):
    frame = pd.DataFrame(
        {"image": [png(n) for n in range(start, stop)]}, index=[f"p{n}" for n in range(start, stop)]
    )
    return Catalog(
        frame.assign(category=["red" if n % 2 else "blue" for n in range(start, stop)], **columns)
    )


TRAIN, VALIDATION = catalog(0, 24), catalog(24, 36)


def tiny(image_size, n_classes, units=4, meeting=None, fails=None):
    "One dense layer. With `meeting`, a folder, it waits there until two processes have come; `fails` are units it refuses."  # noqa: E501
    if fails is not None and units in fails:
        raise ValueError(f"{units} units are too many")
    if meeting is not None:
        Path(meeting, os.environ["KERASTUNER_TUNER_ID"]).touch()
        while len(list(Path(meeting).iterdir())) < 2:
            time.sleep(0.05)
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(units, activation="relu", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def search(folder, **changes):
    given = {
        "network": tiny,
        "train": TRAIN,
        "validation": VALIDATION,
        "space": SPACE,
        "trials": 4,
        "epochs": 2,
    }
    return tune(**{**given, "image_size": SIZE, "folder": folder, **changes})


def without_seconds(found):
    return found.to_frame().drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "A search that nothing has disturbed."
    return search(tmp_path_factory.mktemp("searches") / "whole")


def test_what_a_search_gives(whole):
    table = whole.to_frame()
    assert list(table) == ["status", "score", *SPACE, "epochs", "seconds", "error"]
    assert (
        len(table) == 4
        and set(table.status) == {"completed"}
        and (table.epochs == 2).all()
        and (table.seconds > 0).all()
    )
    assert table.units.isin(SPACE["units"]).all() and table.learning_rate.between(1e-3, 1e-1).all()
    best = table.score.idxmax()
    assert whole.score == table.score[best] and whole.best == table.loc[best, list(SPACE)].to_dict()
    assert "4 completed" in repr(whole) and "trial" in whole._repr_html_()
    assert [ax.get_xlabel() for ax in whole.figure().flat[:3]] == list(SPACE)


def test_the_classifier_is_the_one_that_was_scored(whole):
    classifier = whole.classifier
    assert classifier.evaluate(VALIDATION).accuracy == whole.score
    assert (
        classifier.options == {"units": whole.best["units"]}
        and classifier.batch_size == whole.best["batch_size"]
    )
    kept = [p.parent.name for p in whole.folder.glob("trial_*/classifier")]
    assert len(kept) == 1 and int(kept[0].split("_")[1]) == whole.to_frame().score.idxmax()
    again = type(classifier)(tiny, image_size=SIZE, **whole.best).fit(
        TRAIN, epochs=len(classifier.history_)
    )
    assert again.history_.accuracy.tolist() == classifier.history_.accuracy.tolist()


def test_the_score_is_that_of_the_best_epoch(tmp_path):
    "Trained on labels that are the wrong way round, each epoch is worse than the one before."
    wrong = Catalog(
        TRAIN.products.assign(category=TRAIN.products.category.map({"red": "blue", "blue": "red"}))
    )
    found = search(tmp_path, train=wrong, space={"learning_rate": [0.002]}, trials=1, epochs=6)
    history = found.classifier.history_.val_accuracy
    assert history.iloc[-1] < history.max() == pytest.approx(found.score)
    assert found.classifier.evaluate(VALIDATION).accuracy == found.score


def test_the_same_seed_gives_the_same_trials_and_more_go_on_where_it_stopped(whole, tmp_path):
    assert len(search(tmp_path / "same", trials=2).to_frame()) == 2
    pd.testing.assert_frame_equal(
        without_seconds(search(tmp_path / "same")), without_seconds(whole)
    )
    other = search(tmp_path / "other", seed=1, trials=1).to_frame()
    assert other.learning_rate[0] not in set(whole.to_frame().learning_rate)


def test_a_finished_search_comes_back_without_training(whole, monkeypatch):
    monkeypatch.setattr(tuning, "run_trials", None)
    pd.testing.assert_frame_equal(search(whole.folder).to_frame(), whole.to_frame())
    pd.testing.assert_frame_equal(Tuning(whole.folder).to_frame(), whole.to_frame())


@pytest.fixture
def at_once(monkeypatch):
    "Trials that learn nothing: their score is made of their values."

    def fit(self, hp, classifier, epochs):
        classifier.save = lambda path: path.mkdir()
        values = self.values(hp)
        return values["learning_rate"] * 997 * values["units"] % 1 * epochs / 10

    monkeypatch.setattr(trials.Candidates, "fit", fit)
    monkeypatch.setattr(
        trials.gc, "collect", lambda: 0
    )  # there is nothing to collect, and that takes its time


def cut(monkeypatch, owner, name, when):
    "Interrupt the call number `when` of a method, before it does anything; nothing but the tally is left of the others."  # noqa: E501
    method, calls = getattr(owner, name), []

    def again(*args):
        calls.append(name)
        if len(calls) == when:
            raise KeyboardInterrupt
        return method(*args)

    monkeypatch.setattr(owner, name, again)


@pytest.mark.parametrize("method", ["random", "bayesian", "hyperband"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    method, at_once, tmp_path, monkeypatch
):
    "Inside a training, after it, when a trial is announced, and before it is: each time on the way to the next."  # noqa: E501
    how = {"method": method, "trials": 7, "epochs": 9}
    never = search(tmp_path / "never", **how)
    cut(monkeypatch, trials.Candidates, "fit", 2)
    cut(monkeypatch, trials, "keep_best", 4)
    cut(monkeypatch, trials.CrashSafe, "save", 11)
    cut(monkeypatch, trials.CrashSafe, "_save_trial", 17)
    interruptions = 0
    while True:
        try:
            found = search(tmp_path / "cut", **how)
            break
        except KeyboardInterrupt:
            interruptions += 1
            rows = Tuning(tmp_path / "cut").to_frame()
            assert interruptions > 1 or rows.status.tolist() == ["completed", "unfinished"]
    assert interruptions == 4
    pd.testing.assert_frame_equal(without_seconds(found), without_seconds(never))
    assert len(list(found.folder.glob("trial_*/classifier"))) == 1


def test_hyperband_gives_the_best_more_epochs(at_once, tmp_path):
    table = search(tmp_path, method="hyperband", trials=100, epochs=9).to_frame()
    assert len(table) == 9 + 3 + 1 + 5 + 2 + 3  # the rounds of its three brackets
    first, second, third = table[:9], table[9:12], table[12:13]
    assert [set(t.epochs) for t in (first, second, third)] == [{1}, {3}, {9}]
    assert set(second.learning_rate) == set(first.nlargest(3, "score").learning_rate)
    assert set(third.learning_rate) == set(second.nlargest(1, "score").learning_rate)
    assert len(search(tmp_path / "less", method="hyperband", trials=10, epochs=9).to_frame()) == 10


def test_a_small_space_is_tried_once(tmp_path):
    table = search(tmp_path, space={"units": [2, 4]}, trials=10, epochs=1).to_frame()
    assert sorted(table.units) == [2, 4]


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"space": {"units": [2, 4]}}, "space"),
        ({"epochs": 3}, "epochs"),
        ({"seed": 7}, "seed"),
        ({"method": "bayesian"}, "method"),
        ({"train": catalog(0, 22)}, "train"),
        ({"validation": catalog(24, 36, title="x")}, "validation"),
        ({"network": "cnn", "space": {"dropout": [0.1]}}, "network, space"),
        ({"image_size": (16, 16)}, "params"),
    ],
)
def test_the_folder_of_another_search_is_refused(whole, changes, told):
    before = {p: p.read_bytes() for p in whole.folder.rglob("*") if p.is_file()}
    with pytest.raises(
        ValueError,
        match=f"`folder` .* holds another search, which differs in {told}: give a folder",
    ):
        search(whole.folder, **changes)
    assert {p: p.read_bytes() for p in whole.folder.rglob("*") if p.is_file()} == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="`folder` .* holds something that is no search"):
        search(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(FileNotFoundError, match="holds no search"):
        Tuning(tmp_path)


def test_without_a_folder_it_goes_on_in_the_cache(monkeypatch):
    first = search(None, trials=1, epochs=1)
    assert (
        search(None, trials=1, epochs=1).folder
        == first.folder
        != search(None, trials=1, epochs=1, seed=5).folder
    )


def test_a_failed_trial_says_why_and_the_search_goes_on(tmp_path, capfd):
    found = search(tmp_path, space={"units": [2, 4, 8]}, trials=3, epochs=1, fails=[8])
    table = found.to_frame().set_index("units")
    assert table.status[[2, 4]].tolist() == ["completed"] * 2 and (table.error[[2, 4]] == "").all()
    assert (
        table.status[8] == "failed"
        and table.error[8] == "ValueError: 8 units are too many"
        and np.isnan(table.score[8])
    )
    assert found.best["units"] in (2, 4) and "2 completed, 1 failed" in repr(found)
    assert capfd.readouterr() == ("", "")


def test_where_all_fail_the_reasons_are_told(tmp_path):
    with pytest.raises(
        RuntimeError, match="all 3 trials failed(.|\n)*1 x ValueError: 8 units are too many"
    ):
        search(tmp_path, space={"units": [2, 4, 8]}, trials=5, fails=[2, 4, 8])
    assert (Tuning(tmp_path).to_frame().status == "failed").all()
    with pytest.raises(ValueError, match="no trial .* is completed yet"):
        Tuning(tmp_path).best  # noqa: B018


@pytest.mark.parametrize(
    "changes, error, told",
    [
        (
            {"method": "grid"},
            ValueError,
            "`method` 'grid' is unknown: choose one of random, hyperband, bayesian",
        ),
        ({"trials": 0}, ValueError, "`trials` must be a positive integer, received 0"),
        ({"workers": 1.5}, ValueError, "`workers` must be a positive integer"),
        ({"space": {"width": [1]}}, TypeError, "'width'; this network takes units"),
        ({"space": {"seed": [1, 2]}}, ValueError, "`space` leaves seed open"),
        ({"space": {}}, ValueError, "`space` must be a dict"),
        ({"space": {"units": [print]}}, ValueError, "a choice of 'units' must be text, a number"),
        (
            {"network": lambda *_: None, "space": {"batch_size": [1]}, "workers": 2},
            ValueError,
            "`workers` cannot be handed",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(tmp_path, changes, error, told):
    with pytest.raises(error, match=told):
        search(tmp_path, **changes)
    assert not list(tmp_path.glob("trial_*"))


def test_nothing_is_printed(at_once, tmp_path, capfd):
    search(tmp_path / "more", trials=4, method="bayesian")
    search(tmp_path / "more", trials=5, method="bayesian")
    assert capfd.readouterr() == ("", "")


def test_pictures_are_read_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        Catalog, "open", lambda self, id, was=Catalog.open: opened.append(id) or was(self, id)
    )
    search(tmp_path, trials=3, epochs=1)
    assert sorted(opened) == sorted([*TRAIN.ids, *VALIDATION.ids])


def test_what_fit_takes_goes_to_fit(tmp_path, monkeypatch):
    "A parameter that a classifier's `fit` has of its own."
    from prodrec.models.classifier import ImageClassifier

    class Patient(ImageClassifier):
        def fit(self, train, validation=None, epochs=10, callbacks=(), patience=None):
            Patient.given = patience
            return super().fit(train, validation, epochs, callbacks)

    search(tmp_path, classifier=Patient, patience=3, trials=1, epochs=1)
    assert Patient.given == 3


def test_texts_are_searched_too(tmp_path):
    words = {n: "red apple" if n % 2 else "blue sea" for n in range(36)}
    train, validation = (
        catalog(a, b, title=[words[n] for n in range(a, b)]) for a, b in ((0, 24), (24, 36))
    )
    space = {"filters": [4, 8], "dropout": (0.0, 0.5)}
    how = {
        "classifier": TextClassifier,
        "fields": ("title",),
        "length": 4,
        "dims": 8,
        "dense": 8,
        "baseline": False,
    }
    found = tune(
        "conv1d",
        train,
        validation,
        space,
        trials=2,
        epochs=3,
        learning_rate=0.05,
        folder=tmp_path,
        **how,
    )
    assert isinstance(found.classifier, TextClassifier)
    assert found.score == found.classifier.evaluate(validation).accuracy == 1.0


def test_the_ready_spaces_are_spaces():
    from prodrec.models.networks import cnn

    assert all(check_space(name) for name in SPACES)
    best = {"dense": (64,), "dropout": 0.2, "filters": (64, 128, 256), "learning_rate": 1e-3}
    assert all(value in SPACES["walmart"][name] for name, value in best.items())
    assert cnn((16, 16), 2, **{k: v for k, v in best.items() if k != "learning_rate"})


# -- several processes

BEGIN = """
import sys
from test_tuning import search, tiny
search(sys.argv[1], workers=2, meeting=sys.argv[2])
"""


def workers(pid: int | None = None) -> list[psutil.Process]:
    "The chief and the workers that process `pid` has running; what other tests keep running is none of these."  # noqa: E501
    return [
        p
        for p in psutil.Process(pid).children(recursive=True)
        if "_member()" in " ".join(p.cmdline())
    ]


def test_two_workers_killed_and_gone_on_with(whole, tmp_path):
    "The process that waits is killed after a trial: nobody is left, nothing is lost, and the same call finishes."  # noqa: E501
    folder, meeting = tmp_path / "search", tmp_path / "meeting"
    meeting.mkdir()
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", BEGIN, folder, meeting], env=env, start_new_session=True
    )
    try:
        while not any(
            row["status"] == "completed" for row in tuning.trial_outcomes(folder).values()
        ):
            assert parent.poll() is None
            time.sleep(0.05)
        team = workers(parent.pid)
        assert len(team) == 3
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert not psutil.wait_procs(team, timeout=30)[1]
    done = {
        n: row for n, row in tuning.trial_outcomes(folder).items() if row["status"] == "completed"
    }
    for file in meeting.iterdir():
        file.unlink()

    found = search(folder, workers=2, meeting=str(meeting))
    table = found.to_frame()
    assert (
        len(table) == 4
        and set(table.status) == {"completed"}
        and set(table.worker) == {"worker-1", "worker-2"}
    )
    assert {n: found._outcomes[n] for n in done} == done
    pd.testing.assert_frame_equal(table[list(SPACE)], whole.to_frame()[list(SPACE)])
    assert found.classifier.evaluate(VALIDATION).accuracy == pytest.approx(found.score)
    assert not workers()


def test_a_worker_that_dies_is_told_of(tmp_path):
    with pytest.raises(
        RuntimeError, match="ended with status 3; what is done is kept(.|\n)*out of luck"
    ):
        search(tmp_path, network=dies, space={"batch_size": [4, 8]}, workers=2)
    assert not workers()


def dies(image_size, n_classes):
    print("out of luck", flush=True)
    os._exit(3)
