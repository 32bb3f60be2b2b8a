"""A streamed message as Bedrock sends it: each event in a frame of an AWS event stream, in base64."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.plugin import (
    EventHeader,
    EventStreamDecoder,
    EventStreamMessage,
    Framer,
    GatewayError,
    StreamEncoder,
    event_data,
    parse,
)
from llmproxy_anthropic.taps import StreamTap

if TYPE_CHECKING:
    from llmproxy.canonical import StreamEvent
    from llmproxy_anthropic.streams import MessageDecoder

#: The content type of such a stream.
STREAM: Final = b"application/vnd.amazon.eventstream"
#: What the last chunk tells beside the event.
METRICS: Final = "amazon-bedrock-invocationMetrics"

_JSON: Final = EventHeader(":content-type", "application/json")
_CHUNK: Final = (EventHeader(":event-type", "chunk"), _JSON, EventHeader(":message-type", "event"))
_EXCEPTION: Final = EventHeader(":message-type", "exception")
_LONGEST: Final = 32 * 1024 * 1024
_COUNTS: Final = {"input_tokens": "inputTokenCount", "output_tokens": "outputTokenCount"}

#: Reads an exception of Bedrock's.
ReadException = Callable[[EventStreamMessage], GatewayError]


def chunk_frame(data: bytes) -> bytes:
    """Return the frame of one event."""
    return EventStreamMessage(orjson.dumps({"bytes": base64.b64encode(data).decode()}), _CHUNK).encode()


def exception_frame(name: str, message: str) -> bytes:
    """Return the frame of an exception, which ends a stream."""
    headers = (EventHeader(":exception-type", name), _JSON, _EXCEPTION)
    return EventStreamMessage(orjson.dumps({"message": message}), headers).encode()


def event_in(message: EventStreamMessage) -> Any:
    """Return the event in a chunk, or None where the frame is another.

    Raises:
        ValueError: it cannot be read.
    """
    if message.event_type != "chunk":
        return None
    try:
        return orjson.loads(base64.b64decode(message.json()["bytes"]))
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError("a chunk holds no event") from fault


class FrameDecoder:
    """Turns the bytes of one stream into canonical events; `inner` reads the events themselves."""

    def __init__(self, inner: MessageDecoder, read_exception: ReadException) -> None:
        self._inner = inner
        self._frames = EventStreamDecoder(max_message=_LONGEST)
        self._read_exception = read_exception
        self._failed = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete.

        Raises:
            ValueError: they are not of this dialect.
        """
        out: list[StreamEvent] = []
        for message in self._frames.feed(data):
            if not self._failed:
                self._take(message, out)
        return out

    def close(self) -> list[StreamEvent]:
        """Return nothing: each frame is whole, or it is none.

        Raises:
            TruncatedStream: the message has no end.
        """
        from llmproxy.canonical import TruncatedStream  # noqa: PLC0415  # few gateways translate

        if self._frames.close():
            raise TruncatedStream("the stream ended within a frame")
        return [] if self._failed else self._inner.close()

    def _take(self, message: EventStreamMessage, out: list[StreamEvent]) -> None:
        from llmproxy.canonical import Failed  # noqa: PLC0415  # likewise

        if message.message_type in ("exception", "error"):
            self._failed = True
            out.append(Failed(self._read_exception(message)))
            return
        event = event_in(message)
        if event is not None:
            self._inner.take(event, out)


class FrameEncoder:
    """Puts what `inner` writes, events of a stream, into frames."""

    def __init__(self, inner: StreamEncoder) -> None:
        self._inner = inner
        self._framer = Framer(max_event=_LONGEST)
        self._counts: dict[str, int] = {}

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the frames of one canonical event."""
        return [frame for piece in self._inner.feed(event) for frame in self._framed(piece)]

    def close(self) -> list[bytes]:
        """Return the frames of what still has to be said."""
        return [frame for piece in self._inner.close() for frame in self._framed(piece)]

    def _framed(self, piece: bytes) -> list[bytes]:
        frames = []
        for block in self._framer.feed(piece):
            event = parse(block)
            told = orjson.loads(event_data(block))
            if told["type"] == "error":
                frames.append(exception_frame("modelStreamErrorException", told["error"]["message"]))
            elif told["type"] == "message_stop":
                frames.append(chunk_frame(orjson.dumps({**told, METRICS: self._counts})))
            else:
                self._count(told)
                frames.append(chunk_frame(event.data))
        return frames

    def _count(self, told: dict[str, Any]) -> None:
        usage = told.get("usage") if told["type"] == "message_delta" else None
        for key, name in _COUNTS.items():
            if isinstance(usage, dict) and type(usage.get(key)) is int:
                self._counts[name] = usage[key]


class FrameTap(StreamTap):
    """Reads such a stream as it passes; one that is broken is read no further."""

    __slots__ = ("_frames", "_lost")

    def __init__(self) -> None:
        super().__init__()
        self._frames = EventStreamDecoder(max_message=_LONGEST)
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Read one piece."""
        if self._lost:
            return
        try:
            for message in self._frames.feed(data):
                super().feed(b"data: " + orjson.dumps(_told(message)) + b"\n\n")
        except ValueError:
            self._lost = True


def _told(message: EventStreamMessage) -> Any:
    """Return the event that a frame tells."""
    if message.message_type == "event":
        return event_in(message) or {"type": "ping"}
    return {"type": "error"}
