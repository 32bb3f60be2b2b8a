"""Keeps limits of requests, tokens, money and calls in flight: taken before a call, settled after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    RESERVATIONS,
    TOLD,
    Attempt,
    CallNext,
    Exchange,
    Plugin,
    Reply,
    Runtime,
    StartError,
    StateKey,
    Store,
    UpstreamRequest,
    belated,
    hookimpl,
    is_charged,
    reserving,
)
from llmproxy_quota.book import Book, Rules
from llmproxy_quota.bounding import Bounds, as_told
from llmproxy_quota.bounds import Bound
from llmproxy_quota.charging import amounts_of, charge_hold
from llmproxy_quota.config import QuotaConfig, QuotaRoute
from llmproxy_quota.pricing import Pricing
from llmproxy_quota.remarking import remark
from llmproxy_quota.saving import Saver, foresee, tell
from llmproxy_quota.taking import Hold, Taker
from llmproxy_quota.uncalled import Uncalled

if TYPE_CHECKING:
    from llmproxy.plugin import Route


#: Seconds between two looks for what dead workers have left; leases last longer.
_LOOK: Final = 0.5


class QuotaPlugin(Plugin[QuotaConfig]):
    """Limits for the routes that list it, below the plugin that says who asks and below the caches."""

    Config = QuotaConfig
    RouteConfig = QuotaRoute
    on_error = "closed"
    after = ("access",)

    _runtime: Runtime
    _taker: Taker
    _pricing: Pricing
    _saver: Saver
    _uncalled: Uncalled

    def __init__(self, name: str, config: QuotaConfig) -> None:
        super().__init__(name, config)
        self._book = Book(name, config.limits)
        self._bounds = Bounds(config)
        self._early: StateKey[tuple[Rules, Hold]] = StateKey(f"{name}.early")
        #: Whether the caller has gone, or has his answer; an attempt of his may go on, for others or to be drained.
        self._gone: StateKey[bool] = StateKey(f"{name}.gone")
        self._bound: StateKey[Bound] = StateKey(f"{name}.bound")
        self._late: StateKey[dict[int, Hold]] = StateKey(f"{name}.late")

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Open the store, and keep alive what is held in it."""
        self._runtime = runtime
        where = f"plugins.{self.name}.store: {self.config.store!r}"
        kept = _limits_in(await runtime.store(self.config.store), where)
        if self._book.saves or any(limit.counts == "money" for limit in self.config.limits):
            await runtime.tariff.load()
        self._pricing = Pricing(runtime.tariff)
        self._taker = Taker(kept, self.config.share, self.config.lease, runtime)
        self._uncalled = Uncalled(self._book, self._pricing, self._taker, self._late)
        self._saver = Saver(self._pricing, self._taker, runtime.clock.now)
        runtime.spawn(self._taker.keep_alive(), name="keep-alive")
        runtime.spawn(self._take_over(), name="take-over", once_per_host=True)
        yield
        await self._taker.close()

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Take requests and a place in flight."""
        if exchange.parent is not None:
            return None
        if self._book.asks_model and exchange.model is None:
            await exchange.body()
        rules = self._book.rules_of(exchange)
        if rules.early:
            exchange.state[self._early] = rules, await self._taker.take(rules.first)
        if self._book.saves and rules.late:
            await self._saver.save(exchange, rules.tag, rules.late)
        return None

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Take the tokens and the money that the first attempt may use."""
        rules = self._book.rules_of(exchange)
        if not rules.late or exchange.route.models is None:
            return await call_next(exchange)
        state = exchange.state
        state.setdefault(self._late, {})
        number = len(exchange.attempts) + 1
        bound = await self._bounds.of(exchange, hard=rules.hard)
        if bound is None:
            return await call_next(exchange)
        state[self._bound] = bound
        await self._take(exchange, rules, bound, number)
        try:
            return await call_next(exchange)
        finally:
            if len(exchange.attempts) < number and not is_charged(exchange):
                self._release(exchange, number)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Take the same again for each further attempt, and more where its translation may come to more."""
        state = exchange.state
        if (early := state.get(self._early)) is not None:
            self._taker.leaves(early[1])
        holds, bound = state.get(self._late), state.get(self._bound)
        if holds is None or bound is None:
            return
        number = request.attempt
        if exchange.attempts[number - 1].translated:
            taken, bound = bound, as_told(request, bound, self.config)
            if bound is not taken and number in holds:
                self._release(exchange, number)
        if number not in holds:
            await self._take(exchange, self._book.rules_of(exchange), bound, number, noted=False)
        if (hold := holds.get(number)) is not None:
            self._taker.leaves(hold)
            hold.request = request

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Settle what the attempt came to."""
        holds = exchange.state.get(self._late)
        hold = None if holds is None else holds.pop(attempt.number, None)
        if hold is not None:
            came = charge_hold(self._pricing, exchange, attempt, hold)
            self._taker.settle(hold, came)
        if exchange.state.get(self._gone):
            self._land(exchange)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Tell how the limits stand; take what a kept answer is charged before it leaves."""
        if (
            exchange.route.charging is not None
            and is_charged(exchange)
            and not exchange.state.get(self._late)
        ):
            await self._uncalled.take(exchange)
        if self._book.saves:
            tell(exchange, reply)
        if self.config.headers and (early := exchange.state.get(self._early)) is not None:
            rules, hold = early
            rules.heading.tell(reply.headers, hold.standings)

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Give back the place in flight, and what no attempt was made for."""
        if not self._land(exchange):
            exchange.state[self._gone] = True
        if exchange.route.charging is not None and not exchange.attempts:
            await self._uncalled.settle(exchange)
        if TOLD in exchange.state:
            for found in await belated(exchange):
                await self._uncalled.count(exchange, found)

    async def _take_over(self) -> None:
        while True:
            self._taker.take_over()
            await self._runtime.clock.sleep(_LOOK)

    def _land(self, exchange: Exchange) -> bool:
        """Give back the place in flight, if no attempt goes on: else who leaves could have any number at once."""
        early = exchange.state.get(self._early)
        if early is None:
            return True
        for attempt in exchange.attempts:
            if attempt.ended is None:
                return False
        hold = early[1]
        self._taker.settle(hold, hold.portion.amounts)
        return True

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Say which limits would have a cheaper model answer."""
        return list(foresee(self.config.limits, body))

    def remarks(self, routes: Sequence[Route], labels: Collection[str]) -> Iterator[str]:
        """Say which limits cannot do what they seem to."""
        return remark(self.config, routes, labels)

    async def _take(
        self, exchange: Exchange, rules: Rules, bound: Bound, number: int, *, noted: bool = True
    ) -> None:
        places = (
            exchange.endpoints
            if number > len(exchange.attempts)
            else (exchange.attempts[number - 1].endpoint,)
        )
        amounts = amounts_of(self._pricing, exchange, rules.late, bound, places, self.config.unpriced)
        hold = await self._taker.take(rules.portions.of(amounts), noted=noted)
        exchange.state[self._late][number] = hold
        ends = self._runtime.clock.wall() + self.config.lease
        reservation = hold.reservation(ends, (bound.input, bound.output))
        exchange.state.setdefault(RESERVATIONS, {})[number] = reservation

    def _release(self, exchange: Exchange, number: int) -> None:
        if (hold := exchange.state[self._late].pop(number, None)) is not None:
            self._taker.settle(hold, [0] * len(hold.portion.rules))


def _limits_in(store: Store, where: str) -> reserving.Reservations:
    kept = reserving.reservations_of(store)
    if kept is None:
        raise StartError(
            f"{where} keeps no limits; name a store of memory://, lmdb://, redis:// or valkey://"
        )
    return kept
