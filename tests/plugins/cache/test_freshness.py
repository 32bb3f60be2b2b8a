"""Whether a kept answer may be used, and how."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_cache.control import NOTHING, Control
from llmproxy_cache.freshness import serves_on_error, use_of


@pytest.mark.parametrize(
    ("age", "use"), [(0, "fresh"), (59, "fresh"), (60, "stale"), (69, "stale"), (70, "ask"), (9999, "ask")]
)
def test_an_answer_is_fresh_then_stale_then_of_no_use(age: float, use: str) -> None:
    assert use_of(age, 60, 10, NOTHING) == use


@pytest.mark.parametrize(
    ("control", "age", "use"),
    [
        (Control(refresh=True), 0, "ask"),
        (Control(max_age=30), 30, "fresh"),
        (Control(max_age=30), 31, "ask"),
        (Control(max_age=0), 1, "ask"),
        (Control(min_fresh=20), 39, "fresh"),
        (Control(min_fresh=20), 41, "ask"),
        (Control(max_stale=100), 65, "stale"),
        (Control(max_stale=100), 150, "fresh"),
        (Control(max_stale=100), 161, "ask"),
    ],
)
def test_a_caller_narrows_or_widens_it(control: Control, age: float, use: str) -> None:
    assert use_of(age, 60, 10, control) == use


def test_a_soft_purge_makes_a_fresh_answer_stale() -> None:
    assert use_of(5, 60, 10, NOTHING, soft=True) == "stale"
    assert use_of(5, 60, 0, NOTHING, soft=True) == "stale"
    assert use_of(75, 60, 10, NOTHING, soft=True) == "ask"


def test_an_answer_that_takes_long_is_made_anew_early_by_some() -> None:
    draw = Random(1)
    uses = [use_of(55, 60, 10, NOTHING, seconds=3, beta=1, draw=1 - draw.random()) for _ in range(1000)]

    assert 100 < uses.count("early") < 300
    assert set(uses) == {"fresh", "early"}


@given(st.floats(0, 40), st.floats(1e-9, 1))
def test_nobody_is_early_long_before(age: float, draw: float) -> None:
    assert use_of(age, 60, 10, NOTHING, seconds=0.5, beta=1, draw=draw) == "fresh"


def test_nothing_is_early_where_the_route_says_so() -> None:
    assert use_of(59.999, 60, 10, NOTHING, seconds=30, beta=0, draw=1e-9) == "fresh"


def test_an_error_is_covered_for_a_while() -> None:
    assert serves_on_error(60 + 99, 60, 100)
    assert not serves_on_error(60 + 100, 60, 100)
