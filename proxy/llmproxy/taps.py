"""What the dialects' taps have in common: a whole answer's tap, usage found by its key, the data of an event."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

if TYPE_CHECKING:
    from llmproxy.exchange import Usage

#: Bytes kept of a whole JSON answer's end, if it is longer.
LONG_TAIL: Final = 1024 * 1024
_TWO_TAILS: Final = 2 * LONG_TAIL
#: The longest usage object that is read out of a text around it.
_MAX_OBJECT: Final = 16 * 1024
_BLANKS: Final = (b"\n\n", b"\n\r\n", b"\r\r")
#: Bytes of the longest name of a member that is counted, with its quotes and blanks.
_LONGEST_NAME: Final = 64
#: What the decoder calls a text that ends too early.
_TRUNCATED: Final = "Input data was truncated"


class UsageReader:
    """Finds the object that tells usage, by its key, and has its dialect read it.

    In a text that may be cut anywhere the key is looked for with its quotes, which inside a string would be escaped.
    """

    __slots__ = ("_decoder", "_key", "_mark", "_read")

    def __init__(self, key: str, read: Callable[[dict[str, Any]], Usage | None]) -> None:
        envelope = msgspec.defstruct(
            "Envelope", [("usage", dict[str, Any] | None, None)], rename={"usage": key}, gc=False
        )
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope)
        self._key = orjson.dumps(key)
        self._mark = re.compile(re.escape(self._key) + rb"[ \t\r\n]*:[ \t\r\n]*\{")
        self._read = read

    def of_body(self, body: bytes) -> Usage | None:
        """Read the usage of a whole JSON answer: its own member, none of what stands inside others."""
        return self.whole(body)[0]

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage likewise, and whether the text ends in the middle of an object or list."""
        try:
            told = self._decoder.decode(body).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            return None, bool(body) and str(fault) == _TRUNCATED
        return (None if told is None else self._read(told)), False

    def last(self, data: bytes) -> Usage | None:
        """Read the last usage in a piece of JSON text, or of a stream of it, that may be cut anywhere."""
        for told in self.objects(data):
            usage = self._read(told)
            if usage is not None:
                return usage
        return None

    def objects(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the whole usage objects in such a piece, the last one first."""
        at = len(data)
        while (at := data.rfind(self._key, 0, at)) >= 0:
            told = self._object(data, at)
            if told is not None:
                yield told

    def first_object(self, data: bytes) -> dict[str, Any] | None:
        """Return what the first usage in such a piece holds, if it is an object and whole."""
        at = data.find(self._key)
        return None if at < 0 else self._object(data, at)

    def _object(self, data: bytes, at: int) -> dict[str, Any] | None:
        """Parse the object behind the key at `at`; its strings hold no braces, or it is not read."""
        mark = self._mark.match(data, at)
        if mark is None:
            return None
        end = start = mark.end() - 1
        limit = start + _MAX_OBJECT
        while (end := data.find(b"}", end, limit) + 1) > 0:
            if data.count(b"{", start, end) == data.count(b"}", start, end):
                try:
                    value = orjson.loads(data[start:end])
                except orjson.JSONDecodeError:
                    return None
                return value if isinstance(value, dict) else None
        return None


class Findings:
    """What a tap of a stream has found: a dialect's tap adds `feed`, `end` and how it concludes from what it kept."""

    __slots__ = ("_pieces", "_size", "cut", "failed", "first_output", "terminal", "usage")

    def __init__(self) -> None:
        self.first_output = False
        self.terminal = False
        self.cut = False
        #: Whether the provider ended it with an error.
        self.failed = False
        self.usage: Usage | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    def fail(self, error: BaseException) -> None:
        """Find what there is: usage may have come before the break."""
        self._conclude()

    def _conclude(self) -> object:
        """Read what was kept; nothing more comes."""

    def _keep(self, tail: int) -> bytes:
        """Keep no more than the last `tail` bytes; return all that was kept so far."""
        whole = b"".join(self._pieces)
        self._pieces = [whole[-tail:]]
        self._size = len(self._pieces[0])
        return whole


class WholeTap:
    """Reads a whole JSON answer: any byte of it is output, its end is the end, and there it tells usage."""

    __slots__ = ("_pieces", "_reader", "_size", "cut", "first_output", "terminal", "usage")

    #: An error is not looked for in a whole answer.
    failed = False

    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader
        self._pieces: list[bytes] = []
        self._size = 0
        self.first_output = False
        self.terminal = False
        self.cut = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> None:
        """Keep one piece; of a long answer, the tail."""
        self.first_output = True
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _TWO_TAILS:
            self._pieces = [b"".join(self._pieces)[-LONG_TAIL:]]
            self._size = LONG_TAIL + 1

    def end(self) -> None:
        """Look for usage."""
        self.terminal = True
        body = b"".join(self._pieces)  # of one piece, that very piece
        self._pieces = []
        if self._size <= LONG_TAIL:
            self.usage, self.cut = self._reader.whole(body)
        else:
            self.usage = self._reader.last(body[-LONG_TAIL:])

    def fail(self, error: BaseException) -> None:
        """Forget what came: half an answer tells no usage."""
        self._pieces = []


class CountingTap(WholeTap):
    """Reads a whole JSON answer that may tell no usage: then what is counted are the members of some names in it.

    Their names may be cut anywhere; inside a string their quotes would be escaped.
    """

    __slots__ = ("_carry", "_count", "_name")

    def __init__(self, reader: UsageReader, *names: str) -> None:
        super().__init__(reader)
        self._name = re.compile(b"|".join(b'"%b"[ \t\r\n]*:' % re.escape(name.encode()) for name in names))
        self._carry = b""
        self._count = 0

    def feed(self, data: bytes) -> None:
        """Keep one piece, and count what it holds."""
        super().feed(data)
        window = self._carry + data
        end = 0
        for found in self._name.finditer(window):
            self._count += 1
            end = found.end()
        self._carry = window[max(end, len(window) - _LONGEST_NAME) :]

    def end(self) -> None:
        """Look for usage."""
        super().end()
        if self.usage is None and self._count:
            from llmproxy.usage import Usage  # noqa: PLC0415  # plugins import this module

            self.usage = Usage(units=self._count)


def unfinished(tail: bytes) -> bytes:
    """Return what stands behind a stream's last whole event: one that was cut, which no reader sees (WHATWG HTML, 9.2).

    `[DONE]` counts without the blank line behind it: its readers look for the line.
    """
    if tail.endswith(_BLANKS):
        return b""
    rest = tail[_behind_last_blank(tail) :]
    return b"" if event_data(rest).strip() in (b"", b"[DONE]") else rest


def _behind_last_blank(tail: bytes) -> int:
    return max(found + len(blank) if (found := tail.rfind(blank)) >= 0 else 0 for blank in _BLANKS)


def event_data(event: bytes) -> bytes:
    """Return the data of one server-sent event, its lines joined; a space may stand before each."""
    if event.startswith(b"data: ") and event.find(b"\n") >= len(event) - 2:
        return event[6:]
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:] for line in lines)
