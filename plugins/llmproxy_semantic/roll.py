"""Which rows a partition has, in a store that others share: a list that only grows, known to all who read its head.

Theory of operation. The head of a list holds its newest names, at most a page of them; once they are a page, they go
under a key of their own and the head begins another. A name is added by putting a new head in place of the one that was
read, in one step, so none is lost. Who has read so many names reads the head, and the pages between: nothing has to be
sent around, and nothing can be missed. A list that was lost and begun anew is known by its number.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from secrets import randbits
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from llmproxy.plugin import Store

#: Bytes of a name, names of a page, pages that are read (who comes late learns the newest 100,000), names in one go.
NAME: Final = 16
PAGE: Final = 128
MOST_PAGES: Final = 800
BATCH: Final = 32

_HEAD: Final = struct.Struct("<4sQId")
_FORMAT: Final = b"LPr1"
_TRIES: Final = 16
_AT_ONCE: Final = 8


class BadRoll(ValueError):
    """The bytes are no head, or no page."""


class Contended(Exception):
    """Too many others added at the same time."""


class Seen(NamedTuple):
    """How far a list was read: its number, and how many names."""

    number: int
    length: int


class Head(NamedTuple):
    """The newest names of a list, the number of full pages before them, and when it ends (seconds since 1970)."""

    number: int
    pages: int
    until: float
    names: bytes

    @property
    def seen(self) -> Seen:
        """How far one is who has read all of it."""
        return Seen(self.number, self.pages * PAGE + len(self.names) // NAME)

    def pack(self) -> bytes:
        """Return it as a store keeps it."""
        return _HEAD.pack(_FORMAT, self.number, self.pages, self.until) + self.names

    @classmethod
    def unpack(cls, value: bytes) -> Head:
        """Read what `pack` wrote.

        Raises:
            BadRoll: it is something else.
        """
        names = bytes(value[_HEAD.size :])
        if len(value) < _HEAD.size or value[:4] != _FORMAT or len(names) % NAME or len(names) > PAGE * NAME:
            raise BadRoll("these bytes are no list of rows")
        _, number, pages, until = _HEAD.unpack_from(value)
        return cls(number, pages, until, names)


class Roll:
    """The list under one key of a store."""

    def __init__(self, store: Store, key: bytes, wall: Callable[[], float]) -> None:
        self._store = store
        self._key = key
        self._wall = wall

    async def add(self, name: bytes, ttl: float) -> tuple[Seen | None, Seen]:
        """Add a name, and keep the list for `ttl` seconds at least; return how far the list went before, and goes now.

        Raises:
            Contended: it was not added.
            StoreAway: it may not have been.
        """
        for _ in range(_TRIES):
            now = self._wall()
            held = await self._store.get(self._key)
            before = None if held is None else _readable(held)
            after = Head(randbits(63), 0, now + ttl, name)
            if before is not None:
                after = await self._after(before, name, max(before.until, now + ttl))
            if await self._put(held, after, after.until - now):
                return None if before is None else before.seen, after.seen
        raise Contended("the list of rows changed too often meanwhile")

    async def head(self) -> Head | None:
        """Return the head, None if there is no list.

        Raises:
            BadRoll: it is damaged.
            StoreAway: it cannot be read.
        """
        value = await self._store.get(self._key)
        return None if value is None else Head.unpack(value)

    async def news(self, head: Head, seen: Seen | None) -> AsyncGenerator[list[bytes]]:
        """Give the names that a list has since, the newest first, each once, so many at a time.

        What came before a page that is gone is gone with it.

        Raises:
            StoreAway: a page cannot be read.
        """
        count = seen.length if seen is not None and seen.number == head.number else 0
        told: set[bytes] = set()
        async for first, names in self._pages(head, max(count // PAGE, head.pages - MOST_PAGES)):
            since = range(max(0, count - first) * NAME, len(names), NAME)
            newest = dict.fromkeys(names[at : at + NAME] for at in reversed(since))
            fresh = [name for name in newest if name not in told]
            told.update(fresh)
            for at in range(0, len(fresh), BATCH):
                yield fresh[at : at + BATCH]

    async def _after(self, head: Head, name: bytes, until: float) -> Head:
        """Return the head with one more name; a full page goes where all who add write the same one."""
        if len(head.names) < PAGE * NAME:
            return Head(head.number, head.pages, until, head.names + name)
        await self._store.set(self._page(head, head.pages), head.names, until - self._wall())
        return Head(head.number, head.pages + 1, until, name)

    async def _put(self, held: bytes | None, head: Head, ttl: float) -> bool:
        if held is not None:
            return await self._store.swap(self._key, held, head.pack(), ttl)
        try:
            return await self._store.add(self._key, head.pack(), ttl)
        except ValueError:  # somebody else began it
            return False

    async def _pages(self, head: Head, first: int) -> AsyncIterator[tuple[int, bytes]]:
        """Give the names of the head, then of each page before it down to one, and how many are before them."""
        yield head.pages * PAGE, head.names
        for end in range(head.pages, first, -_AT_ONCE):
            numbers = range(end - 1, max(first, end - _AT_ONCE) - 1, -1)
            pages = await self._store.multi_get([self._page(head, number) for number in numbers])
            for number, page in zip(numbers, pages, strict=True):
                if page is None or len(page) != PAGE * NAME:
                    return
                yield number * PAGE, bytes(page)

    def _page(self, head: Head, at: int) -> bytes:
        return b"%b%b" % (self._key, struct.pack("<QI", head.number, at))


def _readable(value: bytes) -> Head | None:
    """Return a head, None for what another takes the place of."""
    try:
        return Head.unpack(value)
    except BadRoll:
        return None
