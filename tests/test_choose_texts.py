"""The search for a classifier of texts: what it compares, what it never sees, what it leaves."""

import itertools
import logging

import numpy as np
import pandas as pd
import pytest

from prodrec.data.catalog import Catalog
from prodrec.models import choose_texts as module
from prodrec.models.choice import Budget, Tried
from prodrec.models.choose_texts import (
    text_sides,
    try_linear,
    try_networks,
    try_seeds,
    try_text,
    try_vote,
)
from prodrec.models.linear import tempered_loss
from prodrec.models.text import TextClassifier


def products(n, start=0, **columns):
    "Return products whose third word says their kind."
    kinds = [("bulb", "sole", "clay")[i % 3] for i in range(start, start + n)]
    titles = [f"no {i} {kind} fine" for i, kind in enumerate(kinds, start)]
    frame = pd.DataFrame({"title": titles, "category": kinds} | columns)
    return Catalog(frame.set_axis([f"p{i}" for i in range(start, start + n)], axis=0))


@pytest.fixture(scope="module")
def found():
    return TextClassifier(minutes=0.2, baseline=False).fit(products(60))


def test_nothing_given_is_enough_and_says_what_it_did(found):
    test = products(30, 100)
    report = found.evaluate(test)
    assert report.accuracy == 1 and found.chosen_ in report.notes
    assert {"tfidf", "lstm", "conv1d"} <= set(found.tried_.candidate)
    named = {}
    exec(found.code().replace("classifier.fit(train, validation)", ""), named)
    again = named["classifier"].fit(products(60))
    assert again.network == "tfidf" and (again.predict(test) == found.predict(test)).all()


def test_saved_and_loaded_with_its_choice(found, tmp_path):
    found.save(tmp_path / "c")
    back = TextClassifier.load(tmp_path / "c")
    assert back.chosen_ == found.chosen_ and back.name == found.name
    pd.testing.assert_frame_equal(back.tried_, found.tried_, check_dtype=False)
    assert (back.predict(products(9, 200)) == found.predict(products(9, 200))).all()


def test_validation_is_compared_on_and_never_learned_from():
    train, wrong = products(30), products(12, 60)
    wrong = Catalog(wrong.products.assign(category=["sole", "clay", "bulb"] * 4))
    made = TextClassifier(minutes=0.1, baseline=False).fit(train, wrong)
    assert made.tried_.accuracy.max() < 0.5 and made.evaluate(products(30, 100)).accuracy == 1
    with pytest.raises(ValueError, match="none of the labels"):
        TextClassifier(minutes=0.1).fit(train, Catalog(wrong.products.assign(category="other")))


def test_repeated_titles_are_on_one_side():
    twice = products(30).products
    twice = pd.concat([twice, twice.set_axis([f"q{i}" for i in range(30)], axis=0)])
    learn, check = text_sides(Catalog(twice), None, "category")
    assert len(check) and not set(learn.products.title) & set(check.products.title)


def test_a_spent_budget_leaves_one_candidate(monkeypatch):
    monkeypatch.setattr(Budget, "allows", lambda *a: False)
    sides, tried = (products(30), products(12, 60)), Tried()
    try_linear(TextClassifier(), sides, tried, Budget(1))
    try_networks(TextClassifier(), sides, tried, Budget(1))
    tried_on = [row["products"] for row in tried.rows]
    assert tried_on[0] == 30 and not any(tried_on[1:]) and len(tried_on) == 7


def test_a_search_is_quiet_and_a_wrong_call_is_not():
    before = logging.getLogger("tensorflow").level
    with pytest.raises(TypeError, match="name a network"):
        TextClassifier(units=3)
    with pytest.raises(ValueError, match='`minutes` is for network "auto"'):
        TextClassifier("lstm", minutes=3)
    assert logging.getLogger("tensorflow").level == before


def test_characters_help_with_misspelt_words():
    options = {"C": 100.0, "characters": True, "baseline": False}
    made = TextClassifier("tfidf", **options).fit(products(60))
    assert made.predict(["bulbb", "claay", "soles"]).tolist() == ["bulb", "clay", "sole"]


MEMBERS = (("tfidf", {"C": 100.0}), ("conv1d", {"dims": 8}))


@pytest.fixture
def two_candidates(monkeypatch):
    "Let a search try a linear classifier and a small network, which vote."

    def linear(classifier, sides, tried, budget):
        return module.try_text(classifier, *MEMBERS[0], sides, tried)

    def networks(classifier, sides, tried, *more):
        return [module.try_text(classifier, *MEMBERS[1], sides, tried, 2)]

    monkeypatch.setattr(module, "try_linear", linear)
    monkeypatch.setattr(module, "try_networks", networks)
    monkeypatch.setattr(module, "try_seeds", lambda *more: [])
    monkeypatch.setattr(module, "choose_votes", lambda answers, y: np.array([0.75, 0.25]))


@pytest.mark.parametrize("validation", [None, products(12, 60)])
def test_a_search_that_ends_in_a_vote(two_candidates, validation, tmp_path):
    train, test = products(60), products(30, 100)
    made = TextClassifier(minutes=0.1, baseline=False).fit(train, validation)
    assert made.name == "auto: vote of tfidf + conv1d" and made.tried_.candidate.iloc[-1] == "vote"
    assert made.found_["options"]["members"] == MEMBERS
    assert (
        len(made.found_["options"]["weights"]) == 2 and min(made.found_["options"]["weights"]) > 0
    )
    assert "tfidf (C 100) + conv1d (dims 8)" in made.chosen_ and made.evaluate(test).accuracy == 1
    made.save(tmp_path / "vote")
    back = TextClassifier.load(tmp_path / "vote")
    np.testing.assert_allclose(back.predict_proba(test), made.predict_proba(test), atol=1e-6)
    assert back.code() == made.code() and back.embed(test).shape == (30, 3 + 200)
    named = {}
    exec(made.code().replace("classifier.fit(train, validation)", ""), named)
    again = named["classifier"].fit(train, epochs=2)
    assert again.network == "vote" and (again.predict(test) == made.predict(test)).all()


def test_the_best_network_learns_again_from_other_seeds():
    classifier, sides = TextClassifier(baseline=False, seed=5), (products(60), products(12, 100))
    tried = Tried()
    first = try_text(classifier, "conv1d", {"dims": 8}, sides, tried, 1)
    worse = first | {"row": first["row"] | {"candidate": "lstm", "log_loss": 9.0}}
    again = try_seeds(classifier, [worse, first], sides, tried, Budget(1), 1)
    assert [f["made"].seed for f in again] == [6, 7] and classifier.seed == 5
    assert tried.frame().candidate.tolist() == ["conv1d"] * 3
    answers = [f["proba"] for f in (first, *again)]
    assert all(np.abs(a - b).max() > 1e-4 for a, b in itertools.combinations(answers, 2))


def test_time_to_learn_again_is_set_aside(monkeypatch):
    sides, clock, row = (products(60), products(12, 100)), Budget(5), {"seconds": 60.0}
    row |= {"candidate": "conv1d", "settings": {"dims": 8}, "log_loss": 0.1}
    monkeypatch.setattr(module, "try_text", lambda *more: {"row": dict(row)})
    how = TextClassifier(baseline=False), [{"row": row}], sides, Tried()
    assert len(try_seeds(*how, Budget(5))) == 2  # 120 of 300 seconds
    assert len(try_seeds(*how, clock, again=4 / 3)) == 2  # and 160 to learn again
    assert 138 < clock.left < 140 and not try_seeds(*how, clock, again=4 / 3)


def test_the_mean_of_seeds_stands_for_election():
    rng, y = np.random.default_rng(0), np.arange(600) % 2
    classifier, sides, tried = TextClassifier(baseline=False), (products(60), products(12)), Tried()
    one = try_text(classifier, "conv1d", {"dims": 8}, sides, tried, 1)
    answers = [np.where(rng.random(600) < 0.8, y, 1 - y) for _ in range(4)]
    found = [one | {"y": y, "proba": np.eye(2)[a] * 0.8 + 0.1} for a in answers]
    voted = try_vote(classifier, found, tried)
    assert len(set(voted["row"]["settings"]["weights"])) == 1  # all four, and each as much
    assert voted["row"]["settings"]["members"] == (("conv1d", {"dims": 8}),) * 4
    assert voted["row"]["log_loss"] < 0.8 * min(tempered_loss(f["proba"], y)[0] for f in found)


def test_equal_members_of_a_vote_have_other_seeds(monkeypatch):
    seeds, train_on = [], TextClassifier.train_on

    def note(self, *how):
        seeds.append(self.seed)
        train_on(self, *how)

    monkeypatch.setattr(TextClassifier, "train_on", note)
    members = (("conv1d", {"dims": 8}),) * 2
    made = TextClassifier("vote", baseline=False, members=members, seed=3)
    made.fit(products(60), epochs=1)
    assert seeds == [3, 3, 4] and made.seed == 3  # of the whole, then of its members
    one, two = (x.get_weights()[0] for x in made.model.layers if x.name.startswith("member_"))
    assert np.abs(one - two).max() > 1e-3


def test_a_vote_by_name_asks_every_member():
    train, test = products(60), products(12, 100)
    options = {"members": MEMBERS, "weights": (0.75, 0.25)}
    made = TextClassifier("vote", baseline=False, **options).fit(train, test, epochs=2)
    alone = TextClassifier("tfidf", C=100.0).fit(train).predict_proba(test)
    rest = (made.predict_proba(test) / alone**0.75) ** 4  # what the other member said
    rest /= rest.sum(1, keepdims=True)
    assert np.abs(rest - alone).max() > 0.05 and made.members_ is None
    assert made.history_.val_accuracy.tolist() == [1.0]
