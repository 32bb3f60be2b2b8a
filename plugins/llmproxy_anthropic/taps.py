"""Reads answers as they pass: first output, usage, the end marker, from bytes cut anywhere.

Theory of operation. Usage is told twice: in the first event, and as it has grown in the last but one. So a stream's
head is kept until its first output, and from then on no more than its tail; nothing is parsed in between. Names of
events and keys are looked for with their quotes, which inside a string would be escaped.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.plugin import Findings, unfinished
from llmproxy_anthropic.usage import USAGE, read_usage

#: Bytes kept of a stream's end: `message_delta` with its usage, container and edits needs less than half.
TAIL: Final = 16 * 1024
#: Bytes kept of a head without any output.
LONG_TAIL: Final = 1024 * 1024

_OUTPUT: Final = re.compile(
    rb'"type" ?: ?"content_block_delta"|"content_block" ?: ?\{ ?"type" ?: ?"(?!text"|thinking")[a-z0-9_]+"'
)
_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")
_OUTPUT_LONGEST: Final = 160
_END: Final = re.compile(rb'"type" ?: ?"message_stop"')
_FAILED: Final = re.compile(rb'data: ?\{ ?"type" ?: ?"error"')


class StreamTap(Findings):
    """Reads an event stream."""

    __slots__ = ("_carry", "_started")

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, Any] | None = None
        self._carry = b""

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._pieces.append(data)
        self._size += len(data)
        if not self.first_output:
            self._await_output(data)
        elif self._size > 4 * TAIL:
            self._keep(TAIL)

    def end(self) -> None:
        """Find what head and tail tell."""
        self._conclude()
        self.cut = self._started is not None and not self.terminal

    def _conclude(self) -> None:
        rest = b"".join(self._pieces)
        self._pieces = []
        if not self.first_output:
            self._started = USAGE.first_object(rest)
        tail = rest[-TAIL:]
        cut = unfinished(tail)
        tail = tail[: -len(cut)] if cut else tail
        self.usage = read_usage(self._started, next(USAGE.objects(tail), None))
        self.failed = _FAILED.search(tail) is not None
        self.terminal = self.failed or _END.search(tail) is not None

    def _await_output(self, data: bytes) -> None:
        window = self._carry + data
        found = _OUTPUT.search(window)
        begun = found is not None and _BLANK_LINE.search(window, found.end()) is not None
        self.first_output = begun or self._size > LONG_TAIL
        if self.first_output:
            head = b"".join(self._pieces)
            self._started, self._carry = USAGE.first_object(head), b""
        else:
            self._carry = window[-_OUTPUT_LONGEST:] if found is None else window[found.start() :]
