"""Plugins' transforms over a stream of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.eventstream import EventHeader, EventStreamDecoder, EventStreamMessage
from llmproxy.sse import Event

if TYPE_CHECKING:
    from llmproxy.hooks import EventTransform


class FramedMessages:
    """Runs event transforms over frames of AWS: what a frame says is the data of an event, its type the event's name.

    An exception passes as it is; a frame that no transform changes leaves byte for byte.
    """

    __slots__ = ("_decoder", "_transforms")

    def __init__(self, transforms: EventTransform) -> None:
        self._transforms = transforms
        self._decoder = EventStreamDecoder()

    def feed(self, data: bytes) -> bytes:
        """Return what leaves now."""
        return b"".join(map(self._changed, self._decoder.feed(data)))

    def close(self) -> bytes:
        """Return what is left, and what the transforms held back."""
        return self._decoder.close() + b"".join(self._written(event) for event in self._transforms.close())

    def _changed(self, message: EventStreamMessage) -> bytes:
        if message.message_type != "event":
            return message.encode()
        given = Event(message.payload, event=message.event_type.encode())
        return b"".join(
            message.encode() if event is given else self._written(event)
            for event in self._transforms.feed(given)
        )

    def _written(self, event: Event) -> bytes:
        name = (event.event or b"").decode("utf-8", "replace")
        headers = (
            EventHeader(":event-type", name),
            EventHeader(":content-type", "application/json"),
            EventHeader(":message-type", "event"),
        )
        return EventStreamMessage(event.data, headers).encode()
