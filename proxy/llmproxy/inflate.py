"""An incrementally decoded, bounded copy of a compressed body, for those who must read it."""

from __future__ import annotations

import zlib
from typing import Any

from llmproxy.body import Sink

#: How much decoded output one reader may see; beyond that it learns no more (a bomb costs this and nothing else).
DECODE_LIMIT = 64 * 1024 * 1024
_STEP = 256 * 1024

#: zlib's window bits for the codings of RFC 9110 §8.4.1.
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}


class Inflate:
    """A byte machine that decodes a whole stream; raises ValueError for a coding or bytes it cannot read."""

    __slots__ = ("_decoder",)

    def __init__(self, coding: bytes) -> None:
        window = _WINDOWS.get(coding.strip().lower())
        self._decoder: Any = zlib.decompressobj(window) if window else None

    def feed(self, data: bytes) -> bytes:
        """Return what these bytes decode to."""
        if self._decoder is None:
            raise ValueError("the upstream's content coding cannot be read")
        try:
            plain: bytes = self._decoder.decompress(data)
        except zlib.error as fault:
            raise ValueError("the upstream's compressed answer is broken") from fault
        return plain

    def close(self) -> bytes:
        """Return the rest; raise ValueError if the stream is not whole."""
        if self._decoder is None or not self._decoder.eof:
            raise ValueError("the upstream's compressed answer is not whole")
        rest: bytes = self._decoder.flush()
        return rest


class Inflated:
    """A sink that decodes what it is fed into another; a coding that it does not know leaves that one unfed."""

    __slots__ = ("_decoder", "_left", "_sink")

    def __init__(self, sink: Sink, coding: bytes) -> None:
        window = _WINDOWS.get(coding.strip().lower())
        self._decoder: Any = zlib.decompressobj(window) if window else None
        self._sink = sink
        self._left = DECODE_LIMIT

    def feed(self, data: bytes) -> None:
        """Decode one piece in bounded steps."""
        while data and self._decoder is not None:
            try:
                plain = self._decoder.decompress(data, min(_STEP, self._left))
            except zlib.error:
                self._decoder = None
                return
            data = self._decoder.unconsumed_tail
            self._left -= len(plain)
            if plain:
                self._sink.feed(plain)
            if self._left <= 0 or self._decoder.eof:
                self._decoder = None

    def end(self) -> None:
        """Pass the end on."""
        self._sink.end()

    def fail(self, error: BaseException) -> None:
        """Pass the failure on."""
        self._sink.fail(error)
