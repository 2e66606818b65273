"""Search spaces: what is one, and that a draw stays inside it."""

import json

import keras_tuner as kt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.models.search_spaces import (
    SPACES,
    check_domain,
    check_space,
    describe_domain,
    draw_values,
)


def drawn(space, seed):
    "Return one candidate drawn at random."
    hp = kt.HyperParameters()
    draw_values(hp, space)
    hp.values = {p.name: p.random_sample(seed + n) for n, p in enumerate(hp.space)}
    return draw_values(hp, space)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e3), st.booleans(), st.integers(0, 10_000))
def test_a_draw_lies_in_its_range(low, factor, log, seed):
    domain = (low, low * factor, "log") if log else (low, low * factor)
    value = drawn({"rate": check_domain("rate", domain)}, seed)["rate"]
    assert low * (1 - 1e-3) <= value <= low * factor * (1 + 1e-3)
    assert len(f"{value:.10g}".lstrip("0.").replace(".", "").split("e")[0].rstrip("0")) <= 4


@pytest.mark.parametrize("name", SPACES)
def test_the_ready_spaces_can_be_drawn_from(name):
    space = check_space(name)
    for seed in range(20):
        values = drawn(space, seed)
        assert list(values) == list(space)
        assert all(v in space[k] for k, v in values.items() if isinstance(space[k], list))


def test_whole_numbers_stay_whole():
    values = {drawn({"units": (4, 9)}, seed)["units"] for seed in range(60)}
    assert values == {4, 5, 6, 7, 8, 9} and all(isinstance(v, int) for v in values)


@pytest.mark.parametrize("domain", [[8, (16, 32), None, "adam"], (0.1, 0.5), (1, 64, "log")])
def test_a_domain_is_described_as_json_can_hold_it(domain):
    told = describe_domain(check_domain("x", domain))
    assert json.loads(json.dumps(told)).keys() == told.keys()


@pytest.mark.parametrize(
    "domain", [[], (1,), (2, 1), (0, 1, "log"), (1, 2, "linear"), (1, "a"), 5, "adam", {1, 2}, None]
)
def test_what_is_no_domain(domain):
    with pytest.raises(ValueError, match="`space` must give 'x' a list of choices, or a range"):
        check_domain("x", domain)


def test_what_the_search_decides_is_not_open():
    for name in ("seed", "target", "epochs"):
        with pytest.raises(ValueError, match=f"leaves {name} open"):
            check_space({name: [1, 2]})
