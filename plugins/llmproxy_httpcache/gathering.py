"""A reply's body read before it is passed on, as far as that goes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from llmproxy.plugin import Body, Reply


async def gather(reply: Reply, limit: int) -> bytes | None:
    """Return a reply's whole body, None if it is longer than that; the reply has all of it in either case.

    Raises:
        Exception: what the source failed with.
    """
    if not isinstance(reply.body, Body):
        return reply.body if len(reply.body) <= limit else None
    length = reply.headers.index.get(b"content-length", b"")
    if length.isdigit() and int(length[:18]) > limit:
        return None
    pieces, taken, size = reply.body.pieces(), list[bytes](), 0
    async for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > limit:
            reply.body = Body.pumped(_joined(taken, pieces))
            return None
    whole = reply.body = b"".join(taken)
    return whole


async def _joined(taken: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"".join(taken)
    async for piece in rest:
        yield piece
