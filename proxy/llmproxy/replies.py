"""A reply on its way up: transforms, the choice of lane, the copy that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy.body import Body, Recording
from llmproxy.errors import GatewayError
from llmproxy.inflate import Inflate
from llmproxy.lanes import Lane, framed, run_whole
from llmproxy.messages import Reply, StoredReply
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.dialects import ByteFilter
    from llmproxy.exchange import Exchange
    from llmproxy.hooks import EventTransform
    from llmproxy.route import Route
    from llmproxy.sse import Event

#: Bytes of a reply that are kept for `cache_store` and for plugins that want the whole reply.
KEEP_LIMIT = 8 * 1024 * 1024


class Step(NamedTuple):
    """One plugin's implementation of one hook; `place` is the plugin's in the route's list, `open` its policy.

    `header` is the field of those requests whose replies a transform is for, b"" for all.
    """

    call: Callable[..., Any]
    place: int
    plugin: str
    open: bool
    header: bytes = b""


Fault = Callable[[Step, str, BaseException], None]


class Replies:
    """Passes a route's replies up through its plugins."""

    def __init__(
        self,
        route: Route,
        response: tuple[Step, ...],
        stream: tuple[Step, ...],
        store: tuple[Step, ...],
        *,
        wanted: bool,
        fault: Fault,
    ) -> None:
        self._route = route
        self._response = response
        self._stream = stream
        self._store = store
        self._wanted = wanted
        self._fault = fault
        #: Whether anybody needs a copy.
        self._keeps = bool(store) or wanted
        #: Header fields of requests whose replies are changed, though those of others are not.
        self.asked = frozenset(step.header for step in response if step.header)
        #: Whether no plugin has anything to do with the replies of all others.
        self.idle = not (any(not step.header for step in response) or stream or self._keeps)

    async def respond(self, exchange: Exchange, reply: Reply, below: int) -> Reply:
        """Pass a reply through the transforms of the plugins listed above place `below`."""
        for step in self._response:
            if step.place < below and (not step.header or step.header in exchange.request.headers.index):
                try:
                    await step.call(exchange, reply)
                except (GatewayError, asyncio.CancelledError):
                    _discard(reply)
                    raise
                except Exception as fault:
                    self._fault(step, "transform_response", fault)
                    if not step.open:
                        _discard(reply)
                        raise plugin_failed(502) from fault
        if self._stream or exchange.usage_added:
            if reply.is_stream:
                self._lane(exchange, reply, below)
            elif exchange.upgraded and reply.status == 101:
                reply.transform = self._transforms(exchange, reply, below)
        _finish(exchange, reply)
        return reply

    async def respond_to_error(self, exchange: Exchange, reply: Reply) -> Reply:
        """Pass an error through all transforms; one that fails is told of and passed over."""
        for step in self._response:
            if step.header and step.header not in exchange.request.headers.index:
                continue
            try:
                await step.call(exchange, reply)
            except Exception as fault:
                self._fault(step, "transform_response", fault)
        _finish(exchange, reply)
        return reply

    def _lane(self, exchange: Exchange, reply: Reply, below: int) -> None:
        """Choose the lane of a stream, now that its headers are known."""
        machines: list[ByteFilter] = []
        if exchange.usage_added and exchange.endpoint is not None and exchange.outcome.result != "hit":
            face = self._route.targets[exchange.endpoint.upstream].face
            if (added := face.stream_filter(exchange)) is not None:
                machines.append(added)
        if (transforms := self._transforms(exchange, reply, below)) is not None:
            machines.append(framed(reply, transforms))
        if not machines:
            return
        coding = reply.headers.index.get(b"content-encoding", b"identity")
        if coding != b"identity":
            # Asked for identity and compressed all the same: it must be read, so it leaves plain.
            machines.insert(0, Inflate(coding))
            reply.headers.remove("content-encoding")
        reply.headers.remove("content-length")
        if isinstance(reply.body, Body):
            reply.body = Lane(reply.body, machines)
        else:
            reply.body = run_whole(machines, reply.body)

    def _transforms(self, exchange: Exchange, reply: Reply, below: int) -> Transforms | None:
        """Return fresh transforms for one stream, or for the messages of one WebSocket."""
        found: list[tuple[Step, EventTransform]] = []
        for step in self._stream:
            if step.place < below:
                try:
                    transform = step.call(exchange)
                except GatewayError:
                    _discard(reply)
                    raise
                except Exception as fault:
                    self._fault(step, "transform_stream", fault)
                    if step.open:
                        continue
                    _discard(reply)
                    raise plugin_failed(502) from fault
                if transform is not None:
                    found.append((step, transform))
        return Transforms(found, self._fault) if found else None

    def keep(self, exchange: Exchange, reply: Reply, *, store: bool) -> None:
        """Keep a bounded copy of the reply as it is now, before changes for this caller."""
        if not self._keeps or exchange.upgraded:
            return
        status, headers = reply.status, tuple(reply.headers.raw)
        store = store and bool(self._store)
        if not isinstance(reply.body, Body):
            self._kept(exchange, StoredReply(status, headers, reply.body), store=store)
            return

        def complete() -> None:
            whole = recording.whole()
            if whole is not None:
                self._kept(exchange, StoredReply(status, headers, whole), store=store)

        recording = Recording(KEEP_LIMIT, complete)
        reply.body.observe(recording)

    def _kept(self, exchange: Exchange, reply: StoredReply, *, store: bool) -> None:
        if self._wanted:
            exchange.outcome.reply = reply
        # A stream that its provider ended with an error is whole and yet no answer.
        if store and not exchange.outcome.error:
            _ = spawn(self._store_all(exchange, reply), name="cache-store")

    async def _store_all(self, exchange: Exchange, reply: StoredReply) -> None:
        for step in self._store:
            try:
                await step.call(exchange, reply)
            except Exception as fault:
                self._fault(step, "cache_store", fault)


class Transforms:
    """What plugins do to one stream, as one transform; the first in the list sees each event first.

    A fault is told of by its plugin's name. It ends the stream, unless the plugin may fail open: then the events go on
    without it.
    """

    __slots__ = ("_fault", "_steps")

    def __init__(self, steps: list[tuple[Step, EventTransform]], fault: Fault) -> None:
        self._steps = steps
        self._fault = fault

    def feed(self, event: Event) -> list[Event]:
        """Return what leaves in place of `event`."""
        return self._through([event], tuple(self._steps))

    def close(self) -> list[Event]:
        """Return what was held back, passed through those that come after its holder."""
        out: list[Event] = []
        steps = tuple(self._steps)
        for position, (step, transform) in enumerate(steps):
            try:
                held = list(transform.close())
            except Exception as fault:
                self._failed(step, transform, fault)
                held = []
            out += self._through(held, steps[position + 1 :])
        return out

    def _through(self, events: list[Event], steps: Sequence[tuple[Step, EventTransform]]) -> list[Event]:
        for step, transform in steps:
            try:
                events = [changed for event in events for changed in transform.feed(event)]
            except Exception as fault:
                self._failed(step, transform, fault)
        return events

    def _failed(self, step: Step, transform: EventTransform, fault: Exception) -> None:
        if isinstance(fault, GatewayError):
            raise fault
        self._fault(step, "transform_stream", fault)
        if not step.open:
            raise plugin_failed(502) from fault
        self._steps = [pair for pair in self._steps if pair[1] is not transform]


def plugin_failed(status: int) -> GatewayError:
    """Return what a caller is told of a plugin's fault: nothing of its inside."""
    return GatewayError(status, "plugin_failed", "The gateway failed to serve this request.")


def _finish(exchange: Exchange, reply: Reply) -> None:
    # Where a head has left already (signs of life), nothing tells the caller of another coding.
    if exchange.finish is not None and exchange.outcome.first_byte_at is None:
        exchange.finish(reply)


def _discard(reply: Reply) -> None:
    if isinstance(reply.body, Body):
        reply.body.abandon()
