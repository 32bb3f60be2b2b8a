"""One execution under a key: it runs to its end, whether or not its caller waits, and its end is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from llmproxy.plugin import (
    Attempt,
    Body,
    CallNext,
    Exchange,
    GatewayError,
    ProviderError,
    Reply,
    StoreAway,
    UpstreamError,
)
from llmproxy_idempotency import verdict
from llmproxy_idempotency.config import IdempotencyConfig
from llmproxy_idempotency.ledger import Claim, Ledger, Lost, Taken
from llmproxy_idempotency.relay import Relay

#: Seconds for which an execution goes on alone whose route sets no deadline: a plugin's own.
ALONE = 600.0

#: Seconds for writing down the end of one that is given up.
LAST = 5.0

Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
Count = Callable[[str], None]


class Execution:
    """The one execution that a claim allows."""

    def __init__(
        self,
        exchange: Exchange,
        claim: Claim,
        ledger: Ledger,
        policy: IdempotencyConfig,
        spawn: Spawn,
        count: Count,
    ) -> None:
        self._exchange = exchange
        self._claim = claim
        self._ledger = ledger
        self._policy = policy
        self._spawn = spawn
        self._count = count
        self._relay: Relay | None = None
        self._task: asyncio.Task[tuple[Reply | None, Exception | None]] | None = None
        self._alone = False
        self._done = asyncio.Event()

    async def run(self, call_next: CallNext) -> Reply:
        """Execute; cancelling this leaves the execution running."""
        self._task = self._spawn(self._execute(call_next))
        reply, fault = await asyncio.shield(self._task)
        if reply is None:
            raise fault or ConnectionAbortedError("the execution was given up")
        return reply

    async def about_to_send(self, attempt: Attempt) -> None:
        """Write down that the request may leave now; refuse a second attempt where the first may have done it all."""
        if not self._claim.sent:
            await self._mark_sent()
        elif self._exchange.route.models is None and self._policy.on_unknown == "refuse":
            before = [other for other in self._exchange.attempts if other is not attempt]
            if any(self._may_have_executed(other) for other in before):
                raise verdict.not_resent()

    async def outlive(self, now: float) -> None:
        """Return when the execution is over, which its caller need not have waited for."""
        if self._done.is_set():
            return
        self._alone = True
        if self._relay is not None:
            self._relay.leave_unless_wanted()
        if await self._over_within(max(0.0, (self._exchange.deadline or now + ALONE) - now) + 1.0):
            return
        if self._task is not None:
            self._task.cancel()
        if self._relay is not None:
            self._relay.give_up()
        await self._over_within(LAST)

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            return False
        return True

    async def _execute(self, call_next: CallNext) -> tuple[Reply | None, Exception | None]:
        try:
            if self._exchange.route.handler is not None:
                await self._mark_sent()
            reply = await call_next(self._exchange)
            return await self._answered(reply), None
        except Exception as fault:
            await self._failed(fault)
            return None, fault
        except BaseException as fault:
            await self._failed(fault)
            raise

    async def _mark_sent(self) -> None:
        try:
            await self._ledger.mark_sent(self._claim)
        except Taken:
            raise verdict.in_flight() from None
        except Lost:
            raise verdict.outcome_unknown("record_lost") from None
        except StoreAway:
            if self._policy.on_store_fault == "refuse":
                raise verdict.unavailable() from None
            self._claim.sent = True

    # How it ended.

    async def _answered(self, reply: Reply) -> Reply:
        """Keep an answer, or pass on and record one that is still coming."""
        claim, status = self._claim, reply.status
        if not self._is_result(status):
            await self._settle(self._ledger.release(claim), "released")
            return reply
        headers = tuple(reply.headers.raw)
        body = reply.body
        if not isinstance(body, Body):
            await self._keep(status, headers, body, reply)
            return reply

        async def ended(whole: bytes | None, error: BaseException | None) -> None:
            if error is not None:
                await self._settle(self._ledger.lose(claim, _named(error)), "unknown")
            else:
                await self._keep(status, headers, whole, reply)

        self._relay = Relay(body, self._policy.max_body, ended, self._spawn)
        reply.body = self._relay.out
        if self._alone:
            self._relay.leave()
        return reply

    async def _keep(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes | None,
        reply: Reply | None = None,
    ) -> None:
        if body is None or len(body) > self._policy.max_body:
            await self._settle(self._ledger.drop(self._claim, status, "too_large"), "dropped")
            return
        if reply is not None and reply.is_event_stream:
            body = _without_added_usage(self._exchange, reply, body)
        await self._settle(self._ledger.keep(self._claim, status, headers, body), "kept")

    async def _failed(self, fault: BaseException) -> None:
        """Write down how an execution failed: what a provider refused is an answer, what never left is nothing."""
        claim, face = self._claim, self._exchange.client_face
        if not claim.open:
            self._done.set()
        elif isinstance(fault, ProviderError) and face is not None and self._is_result(fault.status):
            shaped = face.error(fault)
            body = shaped.body if isinstance(shaped.body, bytes) else None
            await self._keep(shaped.status, tuple(shaped.headers.raw), body)
        elif isinstance(fault, ProviderError) or not self._may_be_executed(fault):
            await self._settle(self._ledger.release(claim), "released")
        else:
            await self._settle(self._ledger.lose(claim, _named(fault)), "unknown")

    async def _settle(self, work: Coroutine[Any, Any, None], result: str) -> None:
        try:
            await work
        finally:
            self._count(result)
            self._done.set()

    def _is_result(self, status: int) -> bool:
        """Whether a status tells that something was done, or refused for good, by who was asked."""
        if status in self._policy.not_executed:
            return False
        return self._claim.sent or status < 400

    def _may_be_executed(self, fault: BaseException) -> bool:
        if not self._claim.sent:
            return False
        attempts = self._exchange.attempts
        if not attempts:  # a plugin's own answer: what it refuses, it did not do
            return not (isinstance(fault, GatewayError) and fault.status < 500)
        return any(self._may_have_executed(attempt) for attempt in attempts)

    def _may_have_executed(self, attempt: Attempt) -> bool:
        """Whether an upstream may have done what an attempt asked for."""
        if attempt.status is not None:
            return attempt.status not in self._policy.not_executed
        fault = attempt.error
        if isinstance(fault, UpstreamError):
            return fault.sent
        return not isinstance(fault, GatewayError)


def _without_added_usage(exchange: Exchange, reply: Reply, body: bytes) -> bytes:
    """Take out of a stream what the gateway itself asked the provider for."""
    if not exchange.usage_added or exchange.endpoint is None or "content-encoding" in reply.headers:
        return body
    machine = exchange.route.targets[exchange.endpoint.upstream].face.stream_filter(exchange)
    return body if machine is None else machine.feed(body) + machine.close()


def _named(fault: BaseException) -> str:
    return fault.code if isinstance(fault, GatewayError) else type(fault).__name__
