"""One timer for all of a listener's connections: slow headers, idle keep-alive, stalled readers, lost callers."""

from __future__ import annotations

import asyncio
import select
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.config import ServerSettings
    from llmproxy.server import ClientConnection

#: Seconds between two looks at callers whose close the loop cannot report, because their reading is paused.
TICK = 0.1
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Watchlist:
    """The open connections of one listener and their deadlines."""

    def __init__(self) -> None:
        self.open: set[ClientConnection] = set()
        #: Callers that do not take what is written to them.
        self.stalled: set[ClientConnection] = set()
        #: Callers that are not read from: no loop reports their close, so their sockets are asked.
        self.deaf: set[ClientConnection] = set()
        self.date = formatdate(usegmt=True).encode()
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0

    def start(self, settings: ServerSettings) -> None:
        """Begin to look."""
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def opened(self, connection: ClientConnection) -> None:
        """Count a connection."""
        self.open.add(connection)

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection."""
        self.open.discard(connection)
        self.stalled.discard(connection)
        self.deaf.discard(connection)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        now = self._loop.time()
        if self.deaf:
            self._ask_the_deaf()
        for connection in tuple(self.stalled):
            if now - connection.paused_since > self._settings.write_timeout and connection.transport:
                connection.transport.abort()
        self._ticks += 1
        if self._ticks % 10 == 0:
            self.date = formatdate(usegmt=True).encode()
            self._close_late(now)

    def _ask_the_deaf(self) -> None:
        poll = select.poll()
        by_fd: dict[int, ClientConnection] = {}
        for connection in self.deaf:
            if connection.transport is not None:
                sock = connection.transport.get_extra_info("socket")
                fd = sock.fileno() if sock is not None else -1
                if fd >= 0:
                    by_fd[fd] = connection
                    poll.register(fd, _GONE)
        for fd, _ in poll.poll(0):
            transport = by_fd[fd].transport
            if transport is not None:
                transport.abort()

    def _close_late(self, now: float) -> None:
        settings = self._settings
        for connection in tuple(self.open):
            if not connection.busy and connection.late(
                now, settings.header_timeout, settings.keepalive_timeout
            ):
                connection.time_out()
