"""Takes the usage event back out of a stream whose caller did not ask for it."""

from __future__ import annotations

import re

import orjson

from llmproxy.plugin import event_data

_EMPTY_CHOICES = re.compile(rb'"choices" ?: ?\[\]')
_EVENT_END = re.compile(rb"\n\r?\n|\r\r")
_MARKS = (b"\n\n", b"\n\r\n", b"\r\r")
# An event longer than this is no usage event; it passes as it comes.
_HOLD = 8 * 1024


class UsageEventFilter:
    """Drops events that have no choices and a usage; every other byte passes as it came.

    A piece of whole events without an empty list, which is nearly all of a stream, is handed on untouched.
    """

    __slots__ = ("_held", "_passing")

    def __init__(self) -> None:
        self._held = b""
        self._passing = False

    def feed(self, data: bytes) -> bytes:
        """Return what may leave: whole events."""
        if not self._held and data.endswith((b"\n\n", b"\n\r\n")) and b"[]" not in data:
            return data
        data = self._held + data
        leaves = b""
        if self._passing:
            leaves, data = self._pass(data)
        whole = _end_of_last_event(data)
        leaves += _without_usage(data[:whole])
        self._held = data[whole:]
        if len(self._held) > _HOLD:
            self._passing = True
        if self._passing:
            more, self._held = self._pass(self._held)
            leaves += more
        return leaves

    def close(self) -> bytes:
        """Return what no blank line ended."""
        held, self._held = self._held, b""
        return b"" if held and _is_usage_only(held) else held

    def _pass(self, data: bytes) -> tuple[bytes, bytes]:
        """Split into what belongs to an event too long to judge, and the rest."""
        end = _EVENT_END.search(data)
        if end is None:
            return data[:-3], data[-3:]
        self._passing = False
        return data[: end.end()], data[end.end() :]


def _end_of_last_event(data: bytes) -> int:
    return max((at + len(mark) for mark in _MARKS if (at := data.rfind(mark)) >= 0), default=0)


def _without_usage(data: bytes) -> bytes:
    parts = []
    start = 0
    for found in _EMPTY_CHOICES.finditer(data):
        if found.start() < start:
            continue
        begin = start + _end_of_last_event(data[start : found.start()])
        # A line break more than needed belongs to no event, wherever the stream was cut.
        while data[begin] in b"\r\n":
            begin += 1
        end = _EVENT_END.search(data, found.end())
        if end is not None and _is_usage_only(data[begin : end.end()]):
            parts.append(data[start:begin])
            start = end.end()
    return b"".join([*parts, data[start:]]) if parts else data


def _is_usage_only(event: bytes) -> bool:
    if len(event) > _HOLD:
        return False
    try:
        message = orjson.loads(event_data(event))
    except orjson.JSONDecodeError:
        return False
    if not isinstance(message, dict) or message.get("error"):
        return False
    return message.get("choices") == [] and isinstance(message.get("usage"), dict)
