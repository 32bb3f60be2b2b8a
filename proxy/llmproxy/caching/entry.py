"""A stored reply, as bytes that any store keeps.

The layout is fixed: a header of numbers, the slots of its tags, the owner's own data, the reply's fields as they go
onto the wire, its body. The checksum is over the key too, so a whole entry that a store gives for another key is as
bad as a damaged one. The body of an unpacked entry is a view into the stored value, so a hit copies nothing before it
is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple
from zlib import crc32

from llmproxy.messages import RawHeader
from llmproxy.storedheaders import split_fields

#: Format, checksum; then board, sequence, time stored, status, number of slots, sizes of data, fields and body.
_GUARD: Final = struct.Struct("<4sI")
_HEADER: Final = struct.Struct("<QQQHHIII")
_START: Final = _GUARD.size + _HEADER.size
_FORMAT: Final = b"LPe2"

#: Tags that one entry may have.
MOST_SLOTS: Final = 0xFFFF


class BadEntry(ValueError):  # what a damaged store gives
    """The bytes are no entry, or not the one that was stored."""


class Mark(NamedTuple):
    """When the request behind an answer was sent, as the purge board counts: board and sequence."""

    board: int
    sequence: int


class Entry:
    """A stored reply: what is sent, when it was stored (microseconds since 1970), what it is purged by.

    `fields` are header fields as `wire_fields` makes them, and `StoredHeaders` takes them for a reply. `mark` is what
    `CacheSpace.now` or `mark` gave before the upstream was asked, `slots` what `entry_slots` gives: without both no
    purge would reach it. `meta` are the owner's own bytes. `body` may be a view into the stored value.

    Never changed once made; only its owner may leave what it has read of `meta` in `reading`, for the next time that
    this entry is found.
    """

    __slots__ = ("body", "fields", "mark", "meta", "reading", "slots", "status", "stored")

    reading: object

    def __init__(  # one argument a field
        self,
        status: int,
        fields: bytes,
        body: bytes | memoryview,
        *,
        mark: Mark,
        slots: Iterable[int] = (),
        stored: int = 0,
        meta: bytes = b"",
    ) -> None:
        self.status = status
        #: The header fields as they stand on the wire, each with its line's end.
        self.fields = fields
        self.body = body
        self.mark = mark
        self.slots = tuple(slots)
        self.stored = stored
        self.meta = meta
        self.reading = None

    @property
    def headers(self) -> list[RawHeader]:
        """The header fields, apart."""
        return split_fields(self.fields)

    def pack(self, key: bytes) -> bytes:
        """Return the entry as a store keeps it under a key.

        Raises:
            ValueError: it has more tags than can be written.
        """
        count = len(self.slots)
        if count > MOST_SLOTS:
            raise ValueError(f"an entry has {MOST_SLOTS} tags at most, not {count}")
        rest = b"".join(
            (
                _HEADER.pack(
                    *self.mark,
                    self.stored,
                    self.status,
                    count,
                    len(self.meta),
                    len(self.fields),
                    len(self.body),
                ),
                struct.pack(f"<{count}I", *self.slots),
                self.meta,
                self.fields,
                self.body,
            )
        )
        return _GUARD.pack(_FORMAT, crc32(rest, crc32(key))) + rest

    @classmethod
    def unpack(cls, value: bytes, key: bytes, *, check: bool = True) -> Entry:
        """Read what `pack` wrote for a key; `check` compares the checksum too, which takes 0.3 us a KiB.

        Raises:
            BadEntry: it is something else, damaged, or of another key.
        """
        if len(value) < _START or value[:4] != _FORMAT:
            raise BadEntry("these bytes are no entry")
        board, sequence, stored, status, count, data, fields, body = _HEADER.unpack_from(value, _GUARD.size)
        at = _START + 4 * count
        if len(value) != at + data + fields + body:
            raise BadEntry("the entry is not as long as it says")
        view = memoryview(value)
        if check and crc32(view[_GUARD.size :], crc32(key)) != _GUARD.unpack_from(value)[1]:
            raise BadEntry("the entry is damaged, or another key's")
        entry = cls.__new__(cls)
        entry.status = status
        entry.mark = Mark(board, sequence)
        entry.stored = stored
        entry.reading = None
        entry.slots = struct.unpack_from(f"<{count}I", value, _START)
        entry.meta = value[at : at + data]
        entry.fields = value[at + data : at + data + fields]
        entry.body = view[at + data + fields :]
        return entry

    def __repr__(self) -> str:
        return f"<Entry {self.status} {len(self.body)} bytes>"
