from __future__ import annotations

import pytest

from llmproxy_access.lateness import BEAT, LATE, Lateness


@pytest.fixture
def lateness() -> Lateness:
    """One who looked at 100 and has been told."""
    made = Lateness(100.0)
    made.asks(100.0)
    made.knows(100.0)
    return made


def go_on(lateness: Lateness, since: float, until: float) -> None:
    while (since := since + BEAT) <= until:
        lateness.beat(since)


def test_who_looked_a_moment_ago_is_not_late(lateness: Lateness) -> None:
    assert not lateness.is_late(100.0 + LATE)


def test_who_was_stopped_is_late_whatever_runs_first(lateness: Lateness) -> None:
    at_once = lateness.is_late(105.0)
    lateness.beat(105.0)

    assert at_once
    assert lateness.is_late(105.0)


def test_who_gets_no_answer_is_not_late_while_he_runs(lateness: Lateness) -> None:
    lateness.asks(100.5)
    go_on(lateness, 100.5, 103.0)

    assert not any(lateness.is_late(100.5 + each / 10) for each in range(25))


def test_who_was_stopped_while_he_got_no_answer_is_late(lateness: Lateness) -> None:
    lateness.asks(100.5)
    go_on(lateness, 100.5, 103.0)
    at_once = lateness.is_late(110.0)
    lateness.beat(110.0)

    assert at_once
    assert lateness.is_late(110.0)


def test_a_look_that_failed_is_enough_until_he_is_stopped_again(lateness: Lateness) -> None:
    late = lateness.is_late(105.0)
    lateness.gives_up(105.5)
    go_on(lateness, 105.5, 109.0)
    tried = lateness.is_late(109.0)

    assert (late, tried, lateness.is_late(115.0)) == (True, False, True)


def test_who_knows_again_has_to_look_as_before(lateness: Lateness) -> None:
    lateness.gives_up(101.0)
    lateness.asks(102.0)
    lateness.knows(102.0)

    assert not lateness.is_late(102.5)
    assert lateness.is_late(103.5)


def test_who_never_knew_anything_is_late_until_he_has_tried() -> None:
    lateness = Lateness(100.0)
    before = lateness.is_late(100.0)
    lateness.gives_up(100.0)

    assert (before, lateness.is_late(100.5)) == (True, False)
