"""Streams of AWS frames: a bad start is made good elsewhere, and what was cut is never passed on as complete."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.integration.beginnings import SPEECHES, Heard, Speech, ask
from tests.integration.strict_bedrock import STREAM, frame

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

AT = {"contentBlockIndex": 0, "p": "abcdefgh"}
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
    (frame("serviceUnavailableException", {"message": "Too busy."}, kind="exception"),),
)
CALLERS = {"converse": CONVERSE, "chat": SPEECHES["chat"], "gemini": SPEECHES["gemini"]}
HEADERS = [("Content-Type", STREAM)]

STARTS: dict[str, Callable[[FakeUpstream], object]] = {
    "an exception at once": lambda up: up.stream(CONVERSE.error, headers=HEADERS),
    "an exception after the preamble": lambda up: up.stream(
        [*CONVERSE.before, *CONVERSE.error], headers=HEADERS, delay=0.02
    ),
    "no frame at all": lambda up: up.stream([], headers=HEADERS),
    "an end before output": lambda up: up.stream(CONVERSE.before, headers=HEADERS),
    "half a frame": lambda up: up.stream([CONVERSE.said[0][:40]], headers=HEADERS),
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
                name: {"dialect": "bedrock", "base_url": place.url} for name, place in places.items()
            },
            "plugins": {"balance": {"health": None}},
            "routes": [{"name": "r", "targets": ["first/m", "second/m"], "strategy": "ordered"}],
        }
        async with running_gateway(tree) as gateway:
            yield first, second, gateway


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("caller", CALLERS)
async def test_a_start_that_fails_is_made_good_by_the_next_place(caller: str, start: str) -> None:
    async with two_places() as (first, second, gateway):
        STARTS[start](first)
        second.stream(CONVERSE.whole, headers=HEADERS)
        heard = await ask(gateway, CALLERS[caller])

    assert (heard.status, heard.whole) == (200, True)
    assert b"Hello" in heard.body
    assert b"Too busy" not in heard.body
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.parametrize("caller", CALLERS)
async def test_an_exception_after_output_ends_the_callers_stream(caller: str) -> None:
    async with two_places() as (first, second, gateway):
        first.stream([*CONVERSE.before, *CONVERSE.said, *CONVERSE.error], headers=HEADERS, delay=0.01)
        heard = await ask(gateway, CALLERS[caller])

    assert heard.status == 200
    assert b"Too busy." in heard.body
    assert not second.requests


def is_honest(caller: str, heard: Heard, cut: bytes) -> bool:
    """Say whether nobody takes a cut stream for a whole one: frames tell of their own ends."""
    if caller == "converse" and heard.whole and heard.status == 200:
        return b"messageStop" in cut or b":exception-type" in heard.body
    return heard.honest


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_cut_stream_is_never_passed_on_as_complete(caller: str) -> None:
    stream, dice = b"".join(CONVERSE.whole), random.Random(11)
    output = len(b"".join(CONVERSE.before)) + len(CONVERSE.said[0])
    end = stream.index(b"messageStop") - 100
    async with two_places() as (first, second, gateway):
        second.stream(CONVERSE.whole, headers=HEADERS)
        for _ in range(25):
            at = dice.randrange(output, end)
            ending = dice.choice(["keep", "close", "reset"])
            first.stream(pieces(stream[:at], dice), headers=HEADERS, then=ending)
            asked, others = len(first.requests), len(second.requests)
            heard = await ask(gateway, CALLERS[caller])
            first._answers.clear()

            if len(second.requests) == others:
                assert is_honest(caller, heard, stream[:at]), (at, ending, heard.body)
            else:
                # A reset takes what was sent with it, or the next request on its connection: nothing had come.
                assert ending == "reset" or len(first.requests) == asked


def pieces(data: bytes, dice: random.Random) -> Iterable[bytes]:
    size = dice.randrange(1, 80)
    return [data[at : at + size] for at in range(0, len(data), size)]
