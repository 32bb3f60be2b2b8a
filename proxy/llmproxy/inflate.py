"""An incrementally decoded, bounded copy of a compressed body, for those who must read it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from llmproxy.body import Sink

#: How much decoded output one reader may see; beyond that it learns no more (a bomb costs this and nothing else).
DECODE_LIMIT = 64 * 1024 * 1024
_STEP = 256 * 1024

#: How many times larger than its bytes an answer may grow, once it is this large: text grows some 20 times at most, and
#: to look through the 1,000 times that a bomb may grow would hold everybody else up.
MOST_GROWTH = 100
_SMALL = 1024 * 1024

#: zlib's window bits for the codings of RFC 9110 §8.4.1.
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}


class _Decoder:
    """Decodes in bounded steps, one gzip member after the other (RFC 1952 §2.2)."""

    __slots__ = ("_grown", "_taken", "_window", "_zlib")

    def __init__(self, window: int) -> None:
        self._window = window
        self._zlib: Any = zlib.decompressobj(window)
        self._taken = self._grown = 0

    @classmethod
    def of(cls, coding: bytes) -> _Decoder | None:
        window = _WINDOWS.get(coding.strip().lower())
        return cls(window) if window is not None else None

    @property
    def whole(self) -> bool:
        return bool(self._zlib.eof)

    def steps(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        while True:
            plain = self._zlib.decompress(data, _STEP)
            self._grown += len(plain)
            left = len(self._zlib.unconsumed_tail) + len(self._zlib.unused_data)
            if self._grown > _SMALL and self._grown > MOST_GROWTH * (self._taken - left):
                raise zlib.error("the answer grows out of all proportion")
            if plain:
                yield plain
            if self._zlib.eof:
                data = self._zlib.unused_data
                if data[:1] != b"\x1f":
                    return
                self._zlib = zlib.decompressobj(self._window)
                continue
            data = self._zlib.unconsumed_tail
            # A full step may have left output inside the decoder though it has taken all its input.
            if not data and len(plain) < _STEP:
                return


class Inflate:
    """A byte machine that decodes a whole stream; raises ValueError for a coding or bytes it cannot read."""

    __slots__ = ("_decoder",)

    def __init__(self, coding: bytes) -> None:
        self._decoder = _Decoder.of(coding)

    def feed(self, data: bytes) -> bytes:
        """Return what these bytes decode to."""
        if self._decoder is None:
            raise ValueError("the upstream's content coding cannot be read")
        plain: list[bytes] = []
        left = DECODE_LIMIT
        try:
            for piece in self._decoder.steps(data):
                left -= len(piece)
                if left < 0:
                    raise ValueError("the upstream's compressed answer grows too large")
                plain.append(piece)
        except zlib.error as fault:
            raise ValueError("the upstream's compressed answer is broken") from fault
        return b"".join(plain)

    def close(self) -> bytes:
        """Return nothing more; raise ValueError if the stream is not whole."""
        if self._decoder is None or not self._decoder.whole:
            raise ValueError("the upstream's compressed answer is not whole")
        return b""


class Inflated:
    """A sink that decodes what it is fed into another; a coding that it does not know leaves that one unfed.

    `blinded(broken)` is called when no more will be decoded; `broken` if nobody else could decode it either.
    """

    __slots__ = ("_blinded", "_decoder", "_left", "_sink")

    def __init__(self, sink: Sink, coding: bytes, blinded: Callable[[bool], None] | None = None) -> None:
        self._decoder = _Decoder.of(coding)
        self._sink = sink
        self._left = DECODE_LIMIT
        self._blinded = blinded
        if self._decoder is None:
            self._stop(broken=False)

    def feed(self, data: bytes) -> None:
        """Decode one piece in bounded steps; what cannot be decoded ends the copy there."""
        if self._decoder is None:
            return
        try:
            for plain in self._decoder.steps(data):
                self._sink.feed(plain[: self._left])
                self._left -= len(plain)
                if self._left <= 0:
                    self._stop(broken=False)
                    return
        except zlib.error:
            self._stop(broken=True)

    def _stop(self, *, broken: bool) -> None:
        self._decoder = None
        if self._blinded is not None:
            self._blinded(broken)

    def end(self) -> None:
        """Pass the end on."""
        self._sink.end()

    def fail(self, error: BaseException) -> None:
        """Pass the failure on."""
        self._sink.fail(error)
