"""The team's judge over recorded traffic: what differs is known, one by one, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.replaying import PRESENT

from .recorded import CLIENTS, gateway, judge

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

#: What the judge calls a failure and is none, by the words of the complaint.
KNOWN = {
    # Reasoning stands beside `completion_tokens` there, which the judge takes for the whole output. The answer tells
    # callers of other dialects the sum, as the provider's own total does.
    "usage output: recorded",
    # A stream that was broken on purpose: of its nameless call the judge makes a tool without a name.
    "name' must be a string that is not empty",
    "tools[].name: Input should be",
    # Of a call without arguments one of Cohere's recordings says null, which is none like any other.
    "recorded None, got {}",
}


_SLOW = [pytest.param(how, marks=pytest.mark.slow) for how in ("event", "whole", "merge")]


@pytest.fixture(scope="module", params=["split", *_SLOW])
def served(request: pytest.FixtureRequest) -> Any:
    with gateway(request.param) as addresses:
        yield addresses


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_are_told_what_providers_said(served: tuple[str, str], client: str, tmp_path: Path) -> None:
    address, replay = served
    outcomes = tmp_path / "outcomes.json"

    verdict = judge(address, replay, client, "--json", str(outcomes))

    records = orjson.loads(outcomes.read_bytes())
    failed = [record for record in records if record["outcome"] == "failed"]
    unknown = [record for record in failed if not all(map(_is_known, record["failures"]))]
    passed = sum(record["outcome"] == "passed" for record in records)
    assert not unknown, verdict.stdout
    assert passed > 1800
    assert not failed or client != "same"


def _is_known(failure: str) -> bool:
    return any(words in failure for words in KNOWN)
