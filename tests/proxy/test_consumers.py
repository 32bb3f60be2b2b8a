"""Whole bodies, and their pieces one after the other."""

import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.consumers import BodyTooLarge

BROKEN = ConnectionError("cut")


class Switches:
    """A source's switches, counted."""

    def __init__(self):
        self.said = []
        self.body = Body(
            lambda: self.said.append("pause"),
            lambda: self.said.append("resume"),
            lambda: self.said.append("abandon"),
        )


async def test_read_returns_the_whole_body():
    body = Body()
    body.feed(b"a")
    asyncio.get_running_loop().call_soon(lambda: (body.feed(b"b"), body.end()))

    assert await body.read(2) == b"ab"


async def test_read_gives_up_on_a_body_larger_than_its_bound():
    source = Switches()
    source.body.feed(b"ab")
    source.body.feed(b"cd")

    with pytest.raises(BodyTooLarge, match="larger than 3 bytes"):
        await source.body.read(3)
    assert source.said == ["abandon"]


async def test_read_raises_what_the_source_failed_with():
    body = Body()
    body.fail(BROKEN)

    with pytest.raises(ConnectionError) as caught:
        await body.read(3)
    assert caught.value is BROKEN


async def test_a_reader_that_is_cancelled_abandons_the_source():
    source = Switches()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await source.body.read(10)
    assert source.said == ["abandon"]


async def test_pieces_hold_the_source_back_while_the_reader_is_behind():
    source = Switches()
    source.body.feed(b"a")
    pieces = source.body.pieces()
    first = await anext(pieces)
    source.body.feed(b"b")
    source.body.feed(b"c")

    assert source.said == ["pause"]
    assert (first, await anext(pieces)) == (b"a", b"bc")

    following = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)

    assert source.said == ["pause", "resume"]

    source.body.feed(b"d")

    assert await following == b"d"

    await pieces.aclose()

    assert source.said == ["pause", "resume", "pause", "resume", "abandon"]


async def test_pieces_that_came_before_a_failure_are_read_first():
    body = Body()
    body.feed(b"a")
    body.fail(BROKEN)
    pieces = body.pieces()

    assert await anext(pieces) == b"a"
    with pytest.raises(ConnectionError):
        await anext(pieces)
