"""Claude invoked on Bedrock: a bad start is made good elsewhere, what was cut is never passed on as complete."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from tests.integration.beginnings import SPEECHES, Heard, Speech, ask
from tests.integration.strict_bedrock import STREAM, frame

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

HEADERS = [("Content-Type", STREAM)]
METRICS = {"inputTokenCount": 1, "outputTokenCount": 2}


def chunk(event: bytes) -> bytes:
    """Return an event of a stream in a frame; the last one tells what was used."""
    told = orjson.loads(event.partition(b"data: ")[2])
    if told["type"] == "message_stop":
        told["amazon-bedrock-invocationMetrics"] = METRICS
    return frame("chunk", {"bytes": base64.b64encode(orjson.dumps(told)).decode(), "p": "abc"})


MESSAGES = SPEECHES["anthropic"]
INVOKED = Speech(
    "/model/claude-m/invoke-with-response-stream",
    {
        "anthropic_version": "bedrock-2023-05-31",
        **{k: v for k, v in MESSAGES.asked.items() if k not in ("model", "stream")},
    },
    tuple(map(chunk, MESSAGES.before)),
    tuple(map(chunk, MESSAGES.said)),
    tuple(map(chunk, MESSAGES.end)),
    (frame("serviceUnavailableException", {"message": "Too busy."}, kind="exception"),),
)
CALLERS = {"invoked": INVOKED, "messages": MESSAGES, "chat": SPEECHES["chat"]}
STARTS: dict[str, Callable[[FakeUpstream], object]] = {
    "an exception at once": lambda up: up.stream(INVOKED.error, headers=HEADERS),
    "an exception after the preamble": lambda up: up.stream(
        [*INVOKED.before, *INVOKED.error], headers=HEADERS, delay=0.02
    ),
    "no frame at all": lambda up: up.stream([], headers=HEADERS),
    "an end before output": lambda up: up.stream(INVOKED.before, headers=HEADERS),
    "half a frame": lambda up: up.stream([INVOKED.said[0][:40]], headers=HEADERS),
    "garbage": lambda up: up.stream([b"<html>Sorry, we are closed</html>\n\n"], headers=HEADERS, delay=0.02),
    "a page": lambda up: up.reply(body=b"<html>Log in</html>", headers=[("Content-Type", "text/html")]),
}


@asynccontextmanager
async def two_places() -> AsyncIterator[tuple[FakeUpstream, FakeUpstream, RunningGateway]]:
    async with FakeUpstream() as first, FakeUpstream() as second:
        places = {"first": first, "second": second}
        tree: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "upstreams": {
                name: {"dialect": "anthropic-bedrock", "base_url": place.url}
                for name, place in places.items()
            },
            "plugins": {"balance": {"health": None}},
            "routes": [
                {"name": "r", "targets": ["first/claude-m", "second/claude-m"], "strategy": "ordered"}
            ],
        }
        async with running_gateway(tree) as gateway:
            yield first, second, gateway


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_start_that_fails_is_made_good_by_the_next_place(caller: str) -> None:
    async with two_places() as (first, second, gateway):
        second.stream(INVOKED.whole, headers=HEADERS)
        for name, start in STARTS.items():
            asked = len(first.requests), len(second.requests)
            start(first)
            heard = await ask(gateway, CALLERS[caller])
            first._answers.clear()

            assert (heard.status, heard.whole) == (200, True), name
            assert b"Too busy" not in heard.body
            assert (len(first.requests), len(second.requests)) == (asked[0] + 1, asked[1] + 1), name


@pytest.mark.parametrize("caller", CALLERS)
async def test_an_exception_after_output_ends_the_callers_stream(caller: str) -> None:
    async with two_places() as (first, second, gateway):
        first.stream([*INVOKED.before, *INVOKED.said, *INVOKED.error], headers=HEADERS, delay=0.01)
        heard = await ask(gateway, CALLERS[caller])

    assert heard.status == 200
    assert b"Too busy." in heard.body
    assert not second.requests


def is_honest(caller: str, heard: Heard) -> bool:
    """Say whether nobody takes a cut stream for a whole one: frames tell of their own ends."""
    if caller == "invoked" and heard.whole and heard.status == 200:
        return b":exception-type" in heard.body
    return heard.honest


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_cut_stream_is_never_passed_on_as_complete(caller: str) -> None:
    stream, dice = b"".join(INVOKED.whole), random.Random(11)
    output = len(b"".join(INVOKED.before)) + len(INVOKED.said[0])
    end = len(stream) - len(INVOKED.whole[-1])
    async with two_places() as (first, second, gateway):
        second.stream(INVOKED.whole, headers=HEADERS)
        for _ in range(25):
            at = dice.randrange(output, end)
            ending = dice.choice(["keep", "close", "reset"])
            size = dice.randrange(1, 80)
            pieces = [stream[start : min(start + size, at)] for start in range(0, at, size)]
            first.stream(pieces, headers=HEADERS, then=ending)
            asked, others = len(first.requests), len(second.requests)
            heard = await ask(gateway, CALLERS[caller])
            first._answers.clear()

            if len(second.requests) == others:
                assert is_honest(caller, heard), (at, ending, heard.body)
            else:
                # A reset takes what was sent with it, or the next request on its connection: nothing had come.
                assert ending == "reset" or len(first.requests) == asked
