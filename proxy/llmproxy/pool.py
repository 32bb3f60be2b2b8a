"""The keep-alive pool of one upstream, and the sweep that makes its timeouts."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from llmproxy.connection import CLOSED, IDLE, UpstreamConnection
from llmproxy.errors import GatewayError, UpstreamTimeout

if TYPE_CHECKING:
    from llmproxy.config import PoolSettings

#: Seconds between two sweeps: a timeout fires at most this much late.
SWEEP = 0.05

Open = Callable[[Callable[[], UpstreamConnection], float], Awaitable[UpstreamConnection]]


class Pool:
    """Connections to one upstream: reused last-in first-out, bounded, waited for in order."""

    def __init__(self, open_connection: Open, settings: PoolSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = open_connection
        self._settings = settings
        self._idle: deque[UpstreamConnection] = deque()
        self._all: set[UpstreamConnection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self.closed = False

    def __repr__(self) -> str:
        return f"<Pool {len(self._all)} open, {len(self._idle)} idle, {len(self._waiting)} waiting>"

    @property
    def busy(self) -> int:
        """Connections that carry an exchange."""
        return len(self._all) - len(self._idle)

    def idle_connection(self) -> UpstreamConnection | None:
        """Return a connection that is ready now, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.state == IDLE and not connection.transport.is_closing():
                return connection
        return None

    async def acquire(self, timeout: float) -> UpstreamConnection:
        """Return a connection of the caller's own, from the pool or new.

        Raises:
            GatewayError: 503, too many callers wait already.
            UpstreamError: it cannot be reached within `timeout` seconds.
        """
        connection = self.idle_connection()
        if connection is not None:
            return connection
        if len(self._all) + self._opening >= self._settings.max_connections:
            connection = await self._wait(timeout)
            if connection is not None:
                return connection
        return await self._connect(timeout)

    async def _connect(self, timeout: float) -> UpstreamConnection:
        self._opening += 1
        try:
            connection = await self._open(lambda: UpstreamConnection(self.release, self._loop), timeout)
        except TimeoutError:
            raise UpstreamTimeout("connect", timeout, sent=False) from None
        finally:
            self._opening -= 1
            self._admit()
        self._all.add(connection)
        if self._sweeper is None and not self.closed:
            self._sweeper = self._loop.call_later(SWEEP, self._sweep)
        return connection

    async def _wait(self, timeout: float) -> UpstreamConnection | None:
        if len(self._waiting) >= self._settings.max_waiting:
            raise GatewayError(
                503, "upstream_busy", "Too many requests wait for this upstream.", retry_after=1
            )
        turn: asyncio.Future[UpstreamConnection | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout):
                return await turn
        except BaseException as fault:
            # A turn that was given and not taken goes to the next in line.
            if not turn.done() or turn.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            elif (connection := turn.result()) is not None:
                self.release(connection)
            else:
                self._admit()
            if isinstance(fault, TimeoutError):
                raise UpstreamTimeout("connect", timeout, sent=False) from None
            raise

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back: for the next waiter, for the pool, or off the count when closed."""
        if connection.state == CLOSED:
            self._all.discard(connection)
            if connection.idle_since:
                # Rare: the peer closed an idle connection.
                with contextlib.suppress(ValueError):
                    self._idle.remove(connection)
            self._admit()
            return
        if self.closed:
            connection.abort()
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def _admit(self) -> None:
        """A place is free: let the first waiter open a connection of its own."""
        while self._waiting and len(self._all) + self._opening < self._settings.max_connections:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self._all):
            if connection.state == IDLE:
                continue
            late = connection.overdue(now)
            if late is not None:
                connection.abort(late)
        oldest = now - self._settings.keepalive
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()
        self._sweeper = self._loop.call_later(SWEEP, self._sweep) if self._all else None

    def close(self) -> None:
        """Close what is idle now and the rest as it comes back."""
        self.closed = True
        while self._idle:
            self._idle.popleft().abort()
