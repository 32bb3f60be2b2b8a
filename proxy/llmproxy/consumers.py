"""Those who read a whole body, or its pieces one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.body import Body


class BodyTooLarge(Exception):
    """A body grew past the bound its reader gave."""


class Collector:
    """Gather a whole body for `Body.read`."""

    __slots__ = ("_body", "_limit", "_pieces", "_size", "done")

    def __init__(self, body: Body, limit: int) -> None:
        self._body = body
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def feed(self, data: bytes) -> None:
        """Keep one piece, or give up."""
        self._size += len(data)
        if self._size <= self._limit:
            self._pieces.append(data)
        elif not self.done.done():
            self.done.set_exception(BodyTooLarge(f"the body is larger than {self._limit} bytes"))

    def end(self) -> None:
        """Give the whole body."""
        if not self.done.done():
            self.done.set_result(b"".join(self._pieces))

    def fail(self, error: BaseException) -> None:
        """Give the error."""
        if not self.done.done():
            self.done.set_exception(error)


class Reader:
    """Hand pieces to an async consumer, pausing the source while it is behind."""

    __slots__ = ("_body", "_ended", "_error", "_pieces", "_waiter")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Keep one piece, and the source waiting."""
        self._pieces.append(data)
        self._body.pause(self)
        self._wake()

    def end(self) -> None:
        """Give what is left, then None."""
        self._ended = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Give what is left, then raise."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> bytes | None:
        """Return what has come since, or None at the end."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            self._body.resume(self)
            await self._waiter
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
