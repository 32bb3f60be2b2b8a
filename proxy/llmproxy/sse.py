"""The event-stream codec (WHATWG HTML, section 9.2): frames bytes into events, reads them, writes them."""

import re
from typing import Any

import msgspec
import orjson

_BOM = b"\xef\xbb\xbf"
# A line end and the blank line after it. CRLF is one line end, so a CR of the blank line waits for the byte
# after it, unless the line before ended in a lone CR too: such a stream ends lines in CR, and must not wait.
_END = re.compile(rb"\n(?:\n|\r\n|\r(?=[^\n]))|\r\r")
_BLANK = re.compile(rb"\n|\r\n|\r(?=[^\n])")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DATA_LINE = re.compile(rb"(?:\A|[\r\n])data(?:[:\r\n]|\Z)")
_MAX_RETRY_DIGITS = 18


class EventTooLarge(ValueError):
    """An event, finished or not, is longer than the framer allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event of the stream is longer than {limit} bytes")
        self.limit = limit


class Event(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One block of an event stream: an event, or a comment, or an `id` or `retry` on its own.

    `data` holds the `data` lines joined by LF. `raw` is the block as it was received; it is what `encode()`
    gives back, so make a changed event with `replace()`, which forgets it.
    """

    data: bytes = b""
    event: bytes | None = None
    id: bytes | None = None
    retry: int | None = None
    comment: bytes | None = None
    raw: bytes | None = None

    @property
    def dispatches(self) -> bool:
        """Tell whether a client sees an event: comments and lone `id` or `retry` lines are none."""
        return bool(self.data) or _DATA_LINE.search(self.encode()) is not None

    def json(self) -> Any:
        """Parse `data` as JSON, anew each time, so that the result is the caller's to change."""
        return orjson.loads(self.data)

    def encode(self) -> bytes:
        """Return the block's bytes: as received, or written with LF and one space after each colon."""
        return _write(self) if self.raw is None else self.raw

    def replace(self, **changes: Any) -> "Event":
        """Return a copy with some fields changed, to be written anew."""
        changes.setdefault("raw", None)
        return msgspec.structs.replace(self, **changes)

    def _meaning(self) -> tuple[object, ...]:
        return self.data, self.event, self.id, self.retry, self.comment, self.dispatches

    def __eq__(self, other: object) -> bool:
        return self._meaning() == other._meaning() if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._meaning())


def _write(event: Event) -> bytes:
    lines: list[bytes] = []
    if event.comment is not None:
        lines += [b": " + line for line in _LINE_END.split(event.comment)]
    for name, value in ((b"event: ", event.event), (b"id: ", event.id)):
        if value is not None:
            lines.append(name + _one_line(name, value))
    if event.retry is not None:
        lines.append(b"retry: %d" % event.retry)
    if event.data or (event.comment is None and event.id is None and event.retry is None):
        lines += [b"data: " + line for line in _LINE_END.split(event.data)]
    return b"\n".join(lines) + b"\n\n"


def _one_line(name: bytes, value: bytes) -> bytes:
    if b"\n" in value or b"\r" in value or b"\0" in value:
        raise ValueError(
            f"the '{name[:-2].decode()}' of an event must be one line without NUL, not {value!r}"
        )
    return value


def parse(raw: bytes) -> Event:
    """Read one block, as `Framer` gives it; a block cut short is read as far as it goes."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return Event(raw[6:-2], None, None, None, None, raw)
    data: list[bytes] = []
    comments: list[bytes] = []
    event = last_id = retry = None
    for line in raw.splitlines():
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
        elif name == b"id" and b"\0" not in value:
            last_id = value
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            retry = int(value)
        elif not name and line:
            comments.append(value)
    comment = b"\n".join(comments) if comments else None
    return Event(b"\n".join(data), event, last_id, retry, comment, raw)


class Framer:
    """Cut a stream into blocks, each with the blank line that ends it, byte for byte as received.

    What `feed` returned, joined, and `close()` are together the input, and the cuts do not depend on how it
    arrived. A blank line with nothing before it, and a byte order mark at the start, are blocks of their own.
    """

    __slots__ = ("_at_start", "_max_event", "_rest")

    def __init__(self, *, max_event: int = 1 << 20) -> None:
        self._max_event = max_event
        self._rest = bytearray()
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Return the blocks that `data` completes; raise `EventTooLarge` when one outgrows `max_event`."""
        if self._rest or self._at_start:
            return self._resume(data)
        if (
            0 < data.find(b"\n\n") == len(data) - 2 < self._max_event - 1
            and data[0] != 10
            and b"\r" not in data
        ):
            return [data]
        return self._split(data)

    def close(self) -> bytes:
        """Return what no blank line ended; the standard says to drop it, a proxy passes it on."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _resume(self, data: bytes) -> list[bytes]:
        if self._rest:
            if self._is_still_open(data):
                return self._keep(data, [])
            data = bytes(self._rest) + data
            self._rest.clear()
        if self._at_start:
            if len(data) < 3 and _BOM.startswith(data):
                return self._keep(data, [])
            self._at_start = False
            if data.startswith(_BOM):
                return [_BOM, *self._split(data[3:])]
        return self._split(data)

    def _is_still_open(self, data: bytes) -> bool:
        # Looking at the new bytes alone keeps a large event that arrives in crumbs linear in time.
        return len(self._rest) > 3 and _END.search(bytes(self._rest[-2:]) + data) is None

    def _keep(self, rest: bytes, blocks: list[bytes]) -> list[bytes]:
        self._rest += rest
        if len(self._rest) > self._max_event or any(len(block) > self._max_event for block in blocks):
            self._rest.clear()
            raise EventTooLarge(self._max_event)
        return blocks

    def _split(self, data: bytes) -> list[bytes]:
        if b"\r" not in data:
            separator, thrice = b"\n\n", b"\n\n\n"
        elif data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"):
            separator, thrice = b"\r\n\r\n", b"\r\n\r\n\r\n"
        else:
            return self._split_mixed(data)
        if data.startswith(separator[: len(separator) // 2]) or thrice in data:
            return self._split_mixed(data)
        *blocks, rest = data.split(separator)
        return self._keep(rest, [block + separator for block in blocks])

    def _split_mixed(self, data: bytes) -> list[bytes]:
        blocks = []
        start = 0
        while found := _BLANK.match(data, start) or _END.search(data, start):
            blocks.append(data[start : found.end()])
            start = found.end()
        return self._keep(data[start:], blocks)
