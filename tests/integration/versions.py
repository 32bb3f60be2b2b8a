"""An origin whose answers have versions, and callers that look for old ones through gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from tests.webserver import served

TOKEN = "the-admin-token-of-this-test"


class Origin:
    """Serves `/v/NAME`, whose body is a version that PUT raises; `hold` keeps an answer's second half back."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.slow = 0.0
        self.hold: asyncio.Event | None = None
        self.holding = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Origin]:
        app = web.Application()
        app.add_routes([web.get("/v/{name}", self._get), web.put("/v/{name}", self._put)])
        async with served(app) as self.url:
            yield self

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked[name] += 1
        body = f"{self.versions[name]:08}".encode()
        if self.slow:
            # What was read is on its way for a while, during which it may become old.
            await asyncio.sleep(self.slow)
        headers = {"Cache-Control": "max-age=300", "Surrogate-Key": f"all {name}"}
        if self.hold is None:
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Length": "8"})
        await response.prepare(request)
        await response.write(body[:4])
        self.holding.set()
        await self.hold.wait()
        await response.write(body[4:])
        return response

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.versions[name] += 1
        return web.Response(text=str(self.versions[name]))


@asynccontextmanager
async def callers() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that takes a new connection, and so perhaps another worker, for each request."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Host": "versions.test"}) as session:
        yield session


async def version(session: aiohttp.ClientSession, url: str, name: str = "x") -> int:
    """Read a version through a gateway."""
    return (await read(session, url, name))[0]


async def read(session: aiohttp.ClientSession, url: str, name: str = "x") -> tuple[int, str]:
    """Read a version, and what the cache says of it."""
    async with session.get(f"{url}/v/{name}") as reply:
        body = await reply.read()
        assert reply.status == 200, body
        return int(body), reply.headers.get("Cache-Status", "")


async def write(session: aiohttp.ClientSession, url: str, name: str = "x") -> int:
    """Write through a gateway; return the version that it made."""
    async with session.put(f"{url}/v/{name}") as reply:
        assert reply.status == 200
        return int(await reply.read())


async def purge(session: aiohttp.ClientSession, admin: str, **order: object) -> None:
    """Purge by the admin listener."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with session.post(f"{admin}/cache/purge", json=order, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
