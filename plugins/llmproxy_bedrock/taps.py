"""Reads streamed answers as they pass: first output, usage, the end, from frames cut anywhere.

Frames are told apart by their lengths and the names in their headers; their checksums are for who translates. Of what
they say, usage is parsed. Of a natively invoked model's stream the last chunk is kept, which tells what was used.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import orjson

from llmproxy.plugin import Findings
from llmproxy_bedrock.usage import METRICS, read_usage, usage_of_answer

_LEAST: Final = 16
_MOST: Final = 24 * 1024 * 1024
_PRELUDE: Final = 12
#: A frame that outgrows this is output, whatever it says.
_LONG: Final = 1024 * 1024

#: What stands in a native stream's last chunk: what was used, or that a guardrail stepped in.
_ENDS: Final = (METRICS.encode(), b'"amazon-bedrock-guardrailAction"')
_BEGINNINGS: Final = (b'"message_start"', b'"messageStart"', b'"type":"ping"')


class StreamTap(Findings):
    """Reads an event stream of either kind."""

    __slots__ = ("_begun", "_chunk", "_lost", "_rest")

    def __init__(self) -> None:
        super().__init__()
        self._rest = bytearray()
        self._chunk: bytes | None = None
        self._begun = False
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        if self._lost:
            return
        rest = self._rest
        rest += data
        at = 0
        while len(rest) - at >= _PRELUDE:
            total = int.from_bytes(rest[at : at + 4], "big")
            headers = int.from_bytes(rest[at + 4 : at + 8], "big")
            if not _LEAST + headers <= total <= _MOST:
                self._lost = True
                rest.clear()
                return
            if len(rest) - at < total:
                break
            self._frame(bytes(rest[at : at + total]), _PRELUDE + headers)
            at += total
        del rest[:at]
        if len(rest) > _LONG:
            self.first_output = True

    def end(self) -> None:
        """Find what the last chunk tells; a frame that is not whole, or no end, is an answer that was cut."""
        self._conclude()
        self.cut = self._begun and (bool(self._rest) or not self.terminal)

    def _conclude(self) -> None:
        if self._chunk is None:
            return
        told = _inside(self._chunk)
        self.usage = usage_of_answer(_parsed(told))
        self.terminal = self.terminal or any(mark in told for mark in _ENDS)
        self._chunk = None

    def _frame(self, frame: bytes, start: int) -> None:
        head = frame[_PRELUDE:start]
        self._begun = True
        if b":exception-type" in head or b":error-code" in head:
            self.failed = self.terminal = True
        elif b"contentBlock" in head:
            self.first_output = self.first_output or b"contentBlockStop" not in head
        elif b"messageStop" in head:
            self.terminal = True
        elif b"metadata" in head:
            told = _parsed(frame[start:-4])
            if isinstance(told, dict) and isinstance(told.get("usage"), dict):
                self.usage = read_usage(told["usage"])
        elif b"chunk" in head:
            self._invoked(frame[start:-4])

    def _invoked(self, payload: bytes) -> None:
        self._chunk = payload
        if not self.first_output:
            told = _inside(payload)
            self.first_output = not any(mark in told[:64] for mark in _BEGINNINGS)


def _inside(payload: bytes) -> bytes:
    """Return the model's own words in a chunk."""
    told = _parsed(payload)
    try:
        return base64.b64decode(told["bytes"])
    except (KeyError, TypeError, binascii.Error):
        return b""


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
