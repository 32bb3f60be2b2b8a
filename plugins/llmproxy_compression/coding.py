"""Puts a compressed body in place of a plain one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from llmproxy.plugin import Body, Lane
from llmproxy_compression.coders import CODERS, Coder

#: Bytes that are compressed at once; more would keep other callers waiting.
PIECE: Final = 64 * 1024


def compressed(body: bytes | Body, coding: str) -> bytes | Body:
    """Return a body coded: a short one at once, a long one piece by piece, one that still comes as it comes."""
    coder = CODERS[coding]()
    if isinstance(body, Body):
        return Lane(body, [coder])
    if len(body) > PIECE:
        return Body.pumped(_pieces(coder, body))
    return coder.feed(bytes(body)) + coder.close()


async def _pieces(coder: Coder, body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield coder.feed(bytes(body[start : start + PIECE]))
        await asyncio.sleep(0)
    yield coder.close()
