"""What holds for all targets of a Portkey config."""

from __future__ import annotations

from typing import Any

from llmproxy.importing.portkeymanner import PortkeyManner
from llmproxy.importing.walking import Note, Walk


def taken(*targets: tuple[str, Any]) -> tuple[PortkeyManner, set[str]]:
    notes: list[Note] = []
    manner = PortkeyManner("")
    for path, target in targets:
        manner.take(Walk(target, path, notes))
    return manner, {note.path for note in notes}


def test_the_largest_number_of_retries_counts() -> None:
    manner, told = taken(("", {"retry": {"attempts": 2}}), ("targets[0]", {"retry": {"attempts": 9}}))

    assert manner.retries == 5
    assert told == {"targets[0].retry.attempts"}


def test_the_shortest_life_of_a_cached_answer_counts() -> None:
    manner, told = taken(
        ("", {"cache": "simple"}), ("targets[0]", {"cache": {"mode": "simple", "max_age": 5}})
    )

    assert manner.ttl == 5
    assert told == {"targets[0].cache"}


def test_a_circuit_breaker_is_health() -> None:
    notes: list[Note] = []
    manner = PortkeyManner("")
    manner.take_breaker(
        Walk(
            {
                "failure_threshold": 3,
                "failure_threshold_percentage": 40,
                "minimum_requests": 10,
                "cooldown_interval": 30000,
                "failure_status_codes": [500],
            },
            "s",
            notes,
        )
    )

    assert manner.health == {"failures": 3, "ratio": 0.4, "volume": 10, "rest": "30s"}
    assert [note.path for note in notes] == ["s.failure_status_codes"]
