"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.conftest import MakeExchange, maker, records

from llmproxy_anthropic.faces import AnthropicClient

made_exchange = maker(AnthropicClient, "/v1/messages", b"")


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded message, request and answer, of all clouds."""
    kept = ("anthropic.messages", "anthropic.vertex")
    return [record for record in records("anthropic", "vertex") if record["dialect"] in kept]


def asked(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the recorded requests for a message."""
    bodies = [record["request"] and record["request"].get("body") for record in recordings]
    return [
        {"model": "claude-3-7-sonnet@20250219", **body}
        for body in bodies
        if isinstance(body, dict) and "messages" in body
    ]


def whole(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records whose answer is a whole message."""
    return [
        r
        for r in recordings
        if isinstance(r["response"].get("body"), dict) and "role" in r["response"]["body"]
    ]


def streamed(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records whose answer is one stream of one message; some fixtures hold several, or a broken one."""
    found = []
    for record in recordings:
        events = record["response"].get("events")
        if events and sum("event: message_start" in event for event in events) == 1:
            found.append(record)
    return found


def stream_bytes(record: dict[str, Any]) -> bytes:
    """Return a stream as it came."""
    return "".join(record["response"]["events"]).encode()
