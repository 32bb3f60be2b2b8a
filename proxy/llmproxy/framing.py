"""Length-prefixed msgpack messages on a byte stream: what workers and supervisor say to each other."""

from __future__ import annotations

import struct
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

LIMIT = 16 * 1024 * 1024

_LENGTH = struct.Struct("!I")
_encoder = msgspec.msgpack.Encoder()


class BadFrame(Exception):  # the peer's mistake, told by what it is
    """The other side sent what is no message of ours, or one longer than the limit."""


def encode_frame(message: msgspec.Struct, limit: int = LIMIT) -> bytes:
    """Return `message` behind its length; refuse one whose body is longer than `limit` bytes."""
    frame = bytearray(_LENGTH.size)
    _encoder.encode_into(message, frame, _LENGTH.size)
    length = len(frame) - _LENGTH.size
    if length > limit:
        raise ValueError(f"a message of {length} bytes is longer than the {limit} that may be sent")
    _LENGTH.pack_into(frame, 0, length)
    return bytes(frame)


class FrameDecoder(Generic[T]):
    """Cut a byte stream into messages, wherever it was split on its way."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T], limit: int = LIMIT) -> None:
        self._decoder = decoder
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[T]:
        """Return the messages that `data` completes; raise `BadFrame` if it cannot be one."""
        self._buffer += data
        messages: list[T] = []
        start = 0
        while (end := self._end(start)) is not None:
            messages.append(self._decode(start + _LENGTH.size, end))
            start = end
        del self._buffer[:start]
        return messages

    def _end(self, start: int) -> int | None:
        if len(self._buffer) - start < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > self._limit:
            raise BadFrame(f"a message of {length} bytes is longer than the {self._limit} allowed")
        end = start + _LENGTH.size + int(length)
        return end if end <= len(self._buffer) else None

    def _decode(self, start: int, end: int) -> T:
        try:
            with memoryview(self._buffer) as view:
                return self._decoder.decode(view[start:end])
        except msgspec.MsgspecError as error:
            raise BadFrame("the message is not one of ours") from error
