"""What the tests of this plugin share: exchanges as the gateway would make them, frames, and the recorded traffic."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.plugins.conftest import MakeExchange, maker, records

from llmproxy.canonical import Answer, Collector
from llmproxy.plugin import EventStreamDecoder
from llmproxy_bedrock.client import BedrockClient
from llmproxy_bedrock.frames import event_frame
from llmproxy_bedrock.streams import ConverseDecoder

HI = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
STREAM = "application/vnd.amazon.eventstream"


made_exchange = maker(BedrockClient, "/model/m/converse")


@pytest.fixture
def exchange_for() -> MakeExchange:
    """Make an exchange whose body has been read."""
    return made_exchange


def delta(index: int, **told: Any) -> bytes:
    """Return the frame of a piece of a block."""
    return event_frame("contentBlockDelta", {"delta": told, "contentBlockIndex": index, "p": "abc"})


def stop(index: int) -> bytes:
    """Return the frame of a block's end."""
    return event_frame("contentBlockStop", {"contentBlockIndex": index})


def call_start(index: int, **told: Any) -> bytes:
    """Return the frame that a call begins with."""
    use = {"toolUseId": "t1", "name": "look", **told}
    return event_frame("contentBlockStart", {"start": {"toolUse": use}, "contentBlockIndex": index})


BEGUN = event_frame("messageStart", {"role": "assistant"})
ENDED = event_frame("messageStop", {"stopReason": "end_turn"})
COUNTED = event_frame(
    "metadata",
    {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, "metrics": {"latencyMs": 1}},
)
SAID = BEGUN + delta(0, text="Hel") + delta(0, text="lo") + stop(0) + ENDED + COUNTED


def collected(data: bytes, cuts: Any = ()) -> Answer:
    """Return the answer that a stream tells, fed in pieces of these sizes."""
    decoder, collector, at = ConverseDecoder(), Collector(), 0
    for cut in (*cuts, len(data)):
        for event in decoder.feed(data[at : at + cut]):
            collector.feed(event)
        at += cut
    for event in decoder.close():
        collector.feed(event)
    if collector.failed is not None:
        raise collector.failed.error
    return collector.answer


def told(data: bytes) -> list[tuple[str, Any]]:
    """Return what frames say, by name."""
    decoder = EventStreamDecoder()
    found = [(each.event_type or each.exception_type, each.json()) for each in decoder.feed(data)]
    assert decoder.close() == b""
    return found


@pytest.fixture(scope="session")
def recordings() -> list[dict[str, Any]]:
    """Every recorded call of Bedrock's."""
    return list(records("bedrock"))


def streamed(recordings: list[dict[str, Any]], dialect: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records with a streamed answer, and its bytes."""
    for record in recordings:
        if record["dialect"] == dialect and "frames" in record["response"]:
            yield record, b"".join(map(base64.b64decode, record["response"]["frames"]))
