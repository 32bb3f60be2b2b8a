"""The codec of AWS event streams (`application/vnd.amazon.eventstream`), as Bedrock streams its answers.

A message is a prelude (both lengths and their CRC), headers of ten types, a payload, and the CRC of it all. The
layout is that of the Smithy specification, "Amazon Event Stream Specification".
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from zlib import crc32

import msgspec
import orjson

from llmproxy.sse import EventTooLarge

if TYPE_CHECKING:
    from uuid import UUID

#: What a header's value is; `bool` has a type on the wire for each of its two values, `timestamp` is milliseconds.
HeaderKind = Literal["bool", "byte", "short", "integer", "long", "bytes", "string", "timestamp", "uuid"]

#: Bytes of a message that the specification allows.
MOST: Final = 24 * 1024 * 1024

_PRELUDE: Final = Struct(">III")
_WORD: Final = Struct(">I")
_LENGTH: Final = Struct(">H")
# A prelude, no headers, no payload, the last CRC.
_LEAST: Final = 16
_NUMBERS: Final = {
    2: ("byte", Struct(">b")),
    3: ("short", Struct(">h")),
    4: ("integer", Struct(">i")),
    5: ("long", Struct(">q")),
    8: ("timestamp", Struct(">q")),
}
_CODES: Final = {kind: (bytes((code,)), layout) for code, (kind, layout) in _NUMBERS.items()}


class BrokenEventStream(ValueError):
    """The bytes are no event stream: a checksum or a length does not hold, or a header cannot be read."""


class EventHeader(msgspec.Struct, frozen=True, gc=False):
    """One header of a message; `kind` says which of the wire's integers an int is."""

    name: str
    value: bool | int | str | bytes | UUID
    kind: HeaderKind = "string"

    def encode(self) -> bytes:
        """Return the header's bytes.

        Raises:
            ValueError: the name or the value does not fit.
        """
        name = self.name.encode()
        if not 0 < len(name) < 256:
            raise ValueError(f"a header's name is 1 to 255 bytes long, not {len(name)}")
        return bytes((len(name),)) + name + _written(self)


def _written(header: EventHeader) -> bytes:
    value, kind = header.value, header.kind
    if kind == "bool" and isinstance(value, bool):
        return b"\0" if value else b"\1"
    if kind in _CODES and type(value) is int:
        code, layout = _CODES[kind]
        low = -(1 << (layout.size * 8 - 1))
        if not low <= value < -low:
            raise ValueError(f"{header.name!r} does not fit in a {kind}")
        return code + layout.pack(value)
    if kind == "uuid" and not isinstance(value, int | str | bytes):
        return b"\x09" + value.bytes
    if kind == "string" and isinstance(value, str):
        return b"\x07" + _counted(value.encode())
    if kind == "bytes" and isinstance(value, bytes):
        return b"\x06" + _counted(value)
    raise ValueError(f"{header.name!r} is no {kind}")


def _counted(value: bytes) -> bytes:
    if len(value) > 0x7FFF:
        raise ValueError(f"a header's value is at most {0x7FFF} bytes long, not {len(value)}")
    return _LENGTH.pack(len(value)) + value


class EventStreamMessage(msgspec.Struct, frozen=True):
    """One message: what kind it is stands in its headers, what it says in the payload."""

    payload: bytes = b""
    headers: tuple[EventHeader, ...] = ()

    def text(self, name: str) -> str:
        """Return a header's text, or "" where it is missing or is no string."""
        for header in self.headers:
            if header.name == name:
                return header.value if isinstance(header.value, str) else ""
        return ""

    @property
    def message_type(self) -> str:
        """Say whether it is an `event`, an `exception` (modelled) or an `error` (not modelled)."""
        return self.text(":message-type")

    @property
    def event_type(self) -> str:
        """The event's name, such as `contentBlockDelta`."""
        return self.text(":event-type")

    @property
    def exception_type(self) -> str:
        """The exception's name, such as `throttlingException`."""
        return self.text(":exception-type")

    def json(self) -> Any:
        """Parse the payload as JSON, anew each time.

        Raises:
            ValueError: it is none.
        """
        return orjson.loads(self.payload)

    def encode(self) -> bytes:
        """Return the message's bytes, checksums and all.

        Raises:
            ValueError: a header does not fit.
        """
        headers = b"".join([header.encode() for header in self.headers])
        lengths = _PRELUDE.pack(_LEAST + len(headers) + len(self.payload), len(headers), 0)[:8]
        whole = b"".join([lengths, _WORD.pack(crc32(lengths)), headers, self.payload])
        return whole + _WORD.pack(crc32(whole))


class EventStreamDecoder:
    """Cut a stream into messages, however it arrives, and check both of their checksums.

    Once it has refused a stream it refuses all that follows: there is no way back to a message's start.
    """

    __slots__ = ("_fault", "_max_message", "_rest")

    def __init__(self, *, max_message: int = MOST) -> None:
        self._max_message = max_message
        self._rest = bytearray()
        self._fault: ValueError | None = None

    def feed(self, data: bytes) -> list[EventStreamMessage]:
        """Return the messages that `data` completes.

        Raises:
            BrokenEventStream: it is no event stream.
            EventTooLarge: a message says that it will be longer than `max_message`.
        """
        if self._fault is not None:
            raise self._fault
        self._rest += data
        try:
            return self._messages()
        except ValueError as fault:
            self._fault = fault
            self._rest.clear()
            raise

    def close(self) -> bytes:
        """Return what is no whole message: a stream that was not cut off leaves nothing."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _messages(self) -> list[EventStreamMessage]:
        found: list[EventStreamMessage] = []
        rest, start = self._rest, 0
        while len(rest) - start >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(rest, start)
            if crc32(rest[start : start + 8]) != checksum:
                raise BrokenEventStream("the checksum of a message's lengths does not hold")
            if headers > total - _LEAST:
                raise BrokenEventStream("a message is shorter than its headers")
            if total > self._max_message:
                raise EventTooLarge(self._max_message)
            if len(rest) - start < total:
                break
            found.append(_message(bytes(rest[start : start + total]), headers))
            start += total
        del rest[:start]
        return found


def _message(whole: bytes, headers: int) -> EventStreamMessage:
    if crc32(whole[:-4]) != _WORD.unpack_from(whole, len(whole) - 4)[0]:
        raise BrokenEventStream("the checksum of a message does not hold")
    end = _PRELUDE.size + headers
    return EventStreamMessage(whole[end:-4], _headers(whole[_PRELUDE.size : end]))


def _headers(block: bytes) -> tuple[EventHeader, ...]:
    found: dict[str, EventHeader] = {}
    at = 0
    while at < len(block):
        end = at + 1 + block[at]
        try:
            name = _piece(block, at + 1, end).decode()
            code = _piece(block, end, end + 1)[0]
            value, kind, at = _READERS[code](block, end + 1)
        except (UnicodeDecodeError, KeyError):
            raise BrokenEventStream("a header of a message cannot be read") from None
        if name in found or not name:
            raise BrokenEventStream("a header of a message stands there twice, or has no name")
        found[name] = EventHeader(name, value, kind)
    return tuple(found.values())


def _piece(block: bytes, start: int, end: int) -> bytes:
    if end > len(block):
        raise BrokenEventStream("a header of a message is cut off")
    return block[start:end]


_Read = tuple[Any, HeaderKind, int]
_Reader = Callable[[bytes, int], _Read]


def _constant(value: bool) -> _Reader:
    return lambda block, at: (value, "bool", at)


def _number(kind: HeaderKind, layout: Struct) -> _Reader:
    def read(block: bytes, at: int) -> _Read:
        end = at + layout.size
        return layout.unpack(_piece(block, at, end))[0], kind, end

    return read


def _long_value(block: bytes, at: int) -> tuple[bytes, int]:
    start = at + _LENGTH.size
    end = start + int(_LENGTH.unpack(_piece(block, at, start))[0])
    return _piece(block, start, end), end


def _bytes(block: bytes, at: int) -> _Read:
    value, end = _long_value(block, at)
    return value, "bytes", end


def _string(block: bytes, at: int) -> _Read:
    value, end = _long_value(block, at)
    return value.decode(), "string", end


def _uuid(block: bytes, at: int) -> _Read:
    from uuid import UUID  # noqa: PLC0415  # no provider sends one, so no start waits for it

    return UUID(bytes=_piece(block, at, at + 16)), "uuid", at + 16


_KINDS: Final[dict[str, HeaderKind]] = {kind: kind for kind in get_args(HeaderKind)}
_READERS: Final[dict[int, _Reader]] = {
    0: _constant(True),
    1: _constant(False),
    6: _bytes,
    7: _string,
    9: _uuid,
} | {code: _number(_KINDS[kind], layout) for code, (kind, layout) in _NUMBERS.items()}
