"""A streamed answer on its way past: recorded, and received to its end even if its caller leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from llmproxy.plugin import Body, Recording

#: Told of the end: the whole answer, None if it is too long; and what it broke off with.
Ended = Callable[[bytes | None, BaseException | None], Awaitable[None]]
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Relay:
    """The sink of the upstream's body, and the source of the caller's, `out`.

    The caller learns of the end when `ended` has returned: who saw a whole answer gets it again.
    """

    __slots__ = ("_ended", "_left", "_record", "_source", "_spawn", "out")

    def __init__(self, source: Body, limit: int, ended: Ended, spawn: Spawn) -> None:
        self._source = source
        self._record = Recording(limit)
        self._ended = ended
        self._spawn = spawn
        self._left = False
        self.out = Body(self._pause, self._resume, self.leave)
        source.attach(self)

    def feed(self, data: bytes) -> None:
        """Take one piece."""
        self._record.feed(data)
        if not self._left:
            self.out.feed(data)

    def end(self) -> None:
        """Take the end."""
        self._record.end()
        self._spawn(self._conclude(None))

    def fail(self, error: BaseException) -> None:
        """Take a break."""
        self._spawn(self._conclude(error))

    def leave(self) -> None:
        """Go on without the caller."""
        if not self._left:
            self._left = True
            self._source.resume(self)
            self.out.fail(ConnectionAbortedError("the caller left"))

    def leave_unless_wanted(self) -> None:
        """Go on without a caller that never came."""
        self.out.abandon_unless_wanted()

    def give_up(self) -> None:
        """Have the upstream closed."""
        self._source.detach(self)

    async def _conclude(self, error: BaseException | None) -> None:
        try:
            await self._ended(self._record.whole() if error is None else None, error)
        finally:
            if error is None:
                self.out.end()
            else:
                self.out.fail(error)

    def _pause(self) -> None:
        if not self._left:
            self._source.pause(self)

    def _resume(self) -> None:
        self._source.resume(self)
