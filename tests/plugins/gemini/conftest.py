"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import read_exchange, records

from llmproxy.plugin import Exchange
from llmproxy_gemini.client import GeminiClient

MakeExchange = Callable[..., Exchange]


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


def made_exchange(
    path: str = "/v1beta/models/m:generateContent",
    body: bytes | dict[str, Any] = b"{}",
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
) -> Exchange:
    """Return an exchange whose body has been read."""
    return read_exchange(GeminiClient(), path, body, headers, method=method)


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


def whole(recordings: list[dict[str, Any]], *dialects: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records of these dialects with a good answer in one piece, and its bytes."""
    for record in recordings:
        reply = record["response"]
        if record["dialect"] in dialects and reply["status"] < 300 and "body" in reply:
            yield record, orjson.dumps(reply["body"])


def streamed(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a streamed answer, and its bytes."""
    for record in recordings:
        if "events" in record["response"]:
            yield record, "".join(record["response"]["events"]).encode()
