"""The header fields of a stored reply, as they stand on the wire: written again without being taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from llmproxy.messages import HOP_BY_HOP, Headers, RawHeader, Spellings

#: Indexes of stored fields, by these fields: they repeat, and what is asked of them is whether a name is there.
_MOST: Final = 2048
_LONGEST: Final = 4096
_indexes: dict[bytes, dict[bytes, bytes]] = {}

_passes: Final = Spellings(HOP_BY_HOP | {b"content-length"})


class StoredHeaders(Headers):
    """Headers kept as bytes, with a few added to them; taken apart only for who changes or lists them."""

    __slots__ = ("_added", "_stored", "wire")

    #: What is written as it is; None once something was changed.
    wire: bytes | None

    def __init__(self, fields: bytes, added: Sequence[RawHeader] | bytes = ()) -> None:
        """Take fields that `wire_fields` made, and such as were written for this reply, if need be as they are sent."""
        self._stored = fields
        if not isinstance(added, bytes):
            added = b"".join([b"%b: %b\r\n" % pair for pair in added])
        self._added = added
        self.wire = fields + added

    def __getattr__(self, name: str) -> Any:
        if name == "raw":
            self.raw = raw = split_fields(self._stored + self._added)
            return raw
        if name != "index":
            raise AttributeError(name)
        index = _index_of(self._stored)
        if self._added:
            index = {**index, **{name.lower(): value for name, value in split_fields(self._added)}}
        self.index = index
        return index

    def has(self, name: bytes) -> bool:
        """Whether there is a field of this name, which is in lower case."""
        if self.wire is None:
            return name in self.index
        # What was added is looked through as it stands: an index of it takes longer than all that is asked of a hit.
        return name in _index_of(self._stored) or b"\n%b:" % name in b"\n" + self._added.lower()

    def _change(self) -> None:
        if self.wire is not None:
            _ = self.raw
            self.index = dict(self.index)
            self.wire = None

    def add(self, name: str | bytes, value: str | bytes) -> None:
        """Append a field."""
        self._change()
        super().add(name, value)

    def set(self, name: str | bytes, value: str | bytes) -> None:
        """Replace every field of this name by one."""
        self._change()
        super().set(name, value)

    def remove(self, name: str | bytes) -> None:
        """Drop every field of this name."""
        self._change()
        super().remove(name)


def _index_of(fields: bytes) -> dict[bytes, bytes]:
    index = _indexes.get(fields)
    if index is None:
        index = {name.lower(): value for name, value in split_fields(fields)}
        if len(_indexes) < _MOST and len(fields) <= _LONGEST:
            _indexes[fields] = index
    return index


def wire_fields(headers: Iterable[RawHeader]) -> bytes:
    """Return header fields as they are stored: those of one hop left out, and what tells the body's length."""
    pairs = list(headers)
    listed = {
        each.strip().lower()
        for name, value in pairs
        if name.lower() == b"connection"
        for each in value.split(b",")
    }
    return b"".join(
        [b"%b: %b\r\n" % pair for pair in pairs if _passes[pair[0]] and pair[0].lower() not in listed]
    )


def split_fields(fields: bytes) -> list[RawHeader]:
    """Take stored fields apart."""
    lines = [line.partition(b": ") for line in fields.split(b"\r\n")]
    return [(name, value) for name, _, value in lines if name]
