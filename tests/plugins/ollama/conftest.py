"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import read_exchange, records

from llmproxy.plugin import Exchange, Headers, Reply
from llmproxy_ollama.faces import OllamaClient
from llmproxy_ollama.reading import READER

MakeExchange = Callable[..., Exchange]


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


def made_exchange(
    path: str = "/api/chat",
    body: bytes | dict[str, Any] = b'{"model":"m"}',
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
) -> Exchange:
    """Return an exchange whose body has been read."""
    exchange = read_exchange(OllamaClient(), path, body, headers, method=method)
    READER.read(exchange, body if isinstance(body, bytes) else orjson.dumps(body))
    return exchange


def reply(kind: str = "application/json", status: int = 200) -> Reply:
    return Reply(status, Headers.of({"Content-Type": kind}))


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Ollama's own API."""
    return [record for record in records("ollama") if record["dialect"].startswith("ollama.")]


def whole(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a good answer in one piece, and its bytes."""
    for record in recordings:
        if record["response"]["status"] < 300 and "body" in record["response"]:
            yield record, orjson.dumps(record["response"]["body"])


def streamed(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a streamed answer, and its bytes."""
    for record in recordings:
        if "lines" in record["response"]:
            yield record, "".join(record["response"]["lines"]).encode()


def line(**members: Any) -> bytes:
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


def piece(content: str = "", **message: Any) -> bytes:
    told = {"role": "assistant", "content": content, **message}
    return line(model="m", created_at="2026-08-07T06:08:14.7Z", message=told, done=False)


def last(reason: str = "stop", **counts: Any) -> bytes:
    told = {"role": "assistant", "content": ""}
    return line(
        model="m",
        created_at="2026-08-07T06:08:15.7Z",
        message=told,
        done=True,
        done_reason=reason,
        **(counts or {"prompt_eval_count": 5, "eval_count": 7}),
    )


CALL = {"id": "call_1", "function": {"index": 0, "name": "look", "arguments": {"city": "Rome"}}}
#: A thought, text with letters of several bytes, and a call.
STREAM = piece(thinking="hm") + piece("Grüße ") + piece("✓") + piece(tool_calls=[CALL]) + last()
