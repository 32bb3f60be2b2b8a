"""Keeps the ledger: a row for each attempt, and for each exchange that made none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from llmproxy.plugin import (
    TOLD,
    Attempt,
    Body,
    CallNext,
    Exchange,
    GatewayError,
    Plugin,
    Reply,
    Runtime,
    SettlementState,
    StateKey,
    Tiers,
    UpstreamRequest,
    belated,
    hookimpl,
    postgres_of,
)
from llmproxy_ledger.accounting import SEEN, Accounting, is_under_way
from llmproxy_ledger.config import SCHEMA, LedgerConfig, LedgerRoute, OnAbort
from llmproxy_ledger.draining import Drain, Joining
from llmproxy_ledger.estimating import Seen
from llmproxy_ledger.journal import JournalFault
from llmproxy_ledger.keeping import Keeping, Meters, keep
from llmproxy_ledger.pricing import Prices
from llmproxy_ledger.records import PriceList

#: Seconds between two looks for journals of workers that died.
_LOOK: Final = 2.0
_DRAIN: Final[StateKey[Drain]] = StateKey("ledger.drain")
#: Whether a caller left before the answer to what was sent began; no further attempt is made then.
_LEFT: Final[StateKey[bool]] = StateKey("ledger.left")


class LedgerPlugin(Plugin[LedgerConfig]):
    """Journal first, database soon after; nothing on a request's way waits for the database."""

    Config = LedgerConfig
    RouteConfig = LedgerRoute
    single = True

    def __init__(self, name: str, config: LedgerConfig) -> None:
        super().__init__(name, config)
        #: What becomes of streams that their callers left, by route.
        self._policies: dict[str, OnAbort] = {}

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Open the journal, and take over what dead workers left."""
        self._runtime = runtime
        self._meters = Meters(runtime.metrics, runtime.log.warning)
        await runtime.tariff.load()
        directory = os.path.abspath(self.config.directory)  # noqa: ASYNC240  # looks at no file
        database = self.config.database
        postgres = partial(postgres_of, runtime, database.url, SCHEMA, connections=1) if database else None
        made = partial(keep, self.config, self._meters, postgres)
        async with runtime.shared(("ledger", directory, database, self.config.keeping), made) as keeping:
            self._keeping = keeping
            prices = Prices(self.config, runtime.tariff, self._list)
            self._accounting = Accounting(
                keeping.journal,
                prices,
                runtime.tariff,
                runtime.clock.wall,
                self.config.max_output,
                self._wrote,
            )
            looking = runtime.spawn(self._take_over(keeping), name="take-over", once_per_host=True)
            yield
            if looking is not None:
                looking.cancel()
                await asyncio.wait([looking])

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Watch what leaves of a stream; keep it coming where it is to be drained."""
        if self._policy(exchange) != "drain":
            reply = await call_next(exchange)
            if isinstance(reply.body, Body) and exchange.model is not None:
                self._watch(exchange, reply.body)
            return reply
        attempt = asyncio.ensure_future(call_next(exchange))
        try:
            reply = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if is_under_way(exchange):
                exchange.state[_LEFT] = True
                self._runtime.spawn(self._outlive(exchange, attempt), name="drain")
            else:
                attempt.cancel()
                await asyncio.wait([attempt])
                _ = attempt.cancelled() or attempt.exception()  # nobody else hears of it
            raise
        if isinstance(reply.body, Body):
            self._watch(exchange, reply.body)
            drain = exchange.state[_DRAIN] = Drain(reply.body)
            with suppress(RuntimeError):
                reply.body.observe(Joining(reply.body, drain))
        return reply

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Write down that an attempt is about to leave."""
        if _LEFT in exchange.state:
            raise GatewayError(502, "client_gone", "The caller has left.")
        try:
            self._accounting.open(exchange, request)
        except JournalFault:
            message = "The gateway cannot write down what calls cost, so it makes none."
            raise GatewayError(503, "ledger_unavailable", message) from None

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Write down what it came to."""
        self._accounting.close(exchange, attempt, self._policy(exchange))

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Write down what made no attempt; let what was left be drained for so long."""
        if not exchange.attempts:
            self._accounting.free(exchange)
        elif (drain := exchange.state.get(_DRAIN)) is not None and not drain.over:
            drain.begin(*self._bounds(exchange))
        if TOLD in exchange.state:
            for place, found in enumerate(await belated(exchange), 1):
                self._accounting.late(exchange, found, len(exchange.attempts) + place)

    def _watch(self, exchange: Exchange, body: Body) -> None:
        seen = Seen()
        # What has begun to leave is a shared call's, which somebody else accounts for.
        with suppress(RuntimeError):
            body.observe(seen)
            exchange.state[SEEN] = seen

    async def _outlive(self, exchange: Exchange, attempt: asyncio.Future[Reply]) -> None:
        """Let an attempt go on that its caller did not wait for, and read its answer to the end."""
        seconds, size = self._bounds(exchange)
        try:
            async with asyncio.timeout(seconds):
                body = (await attempt).body
                if isinstance(body, Body):
                    await body.read(size)
        except Exception as fault:  # the attempt has settled with it
            self._runtime.log.debug("ledger_drain_ended", reason=type(fault).__name__)

    def _policy(self, exchange: Exchange) -> OnAbort:
        route = exchange.route
        policy = self._policies.get(route.name)
        if policy is None:
            options: LedgerRoute = exchange.options(self)
            policy = self._policies[route.name] = options.on_abort or self.config.on_abort
        return policy

    def _bounds(self, exchange: Exchange) -> tuple[float, int]:
        options: LedgerRoute = exchange.options(self)
        seconds = self.config.drain_time if options.drain_time is None else options.drain_time
        return seconds, self.config.drain_size if options.drain_size is None else options.drain_size

    def _list(self, rates: Tiers, version: str) -> None:
        self._keeping.journal.list_price(PriceList(version, rates))

    def _wrote(self, state: SettlementState, unpriced: str) -> None:
        self._meters.wrote(state)
        if unpriced:
            if self._meters.first_unpriced(unpriced):
                self._runtime.log.warning("ledger_price_unknown", upstream=unpriced)
            self._meters.unpriced.labels(unpriced).inc()

    async def _take_over(self, keeping: Keeping) -> None:
        while True:
            try:
                self._meters.count_lost(await asyncio.to_thread(keeping.posting.take_over))
            except Exception as fault:  # what is not taken over now is later
                self._meters.faulty(fault)
            await self._runtime.clock.sleep(_LOOK)
