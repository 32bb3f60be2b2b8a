"""What workers and hosts tell each other of endpoints: that one has opened, and that it answers again.

A rumour is a hint and no more. Who hears that an endpoint has opened elsewhere lets trials decide, and refuses nobody
for its sake; who hears that it answers elsewhere ends its rest with a trial, unless the endpoint asked for that rest
itself. So one instance that cannot reach an upstream, or lies, costs the others a moment of caution.

Workers of one host talk over the bus. Hosts talk over a channel of the Redis or Valkey server that `share` names: every
worker publishes there, one worker of each host listens and tells its own over the bus. What is said while the server is
away is lost; nothing depends on it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Final, Protocol

import msgspec

from llmproxy.plugin import Endpoint, Runtime, SharedServer, StoreAway, next_message

_TOPIC: Final = "balance.health"
#: Bytes of a rumour: names of upstreams, models and members.
_LONGEST: Final = 4096
#: Seconds that the listener waits for the next rumour before it asks whether the server is there.
_WAIT: Final = 2.0
_LONGEST_PAUSE: Final = 5.0


class Rumour(msgspec.Struct, frozen=True, array_like=True):
    """What somebody says of an endpoint; `origin` is his host."""

    origin: str
    upstream: str
    model: str | None
    member: str | None
    well: bool

    @property
    def endpoint(self) -> Endpoint:
        """Whom it is about."""
        return Endpoint(self.upstream, self.model, self.member)


_encode: Final = msgspec.msgpack.encode
_decoder: Final = msgspec.msgpack.Decoder(Rumour)


class Listener(Protocol):
    """Who hears rumours."""

    def doubt(self, endpoint: Endpoint) -> None:
        """It fails, they say."""

    def relieve(self, endpoint: Endpoint) -> None:
        """It is well again, they say."""


class Sharing:
    """One worker's mouth and ears."""

    def __init__(self, runtime: Runtime, listener: Listener, server: SharedServer | None = None) -> None:
        self._runtime = runtime
        self._listener = listener
        self._server = server
        self._topic = f"{_TOPIC}:{runtime.name}"
        self._channel = b"" if server is None else server.prefix + self._topic.encode()
        #: The same for all workers of this host, and no other's.
        self._origin = f"{socket.gethostname()}:{runtime.bus.directory or token_hex(8)}"
        self._wanted = False
        self._leave: Callable[[], None] | None = None

    def start(self) -> None:
        """Listen from now on."""
        self._wanted = True
        self._leave = self._runtime.bus.subscribe(self._topic, self._overhear)
        if self._server is not None:
            self._runtime.spawn(self._keep_listening(self._server), name="health-rumours", once_per_host=True)

    def stop(self) -> None:
        """Listen no more."""
        self._wanted = False
        if self._leave is not None:
            self._leave()

    def tell(self, endpoint: Endpoint, *, well: bool) -> None:
        """Tell all others of an endpoint; nobody is waited for."""
        if self._wanted and (self._server is not None or self._runtime.bus.directory is not None):
            rumour = Rumour(self._origin, endpoint.upstream, endpoint.model, endpoint.member, well)
            self._runtime.spawn(self._publish(_encode(rumour)), name="health-rumour")

    async def _publish(self, payload: bytes) -> None:
        await self._runtime.bus.publish(self._topic, payload)
        if self._server is not None:
            with suppress(StoreAway):  # a hint that is lost
                await self._server.ask(self._server.client.publish, self._channel, payload)

    def _overhear(self, payload: bytes, sender: object) -> None:
        self._hear(payload)

    def _hear(self, payload: bytes) -> Rumour | None:
        """Pass a rumour on to who listens; return it, None if it is none."""
        if len(payload) > _LONGEST:
            return None
        try:
            rumour = _decoder.decode(payload)
        except msgspec.DecodeError:
            return None
        if rumour.well:
            self._listener.relieve(rumour.endpoint)
        else:
            self._listener.doubt(rumour.endpoint)
        return rumour

    async def _keep_listening(self, server: SharedServer) -> None:
        """Listen as long as it is wanted, with pauses that grow while it fails."""
        pause, away = 0.1, False
        while self._wanted:
            try:
                await self._listen(server)
            except Exception as fault:  # a server's fault of any kind must not end the listening
                if not away:
                    self._runtime.log.warning("health_rumours_away", reason=type(fault).__name__)
                away, pause = True, min(2 * pause, _LONGEST_PAUSE)
            else:
                away, pause = False, 0.1
            if self._wanted:
                await asyncio.sleep(pause)

    async def _listen(self, server: SharedServer) -> None:
        client = server.second_client(2 * _WAIT)
        pubsub = client.pubsub()
        try:
            await pubsub.subscribe(self._channel)
            while self._wanted:
                payload = await next_message(pubsub, _WAIT)
                if payload is not None:
                    await self._from_afar(payload)
        finally:
            for each in (pubsub, client):
                with suppress(Exception):
                    await each.aclose()

    async def _from_afar(self, payload: bytes) -> None:
        """Take another host's rumour, and tell this host's other workers."""
        try:
            own = _decoder.decode(payload).origin == self._origin
        except msgspec.DecodeError:
            return
        if not own and self._hear(payload) is not None:
            await self._runtime.bus.publish(self._topic, payload)
