"""Reads answers as they pass: first output, usage, the end, from bytes cut anywhere.

Theory of operation. Every chunk of a stream is a whole answer in itself, with the usage so far after its candidates.
Events are parsed only until the first one with output. From then on the tap keeps no more than the stream's tail, in
which the last usage stands, and looks for a reason to end: in a string its quotes would be escaped.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from llmproxy.plugin import Findings, Usage, event_data, unfinished
from llmproxy_gemini.usage import USAGE

#: Bytes kept of a stream's end; a usage object with all its details needs a quarter.
TAIL: Final = 4 * 1024
#: An event that outgrows this is output, whatever it says.
_MAX_EVENT: Final = 1024 * 1024

_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")
# Why an answer ended, why a prompt was not answered; an error in place of a chunk.
_ENDS: Final = (b'"finishReason"', b'"blockReason"')
_FAILED: Final = re.compile(rb'(?:data: ?|[\[,]\s*)\{\s*"error"')
# Where output begins in an array.
_PARTS: Final = re.compile(rb'"parts"\s*:\s*\[\s*\{')
_PARTS_LONGEST: Final = 256
_LONGEST_END: Final = max(map(len, _ENDS)) - 1


class StreamTap(Findings):
    """Reads a stream: events, or with `array` the elements of one JSON array."""

    __slots__ = (
        "_array",
        "_carry",
        "_earlier",
        "_end_at",
        "_event",
        "_searched",
        "_total",
    )

    def __init__(self, *, array: bool = False) -> None:
        super().__init__()
        self._array = array
        self._carry = b""
        self._earlier: Usage | None = None
        self._event = b""
        self._searched = 0
        self._total = self._end_at = 0

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._pieces.append(data)
        self._size += len(data)
        self._total += len(data)
        if not self.first_output:
            self._await_output(data)
        if not self.terminal:
            self._await_end(data)
        if self._size > 2 * TAIL:
            self._trim()

    def end(self) -> None:
        """Find the last usage; an array that was not closed is not whole."""
        tail = self._conclude()
        if self._array:
            self.terminal = self.terminal and tail.rstrip().endswith(b"]")
        self.cut = self.first_output and not self.terminal

    def _conclude(self) -> bytes:
        tail = b"".join(self._pieces)
        self._pieces = []
        self.usage = USAGE.last(tail) or self._earlier
        rest = b"" if self._array else unfinished(tail)
        if rest and self._total - self._end_at <= len(rest):
            self.terminal = False  # the event that says so was cut
        self.failed = _FAILED.search(tail[: len(tail) - len(rest)]) is not None
        self.terminal = self.terminal or self.failed
        return tail

    def _await_end(self, data: bytes) -> None:
        window = self._carry + data
        self.terminal = any(mark in window for mark in _ENDS)
        if self.terminal:
            self._end_at = (
                self._total - len(window) + min(at for mark in _ENDS if (at := window.find(mark)) >= 0)
            )
        self._carry = window[-_LONGEST_END:]

    def _await_output(self, data: bytes) -> None:
        """Parse whole events until one holds output."""
        self._event = data = self._event + data if self._event else data
        if self._array:
            self.first_output = _PARTS.search(data) is not None or len(data) > _MAX_EVENT
            self._event = b"" if self.first_output else data[-_PARTS_LONGEST:]
            return
        start = 0
        while not self.first_output and (end := _BLANK_LINE.search(data, self._searched)):
            self.first_output = _holds_output(data[start : end.end()])
            start = self._searched = end.end()
        self._event = b"" if self.first_output else data[start:]
        self._searched = max(0, len(self._event) - 3)
        if len(self._event) > _MAX_EVENT:
            self.first_output, self._event = True, b""

    def _trim(self) -> None:
        whole = self._keep(TAIL)
        if b'"usageMetadata"' not in self._pieces[0]:
            self._earlier = USAGE.last(whole) or self._earlier


def _holds_output(event: bytes) -> bool:
    try:
        chunk = orjson.loads(event_data(event))
    except orjson.JSONDecodeError:
        return False
    return isinstance(chunk, dict) and has_output(chunk)


def has_output(chunk: dict[str, Any]) -> bool:
    """Say whether a chunk brings something of the answer: text, a thought, a call, media."""
    candidates = chunk.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        content = candidate.get("content") if isinstance(candidate, dict) else None
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and any(part.get(key) for key in part if key != "thought"):
                return True
    return False
