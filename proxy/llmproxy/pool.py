"""The keep-alive pool of one upstream, and the sweep that makes its timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from llmproxy.connection import UpstreamConnection
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.replyreader import CLOSED, IDLE, WAITING

if TYPE_CHECKING:
    from llmproxy.config import PoolSettings

#: Seconds between two sweeps, and connections that a sweep may look at for each second until the next one:
#: a timeout fires 50 ms late at most, or half a second with 9,000 connections open, where a sweep takes 5 ms. Only the
#: exchange's own deadline is kept to the millisecond: one that comes before the next sweep has a timer of its own.
SWEEP = 0.05
SWEPT = 20_000

#: Seconds after which an idle connection is looked at before it is used: a process that was stopped, or busy, has not
#: heard yet of the ends that upstreams put to theirs meanwhile.
SETTLED = 1.0


def overdue(connection: UpstreamConnection, now: float) -> UpstreamTimeout | None:
    """Return the timeout of a busy connection that has run out, if any."""
    limits, upload = connection.timeouts, connection.uploading
    late: tuple[str, float] | None = None
    tap = connection.body.tap if connection.body is not None else None
    if now > connection.expires:
        late = "total", _span(connection)
    elif upload is not None and upload.stuck and now - upload.stuck > limits.idle:
        late = "idle", limits.idle
    elif connection.state == WAITING:
        since = connection.started if upload is None else upload.touched
        # While the caller still sends, the upstream cannot be expected to answer.
        if now - since > limits.headers and (upload is None or upload.done):
            late = "headers", limits.headers
    elif tap is not None and not tap.first_output:
        if now - connection.started > limits.first_token:
            late = "first_token", limits.first_token
    elif now - connection.touched > limits.idle and connection.transport.is_reading():
        late = "idle", limits.idle
    return None if late is None else UpstreamTimeout(*late, sent=True)


def _span(connection: UpstreamConnection) -> float:
    """Return how long a message had until its deadline, in seconds, as an error tells it."""
    return max(0.0, connection.expires - connection.started)


Open = Callable[[Callable[[], UpstreamConnection]], Awaitable[UpstreamConnection]]


class Pool:
    """Connections to one upstream: reused last-in first-out, bounded, waited for in order.

    A place is taken by each connection that is open, being opened, or promised to a waiter.
    """

    def __init__(self, open_connection: Open, settings: PoolSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = open_connection
        self._settings = settings
        self._idle: dict[UpstreamConnection, None] = {}  # in the order they became idle
        self._all: set[UpstreamConnection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        #: When the next sweep is due, on the loop's clock.
        self.sweeps_at = math.inf
        self._closed = False
        self._emptied: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Pool {len(self._all)} open, {len(self._idle)} idle, {len(self._waiting)} waiting>"

    def idle_connection(self) -> UpstreamConnection | None:
        """Return a connection that is ready now, or None."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.ready:
                continue
            if self._loop.time() - connection.touched < SETTLED or not connection.unread():
                return connection
            connection.abort()
        return None

    async def acquire(self) -> UpstreamConnection:
        """Return a connection of the caller's own, from the pool or new.

        Raises:
            GatewayError: 503, too many callers wait already.
            UpstreamError: it cannot be reached.
        """
        connection = self.idle_connection()
        if connection is not None:
            return connection
        if not self._full:
            self._opening += 1
            return await self._connect()
        if len(self._waiting) >= self._settings.max_waiting:
            message = "Too many requests wait for this upstream."
            raise GatewayError(503, "upstream_busy", message, retry_after=1)
        connection = await self._turn(self._waiting.append)
        while connection is not None and not connection.ready:
            # Lost between two steps of the loop: the caller is still the first in line.
            connection = await self._turn(self._waiting.appendleft)
        return connection or await self._connect()

    @property
    def _full(self) -> bool:
        return len(self._all) + self._opening >= self._settings.max_connections

    async def _connect(self) -> UpstreamConnection:
        """Open a connection in the place that `_opening` counts for it."""
        try:
            connection = await self._open(lambda: UpstreamConnection(self.release, self._loop))
            if not connection.ready:
                connection.abort()
                message = "The upstream closed the connection as soon as it was open."
                raise UpstreamError("upstream_reset", message, phase="connect", sent=False)
        except BaseException:
            self._leave_place()
            raise
        self._opening -= 1
        self._all.add(connection)
        if self._sweeper is None:
            self._sweep_in(SWEEP)
        return connection

    def watch(self, connection: UpstreamConnection) -> None:
        """End what a connection carries at its very deadline, which comes before the next sweep."""
        self._loop.call_at(connection.expires, self._expire, connection, connection.expires)

    def _expire(self, connection: UpstreamConnection, expires: float) -> None:
        if connection.state > IDLE and connection.expires == expires:
            connection.abort(UpstreamTimeout("total", _span(connection), sent=True))

    def _sweep_in(self, seconds: float) -> None:
        self.sweeps_at = self._loop.time() + seconds
        self._sweeper = self._loop.call_later(seconds, self._sweep)

    async def _turn(
        self, queue: Callable[[asyncio.Future[UpstreamConnection | None]], None]
    ) -> UpstreamConnection | None:
        """Wait for a connection, or for None: a place to open one in."""
        turn: asyncio.Future[UpstreamConnection | None] = self._loop.create_future()
        queue(turn)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            # A turn that was given and not taken goes to the next in line.
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            elif (connection := turn.result()) is None:
                self._leave_place()
            elif connection.state == IDLE:
                self.release(connection)
            raise

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back: for the next waiter, for the pool, or off the count when closed."""
        if connection.state == CLOSED:
            self._all.discard(connection)
            self._idle.pop(connection, None)
            self._admit()
            self._tell_if_empty()
            return
        if self._closed:
            connection.abort()
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        self._idle[connection] = None

    def _leave_place(self) -> None:
        self._opening -= 1
        self._admit()
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._emptied is not None and not self._all and not self._opening:
            emptied, self._emptied = self._emptied, None
            emptied()

    def _admit(self) -> None:
        """Give each place that is free to the first waiter, to open a connection of its own."""
        while self._waiting and not self._full:
            turn = self._waiting.popleft()
            if not turn.done():
                self._opening += 1
                turn.set_result(None)

    def _sweep(self) -> None:
        now = self._loop.time()
        pause = SWEEP + len(self._all) / SWEPT
        for connection in list(self._all):
            if connection.state == IDLE:
                continue
            if (late := overdue(connection, now)) is not None:
                connection.abort(late)
            elif connection.expires < now + pause:
                self.watch(connection)
        oldest = now - self._settings.keepalive
        for connection in list(self._idle):
            if connection.touched > oldest:
                break
            connection.abort()
        if self._all:
            self._sweep_in(pause)
        else:
            self._sweeper, self.sweeps_at = None, math.inf

    def close(self, emptied: Callable[[], None] | None = None) -> None:
        """Close what is idle now and the rest as it comes back; `emptied` is called when nothing is left."""
        self._closed = True
        for connection in list(self._idle):
            connection.abort()
        self._emptied = emptied
        self._tell_if_empty()

    def reopen(self) -> None:
        """Keep connections again."""
        self._closed = False
        self._emptied = None
