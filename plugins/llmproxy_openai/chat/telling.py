"""The events that a decoder has ready, each block with the next index."""

from __future__ import annotations

from llmproxy.canonical import Block, BlockEnded, BlockStarted, StreamEvent


class Telling:
    """Collects events until they are drained; `name` is the answer's id, once it is known."""

    __slots__ = ("_count", "_events", "name")

    def __init__(self) -> None:
        self.name = ""
        self._count = 0
        self._events: list[StreamEvent] = []

    def begin(self, block: Block, choice: int) -> int:
        """Begin a block; return its index."""
        index = self._count
        self._count += 1
        self._events.append(BlockStarted(index, block, choice))
        return index

    def whole(self, block: Block, choice: int) -> None:
        """Tell a block that came in one piece."""
        self._events.append(BlockEnded(self.begin(block, choice)))

    def tell(self, event: StreamEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def drain(self) -> list[StreamEvent]:
        """Return what is ready."""
        events, self._events = self._events, []
        return events
