"""A clock, a list of what was tried, and code that repeats a choice."""

import json
from types import SimpleNamespace

import pytest

from prodrec.models import choice
from prodrec.models.choice import Budget, Chosen, Tried, choice_code, settings_text


def test_the_clock_counts(monkeypatch):
    now = SimpleNamespace(t=100.0)
    monkeypatch.setattr(choice.time, "perf_counter", lambda: now.t)
    budget = Budget(2)
    now.t = 160.0
    assert (budget.spent, budget.left) == (60, 60)
    assert budget.allows(54) and not budget.allows(55) and budget.allows(60, share=1)
    now.t = 1000.0
    assert budget.left == 0 and not budget.allows(1) and "120 s" in repr(budget)


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_no_time_is_refused(minutes):
    with pytest.raises(ValueError, match="`minutes` must be above zero"):
        Budget(minutes)


def filled():
    tried = Tried()
    tried.add("a", {"parts": ["x", "y"]}, 10, 1.0, 0.5, 0.9)
    tried.add("b", {"penalty": 1e-4, "flip": False}, 10, 1.0, 0.6, 0.8)
    tried.add("c", {}, 10, note="no time")
    return tried


def test_the_smallest_loss_wins_and_the_sentence_says_by_how_much():
    tried = filled()
    assert tried.best()["candidate"] == "b"
    sentence = tried.sentence()
    assert "b (penalty 0.0001, no flip) was chosen among 2 candidates" in sentence
    assert "0.800" in sentence and "the next has a log-loss of 0.900" in sentence
    assert tried.frame().note.tolist() == ["", "", "no time"]


def test_nothing_tried_has_no_best():
    assert Tried().best() is None and Tried().sentence() == "nothing could be tried"
    assert Tried().frame().empty


def test_settings_in_words():
    assert (
        settings_text({"parts": ("a",), "size": (3, 4), "n": 5, "x": None})
        == "parts a, size 3 x 4, n 5"
    )


def test_the_code_runs_and_says_what_was_given():
    text = choice_code(
        "Maker", "maker_of_tests", "probe", {"parts": ("a", "b"), "c": None, "d": 1e-5}
    )
    made = []
    fitted = SimpleNamespace(fit=lambda *sides: made.append(sides))
    maker = SimpleNamespace(Maker=lambda *a, **k: made.append((a, k)) or fitted)
    import sys

    sys.modules["maker_of_tests"] = maker
    try:
        exec(text, {"train": 1, "validation": 2})
    finally:
        del sys.modules["maker_of_tests"]
    assert made == [(("probe",), {"parts": ("a", "b"), "d": 1e-5}), (1, 2)]


class Plain:
    name, network, options, target, seed = "plain", "compact", {"blocks": 2}, "kind", 3


class Both(Chosen, Plain):
    pass


def test_a_choice_survives_json():
    one, other = Both(), Both()
    assert one.name == "plain" and "'compact'" in one.code() and "blocks=2" in one.code()
    one.adopt("probe", {"parts": ("x", "y"), "penalty": 0.1}, filled(), "because")
    assert one.name == "auto: probe of x + y" and "penalty=0.1" in one.code()
    other.restore_choice(json.loads(json.dumps(one.choice_state())))
    assert other.chosen_ == "because" and other.name == one.name
    assert other.tried_.log_loss[:2].tolist() == [0.9, 0.8] and list(other.tried_) == list(
        one.tried_
    )
    other.restore_choice({})
    assert other.found_ is None and other.tried_ is None and other.chosen_ == ""
