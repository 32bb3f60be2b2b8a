"""Frames of a stream, as Amazon's event streams name them."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import EventHeader, EventStreamMessage

#: The content type of a streamed answer.
STREAM: Final = b"application/vnd.amazon.eventstream"

_JSON: Final = EventHeader(":content-type", "application/json")
_EVENT: Final = EventHeader(":message-type", "event")
_EXCEPTION: Final = EventHeader(":message-type", "exception")


def event_frame(name: str, told: Any) -> bytes:
    """Return the frame of one event."""
    headers = (EventHeader(":event-type", name), _JSON, _EVENT)
    return EventStreamMessage(orjson.dumps(told), headers).encode()


def exception_frame(name: str, told: Any) -> bytes:
    """Return the frame of an exception, which ends a stream."""
    headers = (EventHeader(":exception-type", name), _JSON, _EXCEPTION)
    return EventStreamMessage(orjson.dumps(told), headers).encode()
