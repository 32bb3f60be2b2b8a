"""Asking an upstream whether it is well, on a connection of its own, so that connecting is part of the question."""

from __future__ import annotations

import asyncio
import math

from llmproxy.connection import UpstreamConnection
from llmproxy.errors import UpstreamTimeout
from llmproxy.messages import Headers, UpstreamRequest
from llmproxy.upstream import Upstream


async def probe(upstream: Upstream, path: str, within: float) -> int:
    """GET `path`, and return the status of the answer, whose body nobody waits for.

    Raises:
        UpstreamError: it cannot be reached, or has not answered within so many seconds.
    """
    request = UpstreamRequest("GET", path, Headers([(b"Connection", b"close"), (b"Accept", b"*/*")]))
    loop = asyncio.get_running_loop()
    connection: UpstreamConnection | None = None
    try:
        async with asyncio.timeout(within):
            connection = await upstream.dialer.open(lambda: UpstreamConnection(_kept_by_nobody, loop))
            data = upstream.head(request, -1)
            reply = await connection.send(data, upstream.config.timeouts, math.inf, head_only=False)
            return reply.status
    except TimeoutError:
        raise UpstreamTimeout("total", within, sent=connection is not None) from None
    finally:
        if connection is not None:
            connection.abort()


def _kept_by_nobody(connection: UpstreamConnection) -> None:
    """A probe's connection carries one request."""
