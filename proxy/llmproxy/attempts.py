"""One attempt: encode, transform, send, read as it passes, account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmproxy.body import Body
from llmproxy.commit import begin
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.exchange import Attempt, Endpoint, Exchange
from llmproxy.members import reach
from llmproxy.messages import Reply, UpstreamRequest
from llmproxy.receiver import Fault, Receiver
from llmproxy.watch import Expiry, Watch

if TYPE_CHECKING:
    from llmproxy.dialects import LocalUpstream
    from llmproxy.replies import Step
    from llmproxy.route import Route, Target
    from llmproxy.runtime import Clock


class Attempts(Receiver):
    """Makes a route's attempts; the innermost layer of `around_upstream`."""

    def __init__(
        self, route: Route, transform: tuple[Step, ...], done: tuple[Step, ...], fault: Fault, clock: Clock
    ) -> None:
        super().__init__(route, done, fault, clock)
        self._transform = transform

    async def run(self, exchange: Exchange) -> Reply:
        """Make one attempt at `exchange.endpoint`; the reply's head is here, its body may still come."""
        route = self._route
        if exchange.pinned is not None:
            return exchange.pinned.answer(exchange)
        if route.handler is not None:
            return await route.handler(exchange)
        endpoint = exchange.endpoint
        if endpoint is None or endpoint.member is not None:
            endpoint, target = _reached(exchange, endpoint)
        else:
            target = route.targets[endpoint.upstream]
        attempt = Attempt(len(exchange.attempts) + 1, endpoint, self._clock.now())
        if attempt.number > 1 or exchange.deadline:
            _allow(exchange, attempt)
        keys = target.upstream.keys
        if keys is not None:
            attempt.keys, attempt.key = keys, keys.take(attempt.started)
        exchange.attempts.append(attempt)
        reply: Reply | None = None
        try:
            reply = await self._send(exchange, target, attempt)
            readdress = getattr(target.face, "readdress", None)
            if readdress is not None and (more := readdress(exchange, reply)) is not None:
                await more
            watch = self._received(exchange, target, attempt, reply)
            if attempt.translated or attempt.error is not None or (watch is not None and watch.waits):
                return await self._begun(exchange, target, attempt, reply, watch)
            attempt.committed = True
            return reply
        except BaseException as fault:
            self.settle(exchange, attempt, fault)
            if reply is not None and isinstance(reply.body, Body):
                reply.body.abandon()
            raise

    async def _begun(
        self, exchange: Exchange, target: Target, attempt: Attempt, reply: Reply, watch: Watch | None
    ) -> Reply:
        """Return the reply in the caller's dialect once it has begun, or raise what its beginning failed with."""
        if attempt.translated:
            from llmproxy.translation import incoming  # noqa: PLC0415  # few gateways translate

            reply = await incoming(exchange, target.face, attempt, reply)
            self._close_translated(exchange, attempt, reply)
        if watch is not None and watch.waits:
            await begin(exchange, attempt, watch, target.timeouts)
        fault = attempt.error
        if fault is not None and not attempt.committed and (watch is None or watch.waits):
            raise fault
        attempt.committed = True
        return reply

    async def _send(self, exchange: Exchange, target: Target, attempt: Attempt) -> Reply:
        face = target.face
        upload = exchange.upload
        if not face.native(exchange):
            from llmproxy.translation import outgoing  # noqa: PLC0415  # few gateways translate

            wire = await outgoing(exchange, attempt.endpoint, face)
            if isinstance(wire, Reply):
                return wire
            attempt.translated, request = True, wire
        elif isinstance(upload, Body):
            # A body that nobody read streams through; it can be sent once.
            exchange.upload = None
            request = face.encode(exchange, attempt.endpoint, b"")
            request.body = upload
        else:
            body = exchange._body  # a coroutine less where it is at hand, which is nearly always
            request = face.encode(exchange, attempt.endpoint, await exchange.body() if body is None else body)
        request.key, request.attempt = attempt.key, attempt.number
        for step in self._transform:
            try:
                await step.call(exchange, request)
            except GatewayError:
                raise
            except Exception as fault:
                self._spoilt(step, fault)
        if not exchange.deadline:
            exchange.deadline = attempt.started + target.timeouts.total
        if exchange.upgraded:
            # Imported when the first one comes: few gateways carry WebSockets.
            from llmproxy.websocket import dial  # noqa: PLC0415

            request.sent = True
            return await dial(exchange, target, request)
        if target.local is not None:
            return await self._send_here(target.local, exchange, request, target)
        return await target.upstream.send(request, target.timeouts, exchange.deadline, exchange)

    def _spoilt(self, step: Step, fault: Exception) -> None:
        """Tell of a plugin that failed to change a request; go on without it if it may fail open."""
        self._fault(step, "transform_request", fault)
        if not step.open:
            raise GatewayError(502, "plugin_failed", "The gateway failed to send this request.") from fault

    async def _send_here(
        self, face: LocalUpstream, exchange: Exchange, request: UpstreamRequest, target: Target
    ) -> Reply:
        if isinstance(request.body, Body):
            request.body = await request.body.read(self._route.max_body)
        request.sent = True
        try:
            async with asyncio.timeout_at(exchange.deadline):
                reply = await face.send(exchange, request)
        except TimeoutError:
            raise UpstreamTimeout("total", target.timeouts.total, sent=True) from None
        if isinstance(reply.body, Body):
            reply.body.observe(Expiry(reply.body, exchange.deadline, target.timeouts.total))
        return reply


def _reached(exchange: Exchange, endpoint: Endpoint | None) -> tuple[Endpoint, Target]:
    if endpoint is None:
        raise GatewayError(502, "no_endpoint", "No upstream was chosen for this request.")
    return reach(exchange, endpoint)


def _allow(exchange: Exchange, attempt: Attempt) -> None:
    """Refuse an attempt that the request has no allowance for: of attempts, or of time."""
    if attempt.number > exchange.route.most_attempts:
        raise GatewayError(502, "attempts_spent", "All attempts that this request may make were made.")
    if exchange.deadline and attempt.started >= exchange.deadline:
        message = "The request's time was over before another attempt could be made."
        raise UpstreamError("deadline_exceeded", message, phase="total", sent=False, status=504)
