"""The lanes of a stream: how a reply's bytes get from the upstream to the caller.

Raw: nothing stands between; chunks go from socket to socket unparsed. Framed: the same dialect on both sides, but
something changes events. Canonical: the dialects differ. The last two are chains of byte machines, each of which takes
bytes cut anywhere and gives bytes, so that they compose and are tested alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llmproxy.body import OPEN, Body
from llmproxy.ndjson import LineFramer
from llmproxy.sse import Event, Framer, parse

if TYPE_CHECKING:
    from llmproxy.dialects import ByteFilter
    from llmproxy.hooks import EventTransform
    from llmproxy.messages import Reply


class Framed:
    """Runs event transforms over a stream's bytes; the first transform sees each event first."""

    __slots__ = ("_framer", "_transforms")

    def __init__(self, transforms: Sequence[EventTransform], max_event: int = 1 << 20) -> None:
        self._transforms = tuple(transforms)
        self._framer = Framer(max_event=max_event)

    def feed(self, data: bytes) -> bytes:
        """Return what leaves now; untouched events leave byte for byte."""
        return b"".join(
            event.encode() for raw in self._framer.feed(data) for event in self._through([parse(raw)], 0)
        )

    def close(self) -> bytes:
        """Return what is left: an unfinished last event, as transforms leave it, and what they held back."""
        rest = self._framer.close()
        out: list[Event] = [*self._through([parse(rest)], 0)] if rest else []
        for position, transform in enumerate(self._transforms):
            out += self._through(transform.close(), position + 1)
        return b"".join(event.encode() for event in out)

    def _through(self, events: Iterable[Event], start: int) -> Iterable[Event]:
        for transform in self._transforms[start:]:
            events = [changed for event in events for changed in transform.feed(event)]
        return events


class FramedLines:
    """Runs event transforms over a stream of lines: each is the data of an event, and nothing else of one."""

    __slots__ = ("_framer", "_transforms")

    def __init__(self, transforms: EventTransform, max_line: int = 1 << 20) -> None:
        self._transforms = transforms
        self._framer = LineFramer(max_line=max_line)

    def feed(self, data: bytes) -> bytes:
        """Return what leaves now."""
        return b"".join(map(self._changed, self._framer.feed(data)))

    def close(self) -> bytes:
        """Return what is left likewise."""
        rest = self._framer.close()
        held = self._changed(rest) if rest else b""
        return held + b"".join(event.data + b"\n" for event in self._transforms.close())

    def _changed(self, line: bytes) -> bytes:
        return b"".join(event.data + b"\n" for event in self._transforms.feed(Event(data=line)))


def framed(reply: Reply, transforms: EventTransform) -> ByteFilter:
    """Return the machine that runs transforms over a reply's stream, by what frames its events."""
    if reply.is_frame_stream:
        from llmproxy.framelane import FramedMessages  # noqa: PLC0415  # few providers frame so

        return FramedMessages(transforms)
    return FramedLines(transforms) if reply.is_line_stream else Framed([transforms])


class Lane(Body):
    """The caller's body: a sink of the upstream's, with byte machines between."""

    __slots__ = ("_machines", "_source")

    def __init__(self, source: Body, machines: Sequence[ByteFilter]) -> None:
        super().__init__(self._pause_source, self._resume_source, self._leave)
        self._source = source
        self._machines = tuple(machines)
        source.attach(self)

    def feed(self, data: bytes) -> None:
        """Take one piece from the upstream, hand on what the machines make of it."""
        try:
            for machine in self._machines:
                data = machine.feed(data)
        except Exception as fault:  # whatever a transform raises ends the stream, honestly
            self._break(fault)
            return
        if self._held is not None or self.state != OPEN or not data:
            super().feed(data)
            return
        self.size += len(data)
        for sink in self._all:
            sink.feed(data)

    def end(self) -> None:
        """The upstream is complete: flush what the machines hold."""
        try:
            data = flush(self._machines)
        except Exception as fault:
            self._break(fault)
            return
        super().feed(data)
        super().end()

    def _break(self, fault: Exception) -> None:
        self.fail(fault)
        self._source.detach(self)

    def _pause_source(self) -> None:
        self._source.pause(self)

    def _resume_source(self) -> None:
        self._source.resume(self)

    def _leave(self) -> None:
        self._source.detach(self)
        self.fail(ConnectionAbortedError("the stream was given up"))


def flush(machines: Sequence[ByteFilter]) -> bytes:
    """Close a chain in order, passing what each held back through the ones behind it."""
    data = b""
    for machine in machines:
        data = (machine.feed(data) if data else b"") + machine.close()
    return data


def run_whole(machines: Sequence[ByteFilter], data: bytes) -> bytes:
    """Pass a whole body through a chain."""
    for machine in machines:
        data = machine.feed(data) + machine.close()
    return data


def as_far_as_it_goes(machines: Sequence[ByteFilter], data: bytes) -> Body:
    """Return what a chain makes of a stream that breaks off, up to there, though all of the stream is here."""
    source = Body()
    lane = Lane(source, machines)
    for piece in data.splitlines(keepends=True):
        source.feed(piece)
    source.end()
    return lane
