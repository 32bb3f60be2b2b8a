"""Reads streams as they pass: first output, usage, the end, from bytes cut anywhere.

Theory of operation. Each line is an object; the last one says `done` and tells the counts. Lines are parsed only until
the first one with output. From then on no more is kept than the last piece that held a line's end, and what stands
behind it; the line that ends the stream is found and parsed once, at its end.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import Findings
from llmproxy_ollama.usage import read_usage

#: A line that outgrows this is output, whatever it says.
_MAX_LINE: Final = 1024 * 1024
#: Bytes kept of a line that does not end: the last one repeats the prompt as tokens, of a whole window.
_MOST: Final = 16 * 1024 * 1024


class LineTap(Findings):
    """Reads a stream of lines."""

    __slots__ = ("_begun", "_last")

    def __init__(self) -> None:
        super().__init__()
        self._begun = b""
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        if not self.first_output:
            self._await_output(data)
        end = data.rfind(b"\n") + 1
        if not end:
            self._hold(data)
            return
        line = data[:end]
        if line.strip():
            self._last = b"".join([*self._pieces, line]) if self._pieces else line
        elif self._pieces:
            self._last = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if end < len(data):
            self._hold(data[end:])

    def end(self) -> None:
        """Find what the last line tells; one without a line's end is whole if it can be read."""
        self._conclude()
        self.cut = self.first_output and not self.terminal

    def _conclude(self) -> None:
        rest = b"".join(self._pieces)
        last = rest if rest.strip() else self._last
        self._pieces, self._last = [], b""
        told = _object(last.rstrip().rpartition(b"\n")[2])
        if told is None:
            return
        self.first_output = self.first_output or has_output(told)
        self.usage = read_usage(told)
        self.failed = bool(told.get("error"))
        self.terminal = self.failed or told.get("done") is True

    def _hold(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= _MOST:
            self._pieces.append(data)
        else:
            self._pieces = [b"?"]  # nothing that could be read

    def _await_output(self, data: bytes) -> None:
        """Parse whole lines until one holds output."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        self.first_output = any(map(_holds_output, lines)) or len(self._begun) > _MAX_LINE
        if self.first_output:
            self._begun = b""


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None


def _holds_output(line: bytes) -> bool:
    told = _object(line)
    return told is not None and has_output(told)


def has_output(told: dict[str, Any]) -> bool:
    """Say whether a line brings something of the answer: text, a thought, a call, a picture."""
    message = told.get("message")
    if isinstance(message, dict) and any(value for key, value in message.items() if key != "role"):
        return True
    return any(told.get(key) for key in ("response", "thinking", "image"))
