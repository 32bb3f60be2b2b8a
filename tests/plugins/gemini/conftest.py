"""What the tests of this plugin share: exchanges as the gateway would make them, the recorded traffic, its judge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import orjson
import pytest

from llmproxy.plugin import ClientRequest, Exchange, Headers
from llmproxy_gemini.client import GeminiClient

SHARED = Path(__file__).parents[4] / "shared"
RECORDINGS = SHARED / "data" / "wire"

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
    fields = Headers.of(headers if headers is not None else {"Content-Type": "application/json"})
    route: Any = SimpleNamespace(meter_usage=True)
    exchange = Exchange(ClientRequest(method, path, fields), route, "test", 0.0)
    exchange.client_face = GeminiClient()
    exchange.set_body(body if isinstance(body, bytes) else orjson.dumps(body))
    return exchange


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Gemini's, of both clouds."""
    if not RECORDINGS.is_dir():
        pytest.skip("the team's recordings are not beside the project")
    kept = ("gemini.generate", "gemini.stream", "gemini.count", "gemini.embed")
    # One fixture is of the Live API, which is another.
    return [
        record
        for record in _records()
        if record["dialect"] in kept and "live-speech" not in record["cassette"]
    ]


@pytest.fixture(scope="session")
def wiresem() -> Iterator[ModuleType]:
    """The team's own reading of the dialects, which shares no code with the gateway."""
    tools = SHARED / "tools"
    if not (tools / "wiresem.py").is_file():
        pytest.skip("the team's judge is not beside the project")
    sys.path.insert(0, str(tools))
    yield import_module("wiresem")
    sys.path.remove(str(tools))


def _records() -> Iterator[dict[str, Any]]:
    for name in ("google", "vertex"):
        with (RECORDINGS / f"{name}.jsonl").open("rb") as lines:
            yield from map(orjson.loads, lines)


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
