"""One attempt: encode, transform, send, read as it passes, account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.body import HOLD_LIMIT, Body
from llmproxy.commit import GROWTH, begin, is_plain, no_answer
from llmproxy.dialects import Tap
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.exchange import Attempt, Exchange
from llmproxy.inflate import Inflated
from llmproxy.members import reach
from llmproxy.messages import Reply, UpstreamRequest
from llmproxy.taps import WholeTap
from llmproxy.watch import Expiry, Translated, Watch, judge

if TYPE_CHECKING:
    from llmproxy.dialects import LocalUpstream
    from llmproxy.replies import Step
    from llmproxy.route import Route, Target
    from llmproxy.runtime import Clock

Fault = Callable[["Step", str, BaseException], None]

#: Bytes of a translation that are held while its source is; that is what is bounded.
MOST_TRANSLATED = 8 * 1024 * 1024


class Attempts:
    """Makes a route's attempts; the innermost layer of `around_upstream`."""

    def __init__(
        self, route: Route, transform: tuple[Step, ...], done: tuple[Step, ...], fault: Fault, clock: Clock
    ) -> None:
        self._route = route
        self._transform = transform
        self._done = done
        self._fault = fault
        self._clock = clock

    async def run(self, exchange: Exchange) -> Reply:
        """Make one attempt at `exchange.endpoint`; the reply's head is here, its body may still come."""
        route = self._route
        if exchange.pinned is not None:
            return exchange.pinned.answer(exchange)
        if route.handler is not None:
            return await route.handler(exchange)
        endpoint = exchange.endpoint
        if endpoint is None:
            raise GatewayError(502, "no_endpoint", "No upstream was chosen for this request.")
        if endpoint.member is None:
            target = route.targets[endpoint.upstream]
        else:
            endpoint, target = reach(exchange, endpoint)
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
        request.key = attempt.key
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
        try:
            async with asyncio.timeout_at(exchange.deadline):
                reply = await face.send(exchange, request)
        except TimeoutError:
            raise UpstreamTimeout("total", target.timeouts.total, sent=True) from None
        if isinstance(reply.body, Body):
            reply.body.observe(Expiry(reply.body, exchange.deadline, target.timeouts.total))
        return reply

    def _received(self, exchange: Exchange, target: Target, attempt: Attempt, reply: Reply) -> Watch | None:
        """Have a reply read; return who watches it if it is to be held until it begins."""
        attempt.status = reply.status
        attempt.headers_at = self._clock.now()
        if attempt.keys is not None:
            attempt.keys.heard(attempt, reply, attempt.headers_at)
        body = reply.body
        tap = target.face.tap(exchange, reply)
        if tap is None or self._route.commit is None or reply.status >= 400:
            attempt.committed = True  # nobody knows how it begins, or nobody wants to
            if tap is None and self._route.models is not None and (page := no_answer(exchange, reply)):
                raise page
        coding = reply.headers.index.get(b"content-encoding")
        if coding is None and not isinstance(body, Body):
            self._read_whole(exchange, attempt, tap, reply)
            return None
        return self._observe(exchange, attempt, reply, tap)

    def _read_whole(self, exchange: Exchange, attempt: Attempt, tap: Tap | None, reply: Reply) -> None:
        """Read a reply that came in one piece, and settle its attempt."""
        if tap is not None:
            if reply.body:
                tap.feed(reply.body)  # type: ignore[arg-type]  # bytes, as the caller knows
            tap.end()
            attempt.usage = tap.usage
            if tap.first_output:
                attempt.first_output_at = attempt.headers_at
            if not attempt.translated and (fault := judge(exchange, attempt, tap, reply)) is not None:
                if not tap.first_output or isinstance(tap, WholeTap):
                    raise fault
                self._break(exchange, attempt, reply, fault)
        if not attempt.translated:
            self.settle(exchange, attempt, None)

    def _break(self, exchange: Exchange, attempt: Attempt, reply: Reply, fault: BaseException) -> None:
        """Have a stream that was cut after its first output end so, though all of it came in one piece."""
        data, reply.body = reply.body, (body := Body())
        reply.headers.remove("content-length")
        body.feed(data)  # type: ignore[arg-type]  # bytes, as the caller knows
        body.fail(fault)
        attempt.committed = True
        self.settle(exchange, attempt, fault)

    def _close_translated(self, exchange: Exchange, attempt: Attempt, reply: Reply) -> None:
        """Settle an attempt when its translation is whole: that may fail where the bytes came well."""
        if isinstance(reply.body, Body):
            reply.body.observe(Translated(self, exchange, attempt))
            if self._route.commit is not None:
                reply.body.hold_limit = MOST_TRANSLATED
                reply.body.show()
        else:
            self.settle(exchange, attempt, None)

    def _observe(self, exchange: Exchange, attempt: Attempt, reply: Reply, tap: Tap | None) -> Watch | None:
        """Read a reply as it passes, or one that came compressed though nobody asked for it."""
        body, terms = reply.body, self._route.commit
        watch = Watch(self, exchange, attempt, tap, reply, terms)
        coding = reply.headers.index.get(b"content-encoding", b"identity")
        reader = watch if tap is None or coding == b"identity" else Inflated(watch, coding, watch.lose_sight)
        if isinstance(body, Body):
            attempt.body = body
            body.tap = tap
            body.observe(reader)
            if terms is not None and not attempt.committed:
                body.hold_limit = terms.bytes * (1 if is_plain(reply) else GROWTH) + HOLD_LIMIT
                body.show()
                return watch
        else:
            if body:
                reader.feed(body)
            reader.end()
        return None

    def now(self) -> float:
        """Return the time."""
        return self._clock.now()

    def first_output(self, attempt: Attempt) -> None:
        """Stamp the first piece of real output."""
        attempt.first_output_at = self._clock.now()

    def settle(self, exchange: Exchange, attempt: Attempt, fault: BaseException | None) -> None:
        """Settle one attempt, once."""
        if attempt.ended is not None:
            return
        attempt.ended = self._clock.now()
        if fault is not None:
            attempt.error = fault
            if attempt.keys is not None:
                attempt.keys.judge(attempt, fault, attempt.ended)
        attempt.complete = attempt.error is None
        if attempt.usage is not None:
            exchange.usage = attempt.usage
        for step in self._done:
            try:
                step.call(exchange, attempt)
            except Exception as error:
                self._fault(step, "attempt_done", error)

    def conclude(
        self, exchange: Exchange, attempt: Attempt, tap: Tap | None, fault: BaseException | None
    ) -> None:
        """Take over what the tap found, then settle the attempt."""
        if tap is not None:
            attempt.usage = tap.usage
            if fault is None and attempt.first_output_at is None and tap.first_output:
                self.first_output(attempt)
        if fault is not None or not attempt.translated:
            self.settle(exchange, attempt, fault)


def _allow(exchange: Exchange, attempt: Attempt) -> None:
    """Refuse an attempt that the request has no allowance for: of attempts, or of time."""
    if attempt.number > exchange.route.most_attempts:
        raise GatewayError(502, "attempts_spent", "All attempts that this request may make were made.")
    if exchange.deadline and attempt.started >= exchange.deadline:
        message = "The request's time was over before another attempt could be made."
        raise UpstreamError("deadline_exceeded", message, phase="total", sent=False, status=504)
