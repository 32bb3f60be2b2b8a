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
from llmproxy_anthropic.faces import AnthropicClient

SHARED = Path(__file__).parents[4] / "shared"
RECORDINGS = SHARED / "data" / "wire"

MakeExchange = Callable[..., Exchange]


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""

    def make(
        path: str = "/v1/messages",
        body: bytes | dict[str, Any] = b"",
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> Exchange:
        fields = Headers.of(headers if headers is not None else {"Content-Type": "application/json"})
        route: Any = SimpleNamespace(meter_usage=True)
        exchange = Exchange(ClientRequest(method, path, fields), route, "test", 0.0)
        exchange.client_face = AnthropicClient()
        exchange.set_body(body if isinstance(body, bytes) else orjson.dumps(body))
        return exchange

    return make


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded message, request and answer, of all clouds."""
    if not RECORDINGS.is_dir():
        pytest.skip("the team's recordings are not beside the project")
    return [
        record for record in _records() if record["dialect"] in ("anthropic.messages", "anthropic.vertex")
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
    for name in ("anthropic", "vertex"):
        with (RECORDINGS / f"{name}.jsonl").open("rb") as lines:
            yield from map(orjson.loads, lines)


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
