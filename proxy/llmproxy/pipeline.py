"""One route's hooks, compiled once a generation into tuples of bound methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import structlog

from llmproxy.attempts import Attempts
from llmproxy.body import Body, Recording
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.exchange import Endpoint, Exchange
from llmproxy.lanes import Canonical, Framed, Lane, run_whole
from llmproxy.messages import Reply, StoredReply
from llmproxy.problems import problem
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.dialects import ByteFilter
    from llmproxy.hooks import CallNext
    from llmproxy.metrics import Metrics
    from llmproxy.registry import HookTable, Plugin
    from llmproxy.route import Route
    from llmproxy.runtime import Clock

_log = structlog.get_logger("llmproxy")

#: Bytes of a reply that are kept for `cache_store` and for plugins that want the whole reply.
KEEP_LIMIT = 8 * 1024 * 1024

#: Seconds that all `post_response` hooks of one exchange may take together.
POST_LIMIT = 10.0


class Step(NamedTuple):
    """One plugin's implementation of one hook. `place` is the plugin's in the route's list; `open` its fault policy."""

    call: Callable[..., Any]
    place: int
    plugin: str
    open: bool


class Pipeline:
    """Runs one route's exchanges through its plugins."""

    def __init__(
        self,
        route: Route,
        table: HookTable,
        plugins: Sequence[Plugin[Any]],
        policies: Mapping[str, str | None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        def steps(hook: str, *, default: str = "closed", up: bool = False) -> tuple[Step, ...]:
            found = [
                Step(
                    getattr(p, hook), place, p.name, (policies.get(p.name) or p.on_error or default) == "open"
                )
                for place, p in enumerate(plugins)
                if table.implements(p, hook)
            ]
            return tuple(reversed(found)) if up else tuple(found)

        self.route = route
        self.plugins = tuple(plugins)
        self._pre_route = steps("pre_route")
        self._lookup = steps("cache_lookup", default="open")
        self._store = steps("cache_store", up=True)
        self._response = steps("transform_response", up=True)
        self._stream = steps("transform_stream", up=True)
        self._post = steps("post_response", up=True)
        self._wants_reply = any(plugin.wants_reply for plugin in plugins)
        self._faults = metrics.counter(
            "llmproxy_plugin_faults_total", "Exceptions that plugins raised.", ("plugin", "hook")
        )
        attempts = Attempts(route, steps("transform_request"), steps("attempt_done"), self._fault, clock)
        self._around = self._onion(steps("around_upstream"), attempts)
        self._attempts = attempts
        self._clock = clock

    # An exchange, from its headers to its reply.

    async def answer(self, exchange: Exchange) -> Reply:
        """Return the reply of an exchange, ready for the caller; every fault but cancellation has become a reply."""
        try:
            return await self._go(exchange)
        except GatewayError as error:
            return await self._refuse(exchange, error)
        except Exception as fault:
            _log.exception("exchange_failed", route=self.route.name, exchange=exchange.id)
            error = GatewayError(500, "internal_error", "The gateway failed to serve this request.")
            error.__cause__ = fault
            return await self._refuse(exchange, error)

    async def _go(self, exchange: Exchange) -> Reply:
        for step in self._pre_route:
            reply = await self._guarded(step, "pre_route", exchange)
            if reply is not None:
                exchange.outcome.result = "answered"
                exchange.outcome.answered_by = step.plugin
                return await self._respond(exchange, reply, step.place)
        await self._resolve(exchange)
        if self._lookup:
            for step in self._lookup:
                reply = await self._guarded(step, "cache_lookup", exchange)
                if reply is not None:
                    exchange.outcome.result = exchange.outcome.cache = "hit"
                    exchange.outcome.answered_by = step.plugin
                    if self._wants_reply:
                        self._keep(exchange, reply, store=False)
                    return await self._respond(exchange, reply, len(self.plugins))
            exchange.outcome.cache = "miss"
        reply = await self._around(exchange)
        if self._store or self._wants_reply:
            self._keep(exchange, reply, store=True)
        return await self._respond(exchange, reply, len(self.plugins))

    async def _guarded(self, step: Step, hook: str, exchange: Exchange) -> Reply | None:
        """Call one step that may answer; apply its policy to a fault. A GatewayError is a refusal, not a fault."""
        try:
            return cast("Reply | None", await step.call(exchange))
        except GatewayError:
            raise
        except Exception as fault:
            self._fault(step, hook, fault)
            if step.open:
                return None
            raise _plugin_failed(500) from fault

    async def _resolve(self, exchange: Exchange) -> None:
        """Find the endpoints that may answer: by the model's name where there is one, else the route's own."""
        route = self.route
        if route.handler is not None:
            return
        endpoints: Sequence[Endpoint] | None = route.defaults
        if route.models is not None:
            if not isinstance(exchange.upload, Body) or route.face is None or route.face.reads_body(exchange):
                await exchange.body()
            if exchange.model is not None:
                endpoints = exchange.endpoints or route.models.resolve(exchange.model)
                if endpoints is None:
                    raise BadRequest(
                        "model_not_found",
                        f"The model {exchange.model[:200]!r} is not served here.",
                        status=404,
                    )
        if not endpoints:
            raise BadRequest("no_upstream", "Nothing on this route can answer this request.", status=404)
        if route.strategy is not None:
            endpoints = route.strategy(exchange, endpoints)
        exchange.endpoints = endpoints
        exchange.endpoint = endpoints[0]

    def _onion(self, steps: tuple[Step, ...], attempts: Attempts) -> CallNext:
        call: CallNext = attempts.run
        for step in reversed(steps):
            call = self._layer(step, call)
        return call

    def _layer(self, step: Step, inner: CallNext) -> CallNext:
        async def layer(exchange: Exchange) -> Reply:
            try:
                return cast("Reply", await step.call(exchange, inner))
            except GatewayError:
                raise
            except Exception as fault:
                self._fault(step, "around_upstream", fault)
                if step.open:
                    return await inner(exchange)
                raise _plugin_failed(502) from fault

        return layer

    # A reply, on its way to the caller.

    async def _respond(self, exchange: Exchange, reply: Reply, below: int) -> Reply:
        """Pass a reply through the transforms of the plugins listed above place `below`."""
        for step in self._response:
            if step.place < below:
                try:
                    await step.call(exchange, reply)
                except GatewayError:
                    raise
                except Exception as fault:
                    self._fault(step, "transform_response", fault)
                    if not step.open:
                        _discard(reply)
                        raise _plugin_failed(502) from fault
        if self._stream or exchange.usage_added:
            self._lane(exchange, reply, below)
        return reply

    def _lane(self, exchange: Exchange, reply: Reply, below: int) -> None:
        """Choose the lane of a stream, now that its headers are known."""
        if not reply.is_event_stream:
            return
        machines: list[ByteFilter] = []
        if exchange.usage_added and exchange.endpoint is not None and exchange.outcome.result != "hit":
            face = self.route.targets[exchange.endpoint.upstream].face
            if (added := face.stream_filter(exchange)) is not None:
                machines.append(added)
        transforms = []
        for step in self._stream:
            if step.place < below:
                try:
                    transform = step.call(exchange)
                except Exception as fault:
                    self._fault(step, "transform_stream", fault)
                    _discard(reply)
                    raise _plugin_failed(502) from fault
                if transform is not None:
                    transforms.append(transform)
        if transforms:
            machines.append(Framed(transforms))
        if not machines:
            return
        reply.headers.remove("content-length")
        if isinstance(reply.body, Body):
            reply.body = Lane(reply.body, machines).body
        else:
            reply.body = run_whole(machines, reply.body)

    def _keep(self, exchange: Exchange, reply: Reply, *, store: bool) -> None:
        """Keep a bounded copy of the reply as it is now, before changes for this caller."""
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
        if self._wants_reply:
            exchange.outcome.reply = reply
        if store:
            spawn(self._store_all(exchange, reply), name="cache-store")

    async def _store_all(self, exchange: Exchange, reply: StoredReply) -> None:
        for step in self._store:
            try:
                await step.call(exchange, reply)
            except Exception as fault:  # noqa: BLE001, PERF203
                self._fault(step, "cache_store", fault)

    # Errors, and the end.

    async def _refuse(self, exchange: Exchange, error: GatewayError) -> Reply:
        """Shape an error in the caller's dialect and pass it through all transforms."""
        exchange.outcome.error = error.code
        if not exchange.outcome.result:
            exchange.outcome.result = "upstream_error" if exchange.attempts else "refused"
        reply = self.shape(error)
        try:
            for step in self._response:
                await step.call(exchange, reply)
        except Exception as fault:  # noqa: BLE001  # the error itself still has to arrive
            self._fault(step, "transform_response", fault)
        return reply

    def shape(self, error: GatewayError) -> Reply:
        """Return the error as this route's callers expect it."""
        return self.route.face.error(error) if self.route.face is not None else problem(error)

    async def finish(self, exchange: Exchange) -> None:
        """Run `post_response`; the caller makes sure that this happens exactly once."""
        exchange.outcome.ended = self._clock.now()
        for step in self._post:
            try:
                await step.call(exchange)
            except asyncio.CancelledError:
                raise
            except Exception as fault:  # noqa: BLE001
                self._fault(step, "post_response", fault)

    def _fault(self, step: Step, hook: str, fault: BaseException) -> None:
        self._faults.labels(step.plugin, hook).inc()
        _log.error("plugin_failed", plugin=step.plugin, hook=hook, route=self.route.name, exc_info=fault)


def _plugin_failed(status: int) -> GatewayError:
    return GatewayError(status, "plugin_failed", "The gateway failed to serve this request.")


def _discard(reply: Reply) -> None:
    if isinstance(reply.body, Body):
        reply.body.abandon()
