from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llmproxy.plugin import Body, Headers, Reply
from llmproxy_httpcache.gathering import gather


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_body_that_fits_is_read_and_the_reply_has_it() -> None:
    reply = Reply(200, Headers(), Body.pumped(_pieces(b"hel", b"lo")))

    assert await gather(reply, 5) == b"hello" == reply.body
    assert await gather(reply, 5) == b"hello"
    assert await gather(reply, 4) is None


async def test_a_body_that_does_not_fit_is_passed_on_whole() -> None:
    reply = Reply(200, Headers(), Body.pumped(_pieces(b"hel", b"lo ", b"world")))

    assert await gather(reply, 5) is None
    assert isinstance(reply.body, Body)
    assert await reply.body.read(100) == b"hello world"


async def test_a_body_that_says_so_is_not_even_begun() -> None:
    body = Body()
    reply = Reply(200, Headers([(b"Content-Length", b"100")]), body)

    assert await gather(reply, 5) is None
    assert reply.body is body


async def test_a_body_that_breaks_off_is_no_body() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hel"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await gather(Reply(200, Headers(), Body.pumped(broken())), 5)
