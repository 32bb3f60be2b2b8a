"""Reads streams as they pass: first output, usage, the end, from bytes cut anywhere.

Theory of operation. Usage and the reason to end stand in the last event alone. So nothing is parsed: until the first
event with output is whole the words that say so are looked for, and from then on no more than the stream's tail is kept.
Names and keys are looked for with their quotes, which inside a string would be escaped.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy.plugin import Findings, unfinished
from llmproxy_cohere.usage import META, USAGE

#: Bytes kept of a stream's end; its last event needs a tenth.
TAIL: Final = 8 * 1024
#: Bytes of a stream's last line, which repeats the whole answer in the first API.
LONG_TAIL: Final = 1024 * 1024

_OUTPUT: Final = re.compile(rb'"type" ?: ?"(?:content-delta|tool-plan-delta|tool-call-start|citation-start)"')
_OUTPUT_LONGEST: Final = 40
_END: Final = re.compile(rb'"type" ?: ?"message-end"')
_START: Final = re.compile(rb'"type" ?: ?"message-start"')
_FAILED: Final = re.compile(rb'"finish_reason" ?: ?"(?:ERROR|TIMEOUT)"|data: ?\{ ?"(?:message|error)" ?:')

_LINE_OUTPUT: Final = re.compile(
    rb'"event_type" ?: ?"(?:text-generation|tool-calls-\w+|citation-generation)"'
)
_LINE_END: Final = re.compile(rb'"event_type" ?: ?"stream-end"')
_LINE_FAILED: Final = re.compile(rb'"finish_reason" ?: ?"(?:ERROR\w*|TIMEOUT|USER_CANCEL)"')


class StreamTap(Findings):
    """Reads an event stream."""

    __slots__ = ("_carry", "_started")

    def __init__(self) -> None:
        super().__init__()
        self._carry = b""
        self._started = False

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._pieces.append(data)
        self._size += len(data)
        if not self.first_output:
            window = self._carry + data
            self._started = self._started or _START.search(window) is not None
            self.first_output = _OUTPUT.search(window) is not None
            self._carry = window[-_OUTPUT_LONGEST:]
        if self._size > 4 * TAIL:
            self._keep(TAIL)

    def end(self) -> None:
        """Find what the tail tells."""
        self._conclude()
        self.cut = (self._started or self.first_output) and not self.terminal

    def _conclude(self) -> None:
        tail = b"".join(self._pieces)[-TAIL:]
        self._pieces = []
        rest = unfinished(tail)
        tail = tail[: -len(rest)] if rest else tail
        ends = list(_END.finditer(tail))
        last = tail[max(0, tail.rfind(b"\n", 0, ends[-1].start())) :] if ends else tail
        self.usage = USAGE.last(last) if ends else None
        self.failed = _FAILED.search(last) is not None
        self.terminal = bool(ends) or self.failed


class LineTap(Findings):
    """Reads a stream of the first API: JSON in lines, the last of which holds the whole answer."""

    __slots__ = ("_carry",)

    def __init__(self) -> None:
        super().__init__()
        self._carry = b""

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._pieces.append(data)
        self._size += len(data)
        if not self.first_output:
            window = self._carry + data
            self.first_output = _LINE_OUTPUT.search(window) is not None
            self._carry = window[-_OUTPUT_LONGEST:]
        if self._size > 2 * LONG_TAIL:
            self._keep(LONG_TAIL)

    def end(self) -> None:
        """Find what the last line tells."""
        self._conclude()
        self.cut = self.first_output and not self.terminal

    def _conclude(self) -> None:
        tail = b"".join(self._pieces)
        self._pieces = []
        line = tail.rstrip()[tail.rstrip().rfind(b"\n") + 1 :]
        self.terminal = _LINE_END.search(line) is not None and line.endswith(b"}")
        if self.terminal:
            self.usage = META.last(line)
            self.failed = _LINE_FAILED.search(line) is not None
