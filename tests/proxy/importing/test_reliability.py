"""Retries, cooldowns and strategies in this gateway's words."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.importing.reliability import Reliability, read_reliability
from llmproxy.importing.walking import Note, Walk


def read(router: Any, library: Any = None) -> tuple[Reliability, dict[str, str]]:
    notes: list[Note] = []
    found = read_reliability(Walk(library or {}, "l", notes), Walk(router, "r", notes))
    return found, dict(notes)


def test_a_file_that_says_nothing_leaves_everything_as_it_is_here() -> None:
    found, notes = read({})

    assert found == ("weighted", None, {})
    assert notes == {}
    assert [found.attempts(places) for places in (1, 3, 5, 99)] == [None, None, 5, 20]


@pytest.mark.parametrize(
    ("given", "strategy", "is_told"),
    [
        ("simple-shuffle", "weighted", False),
        ("least-busy", "least_in_flight", False),
        ("latency-based-routing", "p2c", True),
        ("cost-based-routing", "cheapest", True),
        ("usage-based-routing-v2", "least_in_flight", True),
        ("of-my-own", "weighted", True),
    ],
)
def test_strategies_have_counterparts(given: str, strategy: str, is_told: bool) -> None:
    found, notes = read({"routing_strategy": given})

    assert found.strategy == strategy
    assert ("r.routing_strategy" in notes) == is_told


def test_retries_are_one_more_try_at_a_place_and_a_budget() -> None:
    found, notes = read({"num_retries": 3}, {"num_retries": 9})
    none, _ = read({}, {"num_retries": 0})

    assert (found.retries, found.settings) == (3, {"retries": 1})
    assert [found.attempts(places) for places in (1, 4)] == [4, 8]
    assert (none.retries, none.settings, none.attempts(1), none.attempts(4)) == (0, {}, 1, 4)
    assert "one budget" in notes["r.num_retries"]


def test_the_largest_retry_of_a_policy_counts() -> None:
    found, notes = read({"retry_policy": {"TimeoutErrorRetries": 4, "BadRequestErrorRetries": 0}})

    assert found.retries == 4
    assert "largest" in notes["r.retry_policy"]


def test_cooldowns_are_rests() -> None:
    found, _ = read({"cooldown_time": 30, "retry_after": 1}, {"allowed_fails": 2})
    off, _ = read({"disable_cooldowns": True, "allowed_fails": 2})
    odd, notes = read({"cooldown_time": "soon", "num_retries": "many", "retry_policy": 3})

    assert found.settings == {
        "backoff": {"first": "1s", "most": "2s"},
        "health": {"failures": 3, "rest": "30s"},
    }
    assert off.settings == {"health": None}
    assert odd.settings == {}
    assert notes.keys() == {"r.cooldown_time", "r.num_retries", "r.retry_policy"}
