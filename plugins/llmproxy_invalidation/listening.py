"""Listeners to Redis and Valkey: a channel's events as they are published, a stream's from where this host was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from llmproxy.caches import Purge, PurgeOrder
from llmproxy.plugin import SharedServer, next_message

#: Seconds that a listener waits for the next event before it asks again.
_WAIT: Final = 2.0
_LONGEST_PAUSE: Final = 5.0
_BATCH: Final = 100

#: Obeys an event; False if it should come again.
Obey = Callable[[bytes], Awaitable[bool]]
ObeyFields = Callable[[dict[str, str]], Awaitable[bool]]


#: Whether listening is still wanted. The client may lose a cancellation, so that every loop asks.
Wanted = Callable[[], bool]


async def keep_up(
    listen: Callable[[Wanted], Awaitable[None]], away: Callable[[Exception], None], wanted: Wanted
) -> None:
    """Listen as long as it is wanted, with pauses that grow while it fails; tell `away` of each fault."""
    pause = 0.0
    now = asyncio.get_running_loop().time
    while wanted():
        begun = now()
        try:
            await listen(wanted)
        except Exception as fault:  # a server's fault of any kind must not end the listening
            away(fault)
        pause = 0.1 if not pause or now() - begun > _WAIT else min(2 * pause, _LONGEST_PAUSE)
        await asyncio.sleep(pause)


class ChannelListener:
    """Listens to a channel; after a time in which it did not, the gap is reported to `obey_order`."""

    def __init__(
        self,
        server: SharedServer,
        channel: str,
        obey: Obey,
        obey_order: Callable[[PurgeOrder], Awaitable[bool]],
        after_gap: PurgeOrder | None,
    ) -> None:
        self._server = server
        self._channel = channel
        self._obey = obey
        self._obey_order = obey_order
        self._after_gap = after_gap
        self._listened = False

    async def listen(self, wanted: Wanted) -> None:
        """Listen until the connection breaks."""
        client = self._server.second_client(2 * _WAIT)
        pubsub = client.pubsub()
        try:
            await pubsub.subscribe(self._channel)
            await self._hear(pubsub)
            if self._listened and self._after_gap is not None:
                await self._obey_order(self._after_gap)
            self._listened = True
            while wanted():
                await self._hear(pubsub)
        finally:
            await _closed(pubsub)
            await _closed(client)

    async def _hear(self, pubsub: Any) -> None:
        """Obey the next event, or make sure that the server is there."""
        payload = await next_message(pubsub, _WAIT)
        if payload is not None:
            await self._obey(payload)


class StreamListener:
    """Reads a stream as one of a group, whose position and unfinished events the server keeps."""

    def __init__(self, server: SharedServer, stream: str, group: str, obey: ObeyFields) -> None:
        self._server = server
        self._stream = stream
        self._group = group
        self._obey = obey
        self._listened = False

    async def listen(self, wanted: Wanted) -> None:
        """Read until the connection breaks: first what was begun and not finished, then what is new."""
        client = self._server.second_client(2 * _WAIT)
        try:
            await self._join(client)
            await self._read(client, "0", wanted)
            while wanted():
                await self._read(client, ">", wanted)
        finally:
            await _closed(client)

    async def _join(self, client: Any) -> None:
        from redis.exceptions import ResponseError  # noqa: PLC0415  # an extra

        # A host that is new has nothing to purge; if the group was lost, nothing of the stream was heard.
        with suppress(ResponseError):  # the group is there
            start = "0" if self._listened else "$"
            await client.xgroup_create(self._stream, self._group, id=start, mkstream=True)
        self._listened = True

    async def _read(self, client: Any, position: str, wanted: Wanted) -> None:
        """Obey events from a position on; those that could not be obeyed yet come again."""
        while wanted():
            told = await client.xreadgroup(
                self._group, "llmproxy", {self._stream: position}, count=_BATCH, block=int(_WAIT * 1000)
            )
            events = told[0][1] if told else []
            for name, fields in events:
                if not await self._event(fields):
                    raise ConnectionError("an event could not be obeyed yet")
                await client.xack(self._stream, self._group, name)
                if position != ">":
                    position = name.decode()
            if not events:
                return

    async def _event(self, fields: dict[bytes, bytes] | None) -> bool:
        if not fields:
            return True  # it was trimmed meanwhile
        return await self._obey({_text(name): _text(value) for name, value in fields.items()})


def gap_order(after_gap: str, store: str | None) -> PurgeOrder | None:
    """Return what is ordered after a time in which nobody listened."""
    if after_gap == "ignore":
        return None
    return PurgeOrder((Purge("all", (), None, after_gap == "soft"),), store)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


async def _closed(thing: Any) -> None:
    with suppress(Exception):
        await thing.aclose()
