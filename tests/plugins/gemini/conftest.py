"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import MakeExchange, maker, records

from llmproxy_gemini.client import GeminiClient

made_exchange = maker(GeminiClient, "/v1beta/models/m:generateContent")


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Gemini's, of both clouds."""
    kept = ("gemini.generate", "gemini.stream", "gemini.count", "gemini.embed")
    # One fixture is of the Live API, which is another.
    return [
        record
        for record in records("google", "vertex")
        if record["dialect"] in kept and "live-speech" not in record["cassette"]
    ]


def asked(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, bytes]]:
    """Yield the records that hold a request, with its target and its body."""
    for record in recordings:
        request = record["request"]
        if request is not None:
            query = f"?{request['query']}" if request.get("query") else ""
            yield record, request["path"] + query, orjson.dumps(request["body"])


def streamed(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a streamed answer, and its bytes."""
    for record in recordings:
        if "events" in record["response"]:
            yield record, "".join(record["response"]["events"]).encode()
