"""What the tests of this plugin share: exchanges as the gateway would make them, and the recorded traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.plugins.conftest import MakeExchange, maker, records

from llmproxy_cohere.client import CohereClient

made_exchange = maker(CohereClient, "/v2/chat")


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Cohere's."""
    return list(records("cohere"))


def asked(recordings: list[dict[str, Any]], dialect: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the records of a dialect that hold a request, and its members."""
    for record in recordings:
        if record["dialect"] == dialect and record["request"] is not None:
            yield record, record["request"]["body"]


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
