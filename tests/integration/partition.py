"""A network that can be taken away: `async with Network(port) as network`, whose own `port` leads there."""

from __future__ import annotations

import asyncio
from typing import Literal, Self

from llmproxy.tasks import spawn

#: How it is: as it should be; nothing arrives any more; connections are cut and refused; those that stand carry
#: nothing more, new ones do.
State = Literal["well", "silent", "refusing", "half_open"]


class Network:
    """Carries connections to a port of this host, while it is well."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.silent = False

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cut()
        if carrying := [pair.carrying for pair in self._pairs if pair.carrying is not None]:
            await asyncio.wait(carrying)
        self._cut()
        while self._pairs:
            await asyncio.sleep(0.01)

    async def become(self, state: State) -> None:
        """Change how it is, for the connections that stand and for new ones."""
        for pair in self._pairs:
            pair.dead = pair.dead or state != "well"
        self.silent = state == "silent"
        if state == "refusing":
            self._cut()
        elif self._server is None:
            await self._listen()

    async def carry(self, pair: _Pair) -> None:
        """Connect the other end of a new connection, if anything arrives there."""
        self._pairs.add(pair)
        pair.dead = self.silent
        if not pair.dead:
            try:
                await asyncio.get_running_loop().create_connection(lambda: pair.far, "127.0.0.1", self._to)
            except OSError:
                pair.near.close()

    def forget(self, pair: _Pair) -> None:
        """Carry nothing between these any more, once both ends are gone."""
        if pair.near.gone and pair.far.gone:
            self._pairs.discard(pair)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Pair(self).near, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for pair in tuple(self._pairs):
            pair.near.close()
            pair.far.close()


class _Pair:
    """The two ends of a connection; a dead one takes what comes and gives nothing."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.near, self.far = _End(self), _End(self)
        self.carrying: asyncio.Task[None] | None = None
        self.dead = False

    def other(self, end: _End) -> _End:
        return self.far if end is self.near else self.near


class _End(asyncio.Protocol):
    def __init__(self, pair: _Pair) -> None:
        self._pair = pair
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._closing = False

    @property
    def gone(self) -> bool:
        """Whether nothing is open here, nor will be."""
        return self._transport is None and (self._closing or self._pair.dead)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self is self._pair.near:
            self._pair.carrying = spawn(self._pair.network.carry(self._pair), name="carry")
        elif self._closing:
            transport.abort()
        for data in self._waiting:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        if not self._pair.dead:
            self._pair.other(self).write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self._closing = None, True
        if self is self._pair.near or not self._pair.dead:
            self._pair.other(self).close()
        self._pair.network.forget(self._pair)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        elif not self._closing:
            self._waiting.append(data)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
