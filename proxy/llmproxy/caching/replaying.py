"""When the pieces of a stream came, and a kept stream sent at that pace again.

A pace is a few bytes a piece: pairs of numbers, milliseconds since the piece before and bytes in this one, seven bits
a byte, low ones first, the eighth bit saying that more follow. Time begins with the first piece: how long the provider
took to begin is not kept.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Final

from llmproxy.body import Body
from llmproxy.messages import Headers, Reply, StoredReply
from llmproxy.runtime import Clock

#: Pieces that a pace tells apart; of longer streams, those that came shortly after one another are one.
MOST: Final = 4096

#: Seconds that a replay waits between two pieces at most, whatever the provider did.
LONGEST: Final = 10.0

_FORMAT: Final = b"\x01"
_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")

#: When a piece came, in milliseconds since the first, and how many bytes.
_Piece = tuple[int, int]


class BadPace(ValueError):  # what a damaged store gives
    """The bytes tell no pace."""


class Pace:
    """A sink beside a recording that notes when each piece came.

    `now` gives monotonic seconds.
    """

    __slots__ = ("_grain", "_now", "_pieces", "_start")

    def __init__(self, now: Callable[[], float] = Clock.now) -> None:
        self._now = now
        self._start: float | None = None
        self._pieces: list[_Piece] = []
        self._grain = 1

    def feed(self, data: bytes) -> None:
        """Note one piece."""
        now = self._now()
        if self._start is None:
            self._start = now
        came = int((now - self._start) * 1000) // self._grain * self._grain
        pieces = self._pieces
        if pieces and pieces[-1][0] == came:
            pieces[-1] = came, pieces[-1][1] + len(data)
        else:
            pieces.append((came, len(data)))
            if len(pieces) > MOST:
                self._coarsen()

    def end(self) -> None:
        """Note nothing: the end comes with the last piece."""

    def fail(self, error: BaseException) -> None:
        """Note nothing: what broke off is not replayed."""

    def _coarsen(self) -> None:
        """Tell fewer pieces apart."""
        while len(self._pieces) > MOST // 2:
            self._grain *= 2
            merged: dict[int, int] = {}
            for came, size in self._pieces:
                grain = came // self._grain * self._grain
                merged[grain] = merged.get(grain, 0) + size
            self._pieces = [*merged.items()]

    def pack(self) -> bytes:
        """Return the pace as it is kept."""
        out = bytearray(_FORMAT)
        before = 0
        for came, size in self._pieces:
            _write(out, came - before)
            _write(out, size)
            before = came
        return bytes(out)


def replay(stored: StoredReply, pace: bytes, *, speed: float = 1.0, clock: Clock | None = None) -> Reply:
    """Return a stored stream that leaves piece by piece, as it came; `speed` 2 is twice as fast.

    A stream in another form than the one whose pace was noted leaves event by event, as far at each moment as that one
    was. A caller who takes slowly gets the rest as it can be taken; one who leaves ends the replay.

    Raises:
        BadPace: the pace is damaged; `stored.replay()` sends everything at once.
    """
    pieces = list(_read(pace))
    body = bytes(stored.body)
    if sum(size for _, size in pieces) != len(body):
        pieces = list(_fitted(pieces, body))
    headers = Headers(list(stored.headers))
    headers.remove("content-length")
    return Reply(stored.status, headers, Body.pumped(_paced(body, pieces, speed, clock or Clock())))


async def _paced(body: bytes, pieces: list[_Piece], speed: float, clock: Clock) -> AsyncIterator[bytes]:
    due = clock.now()
    before = at = 0
    for came, size in pieces:
        due += min((came - before) / 1000 / speed, LONGEST)
        before = came
        wait = due - clock.now()
        if wait > 0:
            await clock.sleep(wait)
        yield body[at : at + size]
        at += size


def _fitted(pieces: list[_Piece], body: bytes) -> Iterator[_Piece]:
    """Cut another body into its events, each at the moment when the share that ends with it had come."""
    ends = [found.end() for found in _EVENT_END.finditer(body)]
    if not ends or ends[-1] != len(body):
        ends.append(len(body))
    total = sum(size for _, size in pieces)
    reached = list(accumulate(size for _, size in pieces))
    place = 0
    for start, end in pairwise([0, *ends]):
        while place + 1 < len(pieces) and reached[place] * len(body) < end * total:
            place += 1
        yield (pieces[place][0] if pieces else 0), end - start


def _write(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _read(pace: bytes) -> Iterable[_Piece]:
    if pace[:1] != _FORMAT:
        raise BadPace("these bytes tell no pace")
    numbers: list[int] = []
    number = shift = 0
    for byte in pace[1:]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        elif shift > 56:
            raise BadPace("a number of the pace is too large")
    if shift or len(numbers) % 2:
        raise BadPace("the pace is cut short")
    return zip(accumulate(numbers[::2]), numbers[1::2], strict=True)
