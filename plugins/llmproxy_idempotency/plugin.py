"""Executes an unsafe request once a key, and gives its result to whoever sends the same request again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import Any, ClassVar, Literal, NamedTuple

from llmproxy.plugin import (
    CallNext,
    Exchange,
    GatewayError,
    Headers,
    Plugin,
    Reply,
    Runtime,
    StateKey,
    StoreAway,
    UpstreamRequest,
    hookimpl,
    store_key,
)
from llmproxy_idempotency import verdict
from llmproxy_idempotency.config import IdempotencyConfig, IdempotencyRoute
from llmproxy_idempotency.execution import Execution
from llmproxy_idempotency.fingerprint import fingerprint
from llmproxy_idempotency.heart import Heart
from llmproxy_idempotency.keyfield import IdempotencyKey, MalformedKey, read_key
from llmproxy_idempotency.ledger import Claim, Ledger
from llmproxy_idempotency.meters import Meters
from llmproxy_idempotency.record import Record


class Asked(NamedTuple):
    """What a request with a key asks for: the key's name in the store, and what it stands for."""

    name: bytes
    fingerprint: bytes
    key: IdempotencyKey
    policy: IdempotencyConfig


class IdempotencyPlugin(Plugin[IdempotencyConfig]):
    """`Idempotency-Key` for the routes that list it."""

    Config = IdempotencyConfig
    RouteConfig = IdempotencyRoute
    #: A fault of its own must never let a request through that may have been executed already.
    on_error: ClassVar[Literal["open", "closed"] | None] = "closed"
    after: ClassVar[tuple[str, ...]] = ("access",)

    _runtime: Runtime
    _heart: Heart
    _ledger: Ledger
    _meters: Meters

    def __init__(self, name: str, config: IdempotencyConfig) -> None:
        super().__init__(name, config)
        self._field = config.header.lower().encode("latin-1")
        self._policies: dict[str, IdempotencyConfig] = {}
        self._asked: StateKey[Asked] = StateKey(f"{name}.asked")
        self._claim: StateKey[Claim] = StateKey(f"{name}.claim")
        self._execution: StateKey[Execution] = StateKey(f"{name}.execution")

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Open the store, and live in it."""
        self._runtime = runtime
        store = await runtime.store(self.config.store)
        # A tier in this process may be behind what other workers wrote: here only the shared one counts.
        store = getattr(store, "far", store)
        if getattr(store, "NAME", "") == "memory":
            runtime.log.warning(
                "idempotency_in_memory", store=self.config.store, covers="one worker, until it ends"
            )
        self._meters = Meters(runtime.metrics)
        self._heart = Heart(store, self.config.lease, runtime.clock)
        self._ledger = Ledger(store, self._heart, runtime.clock)
        await self._beat()
        beating = runtime.spawn(self._live(), name="heartbeat")
        try:
            yield
        finally:
            if beating is not None:
                beating.cancel()
            with suppress(StoreAway):
                await self._ledger.flush()
                await self._heart.stop()

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Read the key, and what it is to stand for, before any plugin below changes it."""
        policy = self._policy(exchange)
        # What a plugin asks for within a request has that request's key, if any.
        if exchange.request.method not in policy.methods or exchange.upgraded or exchange.parent is not None:
            return None
        try:
            key = read_key(exchange.request.headers, self._field)
        except MalformedKey as fault:
            raise self._refused(exchange, verdict.malformed(policy.header, str(fault))) from None
        if key is None:
            if policy.required:
                raise self._refused(exchange, verdict.missing(policy.header))
            return None
        body = await exchange.body()
        caller = exchange.caller
        digest = blake2b(key.text, digest_size=24).digest()
        name = store_key(caller.tenant, exchange.route.name, "idempotency", self.name, caller.key, digest)
        mark = fingerprint(exchange.request, body, caller)
        exchange.state[self._asked] = Asked(name, mark, key, policy)
        return None

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        """Take the key, or answer for who took it."""
        asked = exchange.state.get(self._asked)
        if asked is None:
            return None
        try:
            resend = asked.policy.on_unknown == "resend"
            found = await self._ledger.claim(asked.name, asked.fingerprint, asked.policy.ttl, resend=resend)
            if isinstance(found, Record):
                return await self._again(exchange, asked, found)
        except StoreAway:
            if asked.policy.on_store_fault == "refuse":
                raise self._refused(exchange, verdict.unavailable()) from None
            self._meters.met(exchange.route.name, "unprotected")
            return None
        exchange.state[self._claim] = found
        self._meters.met(exchange.route.name, "first")
        return None

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Execute, and keep what comes of it."""
        asked, claim = exchange.state.get(self._asked), exchange.state.get(self._claim)
        if asked is None or claim is None:
            return await call_next(exchange)
        ended = partial(self._meters.ended, exchange.route.name)
        execution = Execution(exchange, claim, self._ledger, asked.policy, self._spawn, ended)
        exchange.state[self._execution] = execution
        return await execution.run(call_next)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Write down that the request leaves; give the upstream a key that no other caller can have."""
        asked = exchange.state.get(self._asked)
        if asked is None:
            return
        if asked.policy.forward == "none":
            request.headers.remove(self._field)
        elif asked.policy.forward == "scoped":
            scoped = blake2b(asked.name, digest_size=20).hexdigest().encode()
            request.headers.set(asked.policy.header, asked.key.spelled(scoped))
        execution = exchange.state.get(self._execution)
        if execution is not None:
            await execution.about_to_send(exchange.attempts[-1])

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """See an execution to its end whose caller has left; give back a key that was not needed."""
        claim = exchange.state.get(self._claim)
        if claim is None:
            return
        execution = exchange.state.get(self._execution)
        if execution is not None:
            await execution.outlive(self._runtime.clock.now())
        elif claim.open:
            await self._ledger.release(claim)

    async def _again(self, exchange: Exchange, asked: Asked, record: Record) -> Reply:
        """Answer a request whose key is taken."""
        if record.fingerprint != asked.fingerprint:
            raise self._refused(exchange, verdict.reused(asked.policy.header))
        error = verdict.refusal(record, alive=await self._ledger.lives(record))
        if error is not None:
            raise self._refused(exchange, error)
        body = await self._ledger.body(asked.name, record)
        if body is None:
            raise self._refused(exchange, verdict.not_kept(record.status))
        self._meters.met(exchange.route.name, "replayed")
        headers = Headers([*record.headers, (b"Idempotent-Replayed", b"true")])
        if record.status >= 500 and "x-should-retry" not in headers:
            headers.add("x-should-retry", "false")  # it is the same each time
        return Reply(record.status, headers, body)

    def _refused(self, exchange: Exchange, error: GatewayError) -> GatewayError:
        self._meters.met(exchange.route.name, error.code)
        return error

    def _policy(self, exchange: Exchange) -> IdempotencyConfig:
        """Return what holds on a route; there are as many as routes."""
        route = exchange.route.name
        policy = self._policies.get(route)
        if policy is None:
            policy = self._policies[route] = exchange.options(self).over(self.config)
        return policy

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self._runtime.spawn(work, name="execution")
        if task is None:
            raise RuntimeError("this work is for every worker")
        return task

    async def _live(self) -> None:
        while True:
            await self._runtime.clock.sleep(self.config.lease / 3)
            await self._beat()

    async def _beat(self) -> None:
        try:
            await self._heart.beat()
            await self._ledger.flush()
        except StoreAway as fault:
            self._runtime.log.warning("idempotency_store_away", store=self.config.store, reason=str(fault))
