"""Streams of AWS frames, Converse's and a natively invoked model's.

A bad start is made good elsewhere, and what was cut is never passed on as complete.
"""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from tests.integration.beginnings import SPEECHES, Heard, Speech, ask
from tests.integration.strict_bedrock import STREAM, frame

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

HEADERS = [("Content-Type", STREAM)]
ERROR = (frame("serviceUnavailableException", {"message": "Too busy."}, kind="exception"),)
AT = {"contentBlockIndex": 0, "p": "abcdefgh"}
METRICS = {"inputTokenCount": 1, "outputTokenCount": 2}
CONVERSE = Speech(
    "/model/m/converse-stream",
    {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
    (frame("messageStart", {"role": "assistant"}),),
    tuple(frame("contentBlockDelta", {"delta": {"text": word}, **AT}) for word in ("Hello", " there")),
    (
        frame("contentBlockStop", AT),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}),
    ),
    ERROR,
)


def chunk(event: bytes) -> bytes:
    """Return an event of a stream in a frame; the last one tells what was used."""
    told = orjson.loads(event.partition(b"data: ")[2])
    if told["type"] == "message_stop":
        told["amazon-bedrock-invocationMetrics"] = METRICS
    return frame("chunk", {"bytes": base64.b64encode(orjson.dumps(told)).decode(), "p": "abc"})


MESSAGES = SPEECHES["anthropic"]
INVOKED = Speech(
    "/model/m/invoke-with-response-stream",
    {
        "anthropic_version": "bedrock-2023-05-31",
        **{key: value for key, value in MESSAGES.asked.items() if key not in ("model", "stream")},
    },
    tuple(map(chunk, MESSAGES.before)),
    tuple(map(chunk, MESSAGES.said)),
    tuple(map(chunk, MESSAGES.end)),
    ERROR,
)


@dataclass(frozen=True)
class Kind:
    """What an upstream streams, its dialect, and with what bytes a stream is whole but for its counts."""

    speech: Speech
    dialect: str
    end: bytes


KINDS = {
    "converse": Kind(CONVERSE, "bedrock", CONVERSE.end[1]),
    "invoked": Kind(INVOKED, "anthropic-bedrock", INVOKED.end[-1]),
}
CASES = pytest.mark.parametrize(
    ("kind", "caller"),
    [
        pytest.param(KINDS[name], speech, id=f"{name}-{caller}")
        for name, callers in (
            ("converse", {"converse": CONVERSE, "chat": SPEECHES["chat"], "gemini": SPEECHES["gemini"]}),
            ("invoked", {"invoked": INVOKED, "messages": MESSAGES, "chat": SPEECHES["chat"]}),
        )
        for caller, speech in callers.items()
    ],
)

STARTS: dict[str, Callable[[FakeUpstream, Speech], object]] = {
    "an exception at once": lambda up, said: up.stream(said.error, headers=HEADERS),
    "an exception after the preamble": lambda up, said: up.stream(
        [*said.before, *said.error], headers=HEADERS, delay=0.02
    ),
    "no frame at all": lambda up, said: up.stream([], headers=HEADERS),
    "an end before output": lambda up, said: up.stream(said.before, headers=HEADERS),
    "half a frame": lambda up, said: up.stream([said.said[0][:40]], headers=HEADERS),
    "garbage": lambda up, said: up.stream([b"<html>Closed</html>\n\n"], headers=HEADERS, delay=0.02),
    "a page": lambda up, said: up.reply(body=b"<html>Log in</html>", headers=[("Content-Type", "text/html")]),
}


@asynccontextmanager
async def two_places(kind: Kind) -> AsyncIterator[tuple[FakeUpstream, FakeUpstream, RunningGateway]]:
    async with FakeUpstream() as first, FakeUpstream() as second:
        places = {"first": first, "second": second}
        tree: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "upstreams": {
                name: {"dialect": kind.dialect, "base_url": place.url} for name, place in places.items()
            },
            "plugins": {"balance": {"health": None}},
            "routes": [{"name": "r", "targets": ["first/m", "second/m"], "strategy": "ordered"}],
        }
        async with running_gateway(tree) as gateway:
            yield first, second, gateway


@CASES
async def test_a_start_that_fails_is_made_good_by_the_next_place(kind: Kind, caller: Speech) -> None:
    async with two_places(kind) as (first, second, gateway):
        second.stream(kind.speech.whole, headers=HEADERS)
        for name, start in STARTS.items():
            asked = len(first.requests), len(second.requests)
            start(first, kind.speech)
            heard = await ask(gateway, caller)
            first._answers.clear()

            assert (heard.status, heard.whole) == (200, True), name
            assert caller is INVOKED or b"Hello" in heard.body, name
            assert b"Too busy" not in heard.body
            assert (len(first.requests), len(second.requests)) == (asked[0] + 1, asked[1] + 1), name


@CASES
async def test_an_exception_after_output_ends_the_callers_stream(kind: Kind, caller: Speech) -> None:
    said = kind.speech
    async with two_places(kind) as (first, second, gateway):
        first.stream([*said.before, *said.said, *said.error], headers=HEADERS, delay=0.01)
        heard = await ask(gateway, caller)

    assert heard.status == 200
    assert b"Too busy." in heard.body
    assert not second.requests


def is_honest(kind: Kind, caller: Speech, heard: Heard) -> bool:
    """Say whether nobody takes a cut stream for a whole one: frames tell of their own ends."""
    if caller is kind.speech and heard.whole and heard.status == 200:
        return b":exception-type" in heard.body
    return heard.honest


@CASES
async def test_a_cut_stream_is_never_passed_on_as_complete(kind: Kind, caller: Speech) -> None:
    stream, dice = b"".join(kind.speech.whole), random.Random(11)
    output = len(b"".join(kind.speech.before)) + len(kind.speech.said[0])
    end = stream.index(kind.end)
    async with two_places(kind) as (first, second, gateway):
        second.stream(kind.speech.whole, headers=HEADERS)
        for _ in range(25):
            at, size = dice.randrange(output, end), dice.randrange(1, 80)
            ending = dice.choice(["keep", "close", "reset"])
            pieces = [stream[start : min(start + size, at)] for start in range(0, at, size)]
            first.stream(pieces, headers=HEADERS, then=ending)
            asked, others = len(first.requests), len(second.requests)
            heard = await ask(gateway, caller)
            first._answers.clear()

            if len(second.requests) == others:
                assert is_honest(kind, caller, heard), (at, ending, heard.body)
            else:
                # A reset takes what was sent with it, or the next request on its connection: nothing had come.
                assert ending == "reset" or len(first.requests) == asked
