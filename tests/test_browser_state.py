"""What is asked and chosen, as values: walks through a catalogue without a widget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.apps.browser_state import (
    BrowserState,
    first_on_left,
    query_code,
    same_question,
    tidy_query,
    win_rate,
)

IDS = ("a", "b", "c")
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(IDS)),
    st.tuples(st.just("also"), st.sampled_from(IDS)),
    st.tuples(st.just("like"), st.sampled_from(IDS)),
    st.tuples(st.just("dislike"), st.sampled_from(IDS)),
    st.tuples(st.just("unsay"), st.sampled_from(IDS)),
    st.tuples(st.just("steer"), st.integers(1, 9)),
    st.tuples(st.just("back"), st.none()),
)


def walk(state: BrowserState, step: tuple) -> BrowserState:
    what, value = step
    if what in ("like", "dislike"):
        return state.say(value, what, "anna")
    if what in ("ask", "also"):
        return getattr(state, what)(id=value)
    return state.steer(k=value) if what == "steer" else getattr(state, what)(*filter(None, [value]))


def test_a_query_is_put_in_order():
    assert list(
        tidy_query(
            {"k": 3, "text": [], "id": ("a",), "diversity": 0, "where": {}, "collapse": False}
        )
    ) == [
        "id",
        "k",
    ]
    with pytest.raises(TypeError, match="`query` must be a dict"):
        tidy_query([1])


def test_former_names_warn():
    with pytest.warns(DeprecationWarning, match="`more` is now `positive`"):
        assert tidy_query({"more": ["a"]}) == {"positive": ["a"]}


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_every_walk_holds_together(steps):
    state = BrowserState({"k": 5})
    for step in steps:
        state = walk(state, step)
        positive, negative = (state.query.get(name, []) for name in ("positive", "negative"))
        assert not set(positive) & set(negative)  # nobody likes and dislikes at once
        assert len(state.trail) >= 1 and state.trail[0] == {}
        assert same_question(state.trail[-1], {k: v for k, v in state.query.items() if k == "id"})
        assert "k" in state.query


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=8))
def test_steps_back_lead_to_the_beginning(steps):
    state = BrowserState({"k": 5})
    for step in steps:
        state = walk(state, step)
    for _ in range(40):
        state = state.back()
    assert state.trail == ({},) and set(state.query) == {"k"}


def test_a_step_back_takes_the_opinion_first():
    asked = BrowserState().ask(id="a").ask(id="b")
    leaning = asked.say("c", "like", "me").say("a", "dislike", "me")
    assert leaning.back().query == {"id": "b", "positive": ["c"]}
    assert leaning.back().back() == asked
    assert leaning.back().back().back().query == {"id": "a"}
    liked = BrowserState({"k": 3}).say("c", "like", "me")  # without a question it becomes one
    assert liked.back().query == {"k": 3} and liked.trail == ({},)


def test_a_new_question_forgets_opinions_and_frames():
    state = BrowserState({"k": 4, "where": {"price": (None, 5)}}).ask(image=b"1")
    state = state.steer(crop=(0, 0, 1, 0.5)).say("a", "like", "me").ask(id="b")
    assert state.query == {"id": "b", "k": 4, "where": {"price": (None, 5)}}
    assert state.opinion("a") == "like"  # but what was said stays known


def test_code_of_pictures_points_at_the_browser():
    state = BrowserState().ask(image=[b"1", b"2"]).steer(crop=(0, 0, 1, 0.5))
    code = query_code(state.query)
    assert code == 'recommender.recommend(image=browser.query["image"], crop=(0, 0, 1, 0.5))'


def test_votes_are_fair_and_counted():
    sides = np.array([first_on_left(n, seed=3) for n in range(2000)])
    assert abs(sides.mean() - 0.5) < 0.04
    assert abs(np.corrcoef(sides[1:], sides[:-1])[0, 1]) < 0.06
    found = win_rate(["first"] * 60 + ["second"] * 30 + ["tie"] * 10)
    assert found["share"] == 0.65 and 0.5 < found["low"] < 0.65 < found["high"]
    assert np.isnan(win_rate([])["share"])
