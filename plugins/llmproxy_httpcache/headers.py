"""Header fields as a cache reads them: lines of one name joined, and which of them are kept (RFC 9111 §3.1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

#: One header field as it stands on the wire.
RawHeader = tuple[bytes, bytes]

# RFC 9111 §3.1: fields of one hop, of the proxy's own handshake, and the length, which the stored body tells.
_DROPPED: Final = frozenset(
    b"""
    connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization proxy-connection te trailer
    transfer-encoding upgrade content-length
    """.split()
)


class Fields:
    """The fields of one message by name; `raw` are the pairs as they came, `last` their last values."""

    __slots__ = ("_single", "last", "raw")

    def __init__(self, raw: list[RawHeader], last: Mapping[bytes, bytes] | None = None) -> None:
        self.raw = raw
        self.last = {name.lower(): value for name, value in raw} if last is None else last
        self._single = len(self.last) == len(raw)

    def get(self, name: bytes) -> bytes | None:
        """Return the value of `name` (in lower case), its lines joined as one list (RFC 9110 §5.2)."""
        value = self.last.get(name)
        if value is None or self._single:
            return value
        return b", ".join(self.lines(name))

    def lines(self, name: bytes) -> list[bytes]:
        """Return the values of every line of `name`."""
        return [value for field, value in self.raw if field.lower() == name]


def storable(raw: Iterable[RawHeader], left_out: Collection[bytes] = ()) -> list[RawHeader]:
    """Return the fields that a cache keeps of an answer; `left_out` are further names, in lower case."""
    pairs = list(raw)
    gone = {*_DROPPED, *left_out}
    for name, value in pairs:
        if name.lower() == b"connection":
            gone.update(listed.strip().lower() for listed in value.split(b","))
    return [pair for pair in pairs if pair[0].lower() not in gone]
