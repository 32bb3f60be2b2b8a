"""What keeps a stream coming that its caller has left, until it has told its usage: for so long, and so many bytes."""

from __future__ import annotations

import asyncio

from llmproxy.plugin import Body


class Drain:
    """A sink of its own on one body; it is put there when the body's first piece leaves, after the caller's.

    Until `begin` it only keeps the source from being given up; from then on time and bytes are counted.
    """

    __slots__ = ("_body", "_left", "_timer", "over")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._left: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.over = False

    def begin(self, seconds: float, size: int) -> None:
        """Hear that the caller has gone: from now on nobody else may want the rest."""
        if not self.over and self._left is None:
            self._left = size
            self._timer = asyncio.get_running_loop().call_later(seconds, self._stop)

    def feed(self, data: bytes) -> None:
        """Let one piece pass."""
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self._stop()

    def end(self) -> None:
        """It came whole."""
        self._finish()

    def fail(self, error: BaseException) -> None:
        """It broke off."""
        self._finish()

    def _finish(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()

    def _stop(self) -> None:
        if not self.over:
            self._finish()
            self._body.detach(self)


class Joining:
    """The observer that puts a drain on a body as soon as its pieces leave: a sink that came first would take them."""

    __slots__ = ("_body", "_drain", "_joined")

    def __init__(self, body: Body, drain: Drain) -> None:
        self._body = body
        self._drain = drain
        self._joined = False

    def feed(self, data: bytes) -> None:
        """Join with the first piece."""
        if not self._joined:
            self._joined = True
            self._body.attach(self._drain)

    def end(self) -> None:
        """There is nothing left to wait for."""
        self._drain.end()

    def fail(self, error: BaseException) -> None:
        """Likewise."""
        self._drain.end()
