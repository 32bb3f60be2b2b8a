"""Bedrock's callers before every recorded provider: what differs is known, one by one, with its reason."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tests.integration.replaying import PRESENT

from .converse_client import CONVERSE
from .recorded import gateway

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

#: What the judge calls a failure and is none: see test_recorded.py.
#: Of a call without arguments one recording says null, which is none like any other.
KNOWN = ("usage output: recorded", "toolSpec.name' must be a string", "recorded None, got {}")

_SLOW = [pytest.param(how, "3000", marks=pytest.mark.slow) for how in ("event", "split", "whole", "merge")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("chunking", "most"), [("split", "200"), *_SLOW])
def test_bedrocks_callers_are_told_what_providers_said(chunking: str, most: str, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.json"

    with gateway(chunking) as (address, replay):
        verdict = CONVERSE.judge(address, replay, "--limit", most, "--json", str(outcomes))

    records = orjson.loads(outcomes.read_bytes())
    failed = [each for record in records if record["outcome"] == "failed" for each in record["failures"]]
    passed = sum(record["outcome"] == "passed" for record in records)
    assert not [each for each in failed if not any(words in each for words in KNOWN)], verdict.stdout
    assert passed > int(most) * 0.6
