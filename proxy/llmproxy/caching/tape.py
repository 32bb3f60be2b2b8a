"""A streamed body on tape: what has come is replayed to whoever joins, then tailed live.

Theory of operation. The tape is the one sink of its source and keeps the pieces, up to its limit. Each reader is a
`Body` of its own with a cursor: it is *live* when it has been given everything, and then gets each new piece in one
call; it is *behind* while nobody reads it or its caller takes nothing, and then costs nothing until it catches up
from the tape. So a slow caller slows nobody.

A tape that outgrows its limit is no longer whole: it can be neither joined nor kept, and becomes a window. What every
reader has had is dropped, and the source waits while the slowest reader is more than `WINDOW` behind.

When the last reader leaves, `owner.deserted` decides: the source is given up by `drop`. Once the owner has closed the
tape nobody joins it any more, and what it holds goes with its last reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from llmproxy.body import ENDED, FAILED, OPEN, Body, Sink

#: Bytes that a tape keeps, as much as is kept of any reply; and those of all tapes of one `Spool` together.
LIMIT: Final = 8 * 1024 * 1024
SPOOL: Final = 256 * 1024 * 1024

#: Bytes that a reader of an outgrown tape may be behind before its source is paused.
WINDOW: Final = 256 * 1024

#: Bytes that a reader which catches up is given at once.
_STRIDE: Final = 64 * 1024


class Spool:
    """What all tapes of one owner hold together, in bytes."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = SPOOL) -> None:
        self.limit = limit
        self.used = 0


class Reel:
    """Pieces by their numbers; those before `dropped` are gone."""

    __slots__ = ("_spool", "dropped", "pieces", "size")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.pieces: list[bytes] = []
        self.dropped = 0
        self.size = 0

    def __del__(self) -> None:
        self._spool.used -= self.size

    @property
    def count(self) -> int:
        """How many pieces have come."""
        return self.dropped + len(self.pieces)

    def take(self, cursor: int) -> tuple[bytes, int]:
        """Return the next pieces as one that is not too large, and the number of the one behind them."""
        start = end = cursor - self.dropped
        pieces, length = self.pieces, 0
        while end < len(pieces) and (not length or length + len(pieces[end]) <= _STRIDE):
            length += len(pieces[end])
            end += 1
        data = pieces[start] if end == start + 1 else b"".join(pieces[start:end])
        return data, self.dropped + end

    def drop(self, until: int) -> None:
        """Let go of the pieces before that number."""
        had = until - self.dropped
        if had:
            length = sum(map(len, self.pieces[:had]))
            del self.pieces[:had]
            self.dropped = until
            self.size -= length
            self._spool.used -= length


class Owner(Protocol):
    """Who is told what becomes of a tape, each once."""

    def begun(self) -> None:
        """The first piece comes now."""

    def outgrown(self) -> None:
        """The tape is no longer whole."""

    def over(self, error: BaseException | None) -> None:
        """The source has ended, or broke off; the readers that were live know already."""

    def deserted(self) -> None:
        """The last reader has left while the source goes on."""


class Tape:
    """The pieces of one body, for any number of readers. It is a sink: `record` attaches it to its source."""

    __slots__ = (
        "_behind",
        "_closed",
        "_fed",
        "_limit",
        "_live",
        "_owner",
        "_reel",
        "_source",
        "_spool",
        "_window",
        "error",
        "feed",
        "state",
        "whole",
    )

    def __init__(
        self, source: Body, owner: Owner, spool: Spool, limit: int = LIMIT, window: int = WINDOW
    ) -> None:
        self._source = source
        self._owner = owner
        self._spool = spool
        self._limit = limit
        self._window = window
        self._reel = Reel(spool)
        self._live: dict[Reader, None] = {}
        self._behind: dict[Reader, None] = {}
        #: The live readers in a form that may change while it is gone through; made again after a change.
        self._fed: tuple[Reader, ...] | None = ()
        self._closed = False
        self.feed: Callable[[bytes], None] = self._feed_first
        self.state = OPEN
        self.error: BaseException | None = None
        #: Whether everything that has come is still here, so that one can join.
        self.whole = True

    def record(self) -> None:
        """Attach to the source, which hands over what it has held."""
        self._source.attach(self)

    @property
    def size(self) -> int:
        """How many bytes are held now."""
        return self._reel.size

    @property
    def read(self) -> bool:
        """Whether it has readers."""
        return bool(self._live or self._behind)

    @property
    def idle(self) -> bool:
        """Whether the source goes on and nobody reads."""
        return self.state == OPEN and not self.read

    def reader(self) -> Reader:
        """Return a body that gives everything from the beginning on; only while the tape is whole."""
        reader = Reader(self)
        reader.tap = self._source.tap
        self._behind[reader] = None
        if self.state != OPEN and not self._reel.count:
            self._tell(reader)
        return reader

    def recorded(self) -> bytes | None:
        """Return the whole body once it is complete; None if it is not, or was too large to be kept."""
        return b"".join(self._reel.pieces) if self.whole and self.state == ENDED else None

    def close(self) -> None:
        """Let nobody join any more; those who read go on, and only what they need is held."""
        if not self._closed:
            self._closed = True
            if self.whole and self.state == OPEN:
                self._become_window()
                self._shorten()
            self._settle()

    def drop(self) -> None:
        """Give the source up: nobody wants the rest."""
        if self.state == OPEN:
            self._conclude(FAILED, ConnectionAbortedError("the stream was given up"))
            self._source.detach(self)

    def _settle(self) -> None:
        """Let go of what is held if nobody can read it any more."""
        if self._closed and self.state != OPEN and not self.read:
            self._reel.drop(self._reel.count)

    # The source's side.

    def _feed_first(self, data: bytes) -> None:
        self.feed = self._feed
        self._owner.begun()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        reel, length = self._reel, len(data)
        reel.pieces.append(data)
        reel.size = size = reel.size + length
        self._spool.used += length
        fed = self._fed
        if fed is None:
            fed = self._fed = tuple(self._live)
        for reader in fed:
            reader.feed(data)
        if size > self._limit or self._spool.used > self._spool.limit:
            self._shorten()

    def end(self) -> None:
        """The source is complete."""
        self._over(ENDED, None)

    def fail(self, error: BaseException) -> None:
        """The source broke off."""
        self._over(FAILED, error)

    def _over(self, state: int, error: BaseException | None) -> None:
        if self.state == OPEN:
            self._conclude(state, error)
            self._owner.over(error)

    def _conclude(self, state: int, error: BaseException | None) -> None:
        self.state = state
        self.error = error
        self.feed = _nothing
        count = self._reel.count
        for reader in [*self._live, *(each for each in self._behind if each.cursor == count)]:
            self._tell(reader)

    def _tell(self, reader: Reader) -> None:
        self.forget(reader)
        if self.error is not None:
            reader.fail(self.error)
        else:
            reader.end()

    # The readers' side.

    def forget(self, reader: Reader) -> None:
        """Strike a reader off; it gets nothing more."""
        if reader in self._live:
            del self._live[reader]
            self._fed = None
        self._behind.pop(reader, None)
        self._settle()

    def leave(self, reader: Reader) -> None:
        """A reader's caller wants no more."""
        self.forget(reader)
        if self.state == OPEN:
            if not self.whole:
                self._shorten()
            if not self.read:
                self._owner.deserted()

    def hold(self, reader: Reader) -> None:
        """A live reader's caller takes nothing for now."""
        if reader in self._live:
            del self._live[reader]
            self._fed = None
            reader.cursor = self._reel.count
            self._behind[reader] = None

    def catch_up(self, reader: Reader) -> None:
        """Give a reader what it has missed, as far as its caller takes it."""
        reel = self._reel
        while not reader.held and reader in self._behind:
            if reader.cursor < reel.count:
                data, reader.cursor = reel.take(reader.cursor)
                reader.feed(data)
            elif self.state == OPEN:
                del self._behind[reader]
                self._live[reader] = None
                self._fed = None
            else:
                self._tell(reader)
        if not self.whole and self.state == OPEN:
            self._shorten()

    # An outgrown tape.

    def _become_window(self) -> None:
        self.whole = False
        self._limit = -1  # there is something to drop after every piece

    def _shorten(self) -> None:
        """Drop what every reader has had; hold the source while one of them is far behind."""
        if self.whole:
            self._become_window()
            self._owner.outgrown()
        self._reel.drop(min((reader.cursor for reader in self._behind), default=self._reel.count))
        if self.size > self._window:
            self._source.pause(self)
        else:
            self._source.resume(self)


class Reader(Body):
    """One caller's body of a tape, from the beginning on. Nothing is kept here: what is not read stays on the tape."""

    __slots__ = ("_catching_up", "_tape", "cursor")

    def __init__(self, tape: Tape) -> None:
        super().__init__(self._hold, self._go_on, self._leave)
        self._tape = tape
        self._catching_up = False
        #: The number of the next piece, while it is behind.
        self.cursor = 0

    @property
    def held(self) -> bool:
        """Whether its caller takes nothing now."""
        return bool(self._paused) or self._held is not None

    def feed(self, data: bytes) -> None:
        """Hand one piece to every sink: nothing is held here (the tape's side)."""
        if self.state == OPEN:
            self.size += len(data)
            for sink in self._all:
                sink.feed(data)

    def attach(self, sink: Sink) -> None:
        """Add a sink; the first one gets everything from the beginning, a later one what comes from now on."""
        first = self._held is not None
        super().attach(sink)
        if first:
            self._go_on()

    def _hold(self) -> None:
        self._tape.hold(self)

    def _go_on(self) -> None:
        # A sink that pauses and goes on while it is given a piece must not be given the next one inside.
        if not self._catching_up:
            self._catching_up = True
            try:
                self._tape.catch_up(self)
            finally:
                self._catching_up = False

    def _leave(self) -> None:
        self._tape.leave(self)
        self.fail(ConnectionAbortedError("the stream was given up"))


def _nothing(data: bytes) -> None:
    return None
