"""An upstream of WebSockets that says everything back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from tests.webserver import served


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """Serve it at any path, and give its URL; where the query says `error` it refuses."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.query_string == "error":
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async with served(serve) as url:
        yield url
