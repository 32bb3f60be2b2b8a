"""One route's hooks, compiled once a generation into tuples of bound methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog

from llmproxy.attempts import Attempts
from llmproxy.body import Body
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.exchange import FETCHED_FOR_ALL
from llmproxy.layers import Layers, expected
from llmproxy.replies import Replies, Step, plugin_failed
from llmproxy.standing import tell

if TYPE_CHECKING:
    from llmproxy.exchange import Endpoint, Exchange
    from llmproxy.messages import Reply
    from llmproxy.metrics import Metrics
    from llmproxy.registry import HookTable, Plugin
    from llmproxy.route import Route
    from llmproxy.runtime import Clock

_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

_log = structlog.get_logger("llmproxy")


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
                    getattr(p, hook),
                    place,
                    p.name,
                    (policies.get(p.name) or p.on_error or default) == "open",
                    p.answers_header if hook == "transform_response" else b"",
                )
                for place, p in enumerate(plugins)
                if table.implements(p, hook)
            ]
            return tuple(reversed(found)) if up else tuple(found)

        self.route = route
        self.plugins = tuple(plugins)
        self._pre_route = steps("pre_route")
        self._lookup = steps("cache_lookup", default="open")
        self._post = steps("post_response", up=True)
        self._replies = Replies(
            route,
            steps("transform_response", up=True),
            steps("transform_stream", up=True),
            steps("cache_store", up=True),
            wanted=any(plugin.wants_reply for plugin in plugins),
            fault=self._fault,
        )
        #: Whether an error leaves without waiting for anything.
        self.prompt = all(
            p.prompt
            for p in plugins
            if table.implements(p, "transform_response") or table.implements(p, "post_response")
        )
        self._faults = metrics.counter(
            "llmproxy_plugin_faults_total", "Exceptions that plugins raised.", ("plugin", "hook")
        )
        attempts = Attempts(route, steps("transform_request"), steps("attempt_done"), self._fault, clock)
        self._layers = Layers(steps("around_upstream"), attempts.run, self._fault)
        self._clock = clock

    # An exchange, from its headers to its reply.

    async def answer(self, exchange: Exchange) -> Reply:
        """Return the reply of an exchange, ready for the caller; every fault but cancellation has become a reply."""
        try:
            return await self._go(exchange)
        except GatewayError as error:
            return await self.refuse(exchange, error)
        except Exception:
            _log.exception("exchange_failed", route=self.route.name, exchange=exchange.id)
            internal = GatewayError(500, "internal_error", "The gateway failed to serve this request.")
            return await self.refuse(exchange, internal)

    async def _go(self, exchange: Exchange) -> Reply:
        for step in self._pre_route:
            try:
                reply: Reply | None = await step.call(exchange)
            except Exception as fault:
                self._forgive(step, "pre_route", fault)
                continue
            if reply is not None:
                exchange.outcome.result = "answered"
                exchange.outcome.answered_by = step.plugin
                return await self._replies.respond(exchange, reply, step.place)
        route = self.route
        if route.models is not None and not exchange.take_body():
            await _read_if_needed(exchange)
        reply = await _listing(route, exchange) if exchange.model is None and route.listing else None
        if reply is None:
            _resolve(route, exchange)
            reply = await self._look_up(exchange) if self._lookup and not exchange.upgraded else None
        if reply is not None:
            return await self._replies.respond(exchange, reply, len(self.plugins))
        layers = self._layers
        outer = layers.outer
        try:
            reply = await (layers.inner(exchange) if outer is None else outer(exchange, layers.inner))
            if reply is None:
                expected(reply)
        except Exception as fault:
            reply = await layers.despite(fault, exchange)
        replies = self._replies
        asked = replies.asked and not replies.asked.isdisjoint(exchange.request.headers.index)
        if replies.idle and not exchange.usage_added and not asked:
            return reply
        replies.keep(exchange, reply, store=True)
        return await replies.respond(exchange, reply, len(self.plugins))

    async def rehearse(self, exchange: Exchange) -> Reply | None:
        """Go as far as the caches would be asked, and no further; return the reply that would have come before.

        Raises:
            GatewayError: what the caller would be told.
        """
        for step in self._pre_route:
            reply: Reply | None = await step.call(exchange)
            if reply is not None:
                return reply
        if self.route.models is not None:
            await exchange.body()
        _resolve(self.route, exchange)
        return None

    async def _look_up(self, exchange: Exchange) -> Reply | None:
        for step in self._lookup:
            try:
                reply: Reply | None = await step.call(exchange)
            except Exception as fault:
                self._forgive(step, "cache_lookup", fault)
                continue
            if reply is not None:
                exchange.outcome.result = exchange.outcome.cache = "hit"
                exchange.outcome.answered_by = step.plugin
                self._replies.keep(exchange, reply, store=False)
                return reply
        exchange.outcome.cache = "miss"
        return None

    def _forgive(self, step: Step, hook: str, fault: Exception) -> None:
        """Apply a step's policy to its fault: go on, or refuse. A GatewayError is a refusal, never a fault."""
        if isinstance(fault, GatewayError):
            raise fault
        self._fault(step, hook, fault)
        if not step.open:
            raise plugin_failed(500) from fault

    # Errors, and the end.

    async def refuse(self, exchange: Exchange, error: GatewayError) -> Reply:
        """Shape an error in the caller's dialect and pass it through all transforms."""
        exchange.outcome.error = error.code
        if not exchange.outcome.result:
            refused = not exchange.attempts or isinstance(error, BadRequest)
            exchange.outcome.result = "refused" if refused else "upstream_error"
        return await self._replies.respond_to_error(exchange, shape(exchange, error))

    async def finish(self, exchange: Exchange) -> None:
        """Run `post_response`; the caller makes sure that this happens exactly once."""
        for attempt in exchange.attempts:
            if attempt.ended is None and attempt.body is not None and FETCHED_FOR_ALL not in exchange.state:
                # A layer that was cancelled, or forgot a reply, must not leave an upstream talking to nobody.
                attempt.body.abandon_unless_wanted()
        exchange.outcome.ended = self._clock.now()
        for step in self._post:
            try:
                await step.call(exchange)
            except Exception as fault:
                self._fault(step, "post_response", fault)

    def _fault(self, step: Step, hook: str, fault: BaseException) -> None:
        self._faults.labels(step.plugin, hook).inc()
        _log.error("plugin_failed", plugin=step.plugin, hook=hook, route=self.route.name, exc_info=fault)


async def _read_if_needed(exchange: Exchange) -> None:
    """Read a body that is still coming where routing needs it."""
    face = exchange.client_face
    if not isinstance(exchange.upload, Body) or face is None or face.reads_body(exchange):
        await exchange.body()


async def _listing(route: Route, exchange: Exchange) -> Reply | None:
    """Answer a call for the models served here; a route's own upstream lists its own where no name is configured."""
    face, listing, models = exchange.client_face, route.listing, route.models
    if exchange.request.method != "GET" or listing is None or models is None or exchange.upgraded:
        return None
    may_ask = exchange.may_ask
    if face is None or not (listing.written or route.listed or may_ask or not route.defaults):
        return None
    reply = face.models(exchange, ())
    if reply is None:
        return None
    exchange.outcome.result = "answered"
    if reply.status != 404:
        names = await listing.names()
    else:
        # A model is looked for: the table knows which may be asked, without the catalogue.
        name = unquote(exchange.request.path.rstrip("/").rpartition("/models/")[2])
        names = (*listing.written, name) if name and models.knows(name) else listing.written
    return face.models(exchange, names if may_ask is None else tuple(filter(may_ask, names)))


def _refuse_unless_allowed(route: Route, exchange: Exchange, may_ask: Callable[[str], bool]) -> None:
    """Refuse a model that is not the caller's, and what might name any: he gets no other by hiding its name."""
    # What the messages of a WebSocket ask for is not known, whatever its handshake says.
    model = None if exchange.upgraded else exchange.model
    if model is not None:
        if not may_ask(model):
            message = f"This key may not use the model {model[:200]!r}."
            raise GatewayError(403, "model_not_allowed", message)
    elif route.models is not None and (exchange.upgraded or exchange.request.method not in _BODILESS):
        message = "This key may use some models only; the request must name one of them, as JSON."
        raise GatewayError(403, "model_not_allowed", message)


def _resolve(route: Route, exchange: Exchange) -> None:
    """Find the endpoints that may answer: by the model's name where there is one, else the route's own."""
    if route.deadline is not None and not exchange.deadline:
        exchange.deadline = exchange.started + route.deadline
    if route.handler is not None:
        return
    if exchange.may_ask is not None:
        _refuse_unless_allowed(route, exchange, exchange.may_ask)
    endpoints: Sequence[Endpoint] | None = route.defaults
    if route.models is not None and exchange.model is not None:
        endpoints = exchange.endpoints or route.models.resolve(exchange.model)
        if endpoints is None:
            message = f"The model {exchange.model[:200]!r} is not served here."
            raise BadRequest("model_not_found", message, status=404)
    if route.listed and (
        exchange.upgraded or (exchange.model is None and exchange.request.method not in _BODILESS)
    ):
        # What cannot be read might name any model: a route that lists its own is no way around the list.
        raise BadRequest("model_required", "The request must name one of this route's models, as JSON.")
    if not endpoints and route.models is not None and exchange.model is None:
        raise BadRequest("model_required", "The request must name a model.")
    if not endpoints:
        raise BadRequest("no_upstream", "Nothing on this route can answer this request.", status=404)
    if route.choose is not None:
        endpoints = route.choose(exchange, endpoints)
    exchange.endpoints = endpoints
    exchange.endpoint = endpoints[0]


def shape(exchange: Exchange, error: GatewayError) -> Reply:
    """Return an error as the caller's dialect says it."""
    return tell(error, exchange.client_face)
