"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import read_exchange, records

from llmproxy.plugin import Exchange
from llmproxy_cohere.client import CohereClient

MakeExchange = Callable[..., Exchange]


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


def made_exchange(
    path: str = "/v2/chat",
    body: bytes | dict[str, Any] = b"{}",
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
) -> Exchange:
    """Return an exchange whose body has been read."""
    return read_exchange(CohereClient(), path, body, headers, method=method)


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Cohere's."""
    return list(records("cohere"))


def asked(recordings: list[dict[str, Any]], dialect: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the records of a dialect that hold a request, and its members."""
    for record in recordings:
        if record["dialect"] == dialect and record["request"] is not None:
            yield record, record["request"]["body"]


def whole(recordings: list[dict[str, Any]], *dialects: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records of these dialects with a good answer in one piece, and its bytes."""
    for record in recordings:
        reply = record["response"]
        if record["dialect"] in dialects and reply["status"] < 300 and "body" in reply:
            yield record, orjson.dumps(reply["body"])


def streamed(recordings: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a stream of events, and its bytes."""
    for record in recordings:
        if "events" in record["response"]:
            yield record, "".join(record["response"]["events"]).encode()


def event(kind: str, **members: Any) -> bytes:
    """Return one event as it stands in a stream."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


def told(*events: bytes) -> list[dict[str, Any]]:
    """Return what a stream's events hold, but for its end mark."""
    blocks = b"".join(events).split(b"\n\n")
    return [
        orjson.loads(block.partition(b"data: ")[2]) for block in blocks if block and b"[DONE]" not in block
    ]


STREAM = (
    event("message-start", id="a1", delta={"message": {"role": "assistant"}})
    + event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
    + event("content-delta", index=0, delta={"message": {"content": {"text": "Hi"}}})
    + event("content-end", index=0)
    + event(
        "message-end",
        delta={
            "finish_reason": "COMPLETE",
            "usage": {
                "billed_units": {"input_tokens": 2, "output_tokens": 1},
                "tokens": {"input_tokens": 60, "output_tokens": 3},
                "cached_tokens": 50,
            },
        },
    )
    + b"data: [DONE]\n\n"
)
