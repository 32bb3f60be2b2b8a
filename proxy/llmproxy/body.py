"""One body, many sinks.

Theory of operation. A source (an upstream connection, a plugin's generator, the caller's upload) calls `feed` for each
piece, then `end` or `fail` once. Sinks attach at any time: before the first piece, or later. What came while no sink
was attached is held and handed to the first one; a later sink gets what comes from then on. Observers (a tap, a
`Recording` that keeps a bounded copy) are added before the first sink, see every piece first, and do not count when the
source asks whether anybody still wants the rest. Back-pressure: the source is paused while any sink asks for it, or
while too much is held for a first sink that has not come.

    state      feed            end               fail
    OPEN       OPEN            ENDED             FAILED
    ENDED      ignored         ignored           ignored
    FAILED     ignored         ignored           ignored

A body that is abandoned before any sink came gives what it holds to its observers, so that they learn of its end too.
Once a body is `shown`, the observers that it has by then see each piece as it comes, and its end, while it is held
still: so it can be known how a reply begins before any of it leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from llmproxy.consumers import BodyTooLarge, Collector, Reader
from llmproxy.tasks import spawn

__all__ = [
    "ENDED",
    "FAILED",
    "HOLD_LIMIT",
    "OPEN",
    "Body",
    "BodyTooLarge",
    "HasOutput",
    "Recording",
    "Sink",
]

#: Bytes held for a sink that has not attached yet, before the source is paused.
HOLD_LIMIT = 64 * 1024

OPEN, ENDED, FAILED = range(3)


class Sink(Protocol):
    """Where a body's pieces go. No method may raise or block."""

    def feed(self, data: bytes) -> None:
        """Take one piece, at least one byte long."""

    def end(self) -> None:
        """The body is complete; nothing follows."""

    def fail(self, error: BaseException) -> None:
        """The body broke off; nothing follows."""


class HasOutput(Protocol):
    """Tells whether the first piece of real output has passed."""

    first_output: bool


class Body:
    """Bytes that are still coming, from one source to any number of sinks.

    `pause`, `resume` and `abandon` are the source's own switches; `abandon` means that nobody wants the rest.
    """

    __slots__ = (
        "_abandon",
        "_all",
        "_early",
        "_held",
        "_held_size",
        "_observers",
        "_pause",
        "_paused",
        "_resume",
        "_sinks",
        "error",
        "hold_limit",
        "size",
        "state",
        "tap",
    )

    def __init__(
        self,
        pause: Callable[[], None] | None = None,
        resume: Callable[[], None] | None = None,
        abandon: Callable[[], None] | None = None,
    ) -> None:
        self._pause, self._resume, self._abandon = pause, resume, abandon
        #: The observers that see what is held.
        self._early: tuple[Sink, ...] = ()
        self._observers: tuple[Sink, ...] = ()
        self._sinks: tuple[Sink, ...] = ()
        self._all: tuple[Sink, ...] = ()
        self._held: list[bytes] | None = []
        self._held_size = 0
        self._paused: set[int] = set()
        self.hold_limit = HOLD_LIMIT
        self.state, self.size = OPEN, 0
        self.error: BaseException | None = None
        #: Who knows whether output has begun; the source's first-token timeout asks it.
        self.tap: HasOutput | None = None

    @classmethod
    def pumped(cls, pieces: AsyncIterator[bytes]) -> Body:
        """Make a body from an async iterator, which is closed when the body is abandoned."""
        return _Pump(pieces).body

    def feed(self, data: bytes) -> None:
        """Hand one piece to every sink (source side)."""
        if self.state != OPEN or not data:
            # An empty piece would end a chunked reply early, so none gets through.
            return
        self.size += len(data)
        if self._held is not None:
            self._held.append(data)
            self._held_size += len(data)
            for early in self._early:
                early.feed(data)
            if self._held_size > self.hold_limit and self._held is not None:
                self.pause(self)
            return
        for sink in self._all:
            sink.feed(data)

    def end(self) -> None:
        """Say that the body is complete (source side)."""
        if self.state == OPEN:
            self.state = ENDED
            self._conclude()

    def fail(self, error: BaseException) -> None:
        """Say that the body broke off (source side)."""
        if self.state == OPEN:
            self.state = FAILED
            self.error = error
            self._conclude()

    def spoil(self, error: BaseException) -> None:
        """Say, as an observer that is being told of the end, that the body is not whole: who is told next is told so."""
        self.state = FAILED
        self.error = error

    def _conclude(self) -> None:
        for sink in self._all if self._held is None else self._early:
            self._tell_end(sink)

    def _tell_end(self, sink: Sink) -> None:
        if self.state == FAILED:
            sink.fail(self.error or ConnectionError("the body broke off"))
        else:
            sink.end()

    def observe(self, sink: Sink) -> None:
        """Add a sink that sees every piece before the others and does not keep the source going.

        Raises:
            RuntimeError: pieces have begun to leave; it would miss some.
        """
        if self._held is None:
            raise RuntimeError("the body's pieces have begun to leave")
        self._observers += (sink,)
        self._all += (sink,)

    def peek(self) -> bytes:
        """Return what is held for a first sink."""
        return b"".join(self._held or ())

    def show(self) -> None:
        """Let the observers that are here see what is held, and from now on each piece as it comes."""
        if self._held is None:
            return
        new, self._observers = self._observers, ()
        self._early += new
        for data in tuple(self._held):
            for each in new:
                each.feed(data)
        if self.state != OPEN:
            for each in new:
                self._tell_end(each)

    def attach(self, sink: Sink) -> None:
        """Add a sink; the first one gets what was held, a later one what comes from now on."""
        self._sinks += (sink,)
        self._all += (sink,)
        if self._held is not None:
            self._release(self._held)
        elif self.state != OPEN:
            self._tell_end(sink)

    def _release(self, held: list[bytes]) -> None:
        """Let go of what was held for a first sink, in one piece."""
        self._held = None
        ended = self.state != OPEN
        if held:
            data = held[0] if len(held) == 1 else b"".join(held)
            for each in self._observers + self._sinks:
                each.feed(data)
        self.resume(self)
        # A sink that leaves meanwhile may make the source fail, which has told everybody already.
        if ended:
            for each in self._observers + self._sinks:
                self._tell_end(each)

    def detach(self, sink: Sink) -> None:
        """Remove a sink; when the last one leaves, the source is told that nobody wants the rest."""
        left = tuple(other for other in self._sinks if other is not sink)
        if len(left) == len(self._sinks):
            return
        self._sinks = left
        self._all = self._early + self._observers + left
        self.resume(sink)
        if not left:
            self.abandon()

    def abandon_unless_wanted(self) -> None:
        """Tell the source that nobody wants the rest, if no sink is attached."""
        if not self._sinks:
            self.abandon()

    def abandon(self) -> None:
        """Tell the source that nobody wants the rest."""
        if self._held is not None:
            self._release(self._held)
        if self.state == OPEN and self._abandon is not None:
            self._abandon()

    def pause(self, who: object) -> None:
        """Ask the source to stop reading until `who` says `resume`."""
        if not self._paused and self._pause is not None and self.state == OPEN:
            self._pause()
        self._paused.add(id(who))

    def resume(self, who: object) -> None:
        """Take back `pause`."""
        if id(who) in self._paused:
            self._paused.discard(id(who))
            if not self._paused and self._resume is not None and self.state == OPEN:
                self._resume()

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: more than `limit` bytes came; the source is abandoned.
            Exception: what the source failed with.
        """
        collector = Collector(self, limit)
        self.attach(collector)
        try:
            return await collector.done
        finally:
            self.detach(collector)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the pieces as they come, with back-pressure."""
        reader = Reader(self)
        self.attach(reader)
        try:
            while (piece := await reader.next()) is not None:
                yield piece
        finally:
            self.detach(reader)


class Recording:
    """A bounded copy of a body, kept as it passes.

    `whole()` gives the bytes once complete; None if it broke off, is not complete, or outgrew `limit`.
    """

    __slots__ = ("_pieces", "complete", "limit", "on_complete", "size")

    def __init__(self, limit: int, on_complete: Callable[[], None] | None = None) -> None:
        self._pieces: list[bytes] | None = []
        self.limit = limit
        self.size = 0
        self.complete = False
        self.on_complete = on_complete

    def feed(self, data: bytes) -> None:
        """Keep one piece, or give the copy up when it outgrows the bound."""
        if self._pieces is not None:
            self.size += len(data)
            if self.size > self.limit:
                self._pieces = None
            else:
                self._pieces.append(data)

    def end(self) -> None:
        """Mark the copy complete."""
        self.complete = True
        if self.on_complete is not None:
            self.on_complete()

    def fail(self, error: BaseException) -> None:
        """Forget the copy: a broken answer is never kept."""
        self._pieces = None
        if self.on_complete is not None:
            self.on_complete()

    def whole(self) -> bytes | None:
        """Return the bytes of a complete body, else None."""
        return b"".join(self._pieces) if self.complete and self._pieces is not None else None


class _Pump:
    """Feed a body from an async iterator, one task a body."""

    __slots__ = ("_gate", "_pieces", "_running", "_task", "_wanted", "body")

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.body = Body(self._shut, self._open, self._stop)
        self._pieces = pieces
        self._gate = asyncio.Event()
        self._gate.set()
        self._running = False
        self._wanted = True
        self._task = spawn(self._run(), name="body-pump")

    def _shut(self) -> None:
        self._gate.clear()

    def _open(self) -> None:
        self._gate.set()

    def _stop(self) -> None:
        self._wanted = False
        # A task that is cancelled before its first step never runs, and so would never close its source.
        if self._running:
            self._task.cancel()

    async def _run(self) -> None:
        self._running = True
        try:
            if self._wanted:
                await self._pump()
            else:
                self.body.fail(ConnectionAbortedError("the body was abandoned"))
        except asyncio.CancelledError:
            self.body.fail(ConnectionAbortedError("the body was abandoned"))
        except Exception as error:  # the sinks are told; the pipeline logs it
            self.body.fail(error)
        else:
            self.body.end()
        finally:
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()

    async def _pump(self) -> None:
        async for piece in self._pieces:
            self.body.feed(piece)
            await self._gate.wait()
