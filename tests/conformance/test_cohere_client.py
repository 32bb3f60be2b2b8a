"""Cohere's callers before every recorded provider: what differs is known, one by one, with its reason."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tests.integration.replaying import PRESENT

from .cohere_client import COHERE
from .recorded import gateway

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

#: What the judge calls a failure and is none: see test_recorded.py.
KNOWN = (
    "usage output: recorded",
    "tools[].function.name' must be a string",
    "recorded None, got {}",
    # Cohere has no event for an error: it stands in the last one, where the judge does not look.
    "recorded error 500 became an answer",
)

_SLOW = [pytest.param(how, "3000", marks=pytest.mark.slow) for how in ("event", "split", "whole", "merge")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("chunking", "most"), [("split", "60"), *_SLOW])
def test_coheres_callers_are_told_what_providers_said(chunking: str, most: str, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.json"

    with gateway(chunking) as (address, replay):
        verdict = COHERE.judge(address, replay, "--limit", most, "--json", str(outcomes))

    records = orjson.loads(outcomes.read_bytes())
    failed = [each for record in records if record["outcome"] == "failed" for each in record["failures"]]
    passed = sum(record["outcome"] == "passed" for record in records)
    assert not [each for each in failed if not any(words in each for words in KNOWN)], verdict.stdout
    assert passed > int(most) * 0.6
