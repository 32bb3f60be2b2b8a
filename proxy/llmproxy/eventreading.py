"""The events of a stream, whatever frames them: server-sent events, lines of JSON, frames of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from llmproxy.ndjson import LineFramer
from llmproxy.sse import Event, Framer, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmproxy.eventstream import EventStreamDecoder, EventStreamMessage
    from llmproxy.messages import Reply


class EventReader:
    """Cuts one reply's bytes into events; one of more than `longest` bytes is refused.

    Of a frame, the payload is the event's data and its type the event's name; an exception is named `error`, with its
    type as the payload's `__type`.
    """

    __slots__ = ("_framer", "_read")

    def __init__(self, reply: Reply, longest: int) -> None:
        self._framer: Framer | LineFramer | EventStreamDecoder
        self._read: Callable[[Any], Event]
        if reply.is_frame_stream:
            from llmproxy.eventstream import EventStreamDecoder  # noqa: PLC0415  # few providers frame so

            self._framer, self._read = EventStreamDecoder(max_message=longest), event_of
        elif reply.is_line_stream:
            self._framer, self._read = LineFramer(max_line=longest), Event
        else:
            self._framer, self._read = Framer(max_event=longest), parse

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete.

        Raises:
            EventTooLarge: one is too long.
            ValueError: they are no frames.
        """
        return [self._read(block) for block in self._framer.feed(data)]

    def close(self) -> list[Event]:
        """Return the last event where its end was forgotten; a frame that was cut is none."""
        rest = self._framer.close()
        return [self._read(rest)] if rest and self._read is not event_of else []


def event_of(message: EventStreamMessage) -> Event:
    """Return what a frame says, as an event."""
    if message.message_type not in ("exception", "error"):
        return Event(message.payload, event=message.event_type.encode() or None)
    name = message.exception_type or message.text(":error-code")
    try:
        told = message.json()
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        told = {"message": message.text(":error-message") or message.payload.decode("utf-8", "replace")}
    return Event(orjson.dumps({"__type": name, **told}), event=b"error")
