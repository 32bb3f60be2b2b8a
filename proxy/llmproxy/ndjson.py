"""Newline-delimited JSON, as Ollama streams its answers: bytes framed into lines."""

from __future__ import annotations

from llmproxy.sse import EventTooLarge


class LineFramer:
    """Cut a stream into lines, without their line ends (LF or CRLF); blank lines are left out.

    The lines do not depend on how the stream arrived. JSON holds no line end inside a value, so each is whole.
    """

    __slots__ = ("_max_line", "_rest")

    def __init__(self, *, max_line: int = 1 << 20) -> None:
        self._max_line = max_line
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes; raise `EventTooLarge` when one outgrows `max_line`."""
        if b"\n" not in data:
            return self._keep(data, [])
        first, *lines = data.split(b"\n")
        if self._rest:
            first = bytes(self._rest) + first
            self._rest.clear()
        rest = lines.pop()
        return self._keep(rest, [line for whole in (first, *lines) if (line := whole.removesuffix(b"\r"))])

    def close(self) -> bytes:
        """Return what no line end ended: a last line where its end was forgotten, or one that was cut off."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _keep(self, rest: bytes, lines: list[bytes]) -> list[bytes]:
        self._rest += rest
        if len(self._rest) > self._max_line or any(len(line) > self._max_line for line in lines):
            self._rest.clear()
            raise EventTooLarge(self._max_line)
        return lines
