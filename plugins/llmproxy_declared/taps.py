"""Reads declared answers as they pass: first output, usage, the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import orjson

from llmproxy.canonical import (
    BlockStarted,
    Counted,
    Delta,
    Failed,
    Finished,
    StreamEvent,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import Findings, Usage, UsageReader

if TYPE_CHECKING:
    from llmproxy_declared.decoder import Decoder


class StreamTap(Findings):
    """Reads a stream as its decoder does, and keeps what the core asks a tap for."""

    __slots__ = ("_broken", "_decoder")

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder
        self._broken = False

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        self._hear(lambda: self._decoder.feed(data))

    def end(self) -> None:
        """Judge whether the end that came is one."""
        self._hear(self._decoder.close)

    def _hear(self, read: Callable[[], Iterable[StreamEvent]]) -> None:
        if self._broken:
            return
        try:
            for event in read():
                self._take(event)
        except TruncatedStream:
            self._broken = self.cut = True
        except ValueError:  # whoever translates tells of it
            self._broken = True

    def _take(self, event: StreamEvent) -> None:
        kind = type(event)
        if kind is Delta or (isinstance(event, BlockStarted) and isinstance(event.block, ToolCall)):
            self.first_output = True
        elif isinstance(event, Counted):
            self.usage = event.usage
        elif kind is Finished:
            self.terminal = True
        elif kind is Failed:
            self.failed = self.terminal = True


class WholeUsage(UsageReader):
    """Reads the usage of a whole answer by its declared places."""

    __slots__ = ("_usage",)

    def __init__(self, usage: Callable[[Any], Usage | None]) -> None:
        super().__init__("usage", lambda told: None)
        self._usage = usage

    def whole(self, body: bytes) -> tuple[Usage | None, bool]:
        """Return the usage, and that nothing is cut: that is for whoever translates to say."""
        try:
            return self._usage(orjson.loads(body)), False
        except (ValueError, RecursionError):
            return None, False

    def last(self, data: bytes) -> Usage | None:
        """Read nothing in half an answer."""
        return None
