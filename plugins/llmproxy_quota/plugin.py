"""Keeps limits of requests, tokens, money and calls in flight: taken before a call, settled after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
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
from llmproxy_quota.book import Book
from llmproxy_quota.bounding import Bounds, as_told
from llmproxy_quota.charging import charge_hold
from llmproxy_quota.config import QuotaConfig, QuotaRoute
from llmproxy_quota.course import Course
from llmproxy_quota.pricing import Pricing
from llmproxy_quota.remarking import remark
from llmproxy_quota.saving import Saver, foresee, tell
from llmproxy_quota.spending import Spending
from llmproxy_quota.taking import Taker
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
    _spending: Spending
    _uncalled: Uncalled

    def __init__(self, name: str, config: QuotaConfig) -> None:
        super().__init__(name, config)
        self._book = Book(name, config.limits, is_told=config.headers)
        self._bounds = Bounds(config)
        self._course: StateKey[Course] = StateKey(name)

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
        self._spending = Spending(self._pricing, self._taker, self.config, runtime.clock.wall)
        self._uncalled = Uncalled(self._book, self._pricing, self._taker, self._course)
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
            course = exchange.state[self._course] = Course(None if self._book.by_model else rules)
            course.early = self._taker.at_hand(rules.first) or await self._taker.take(rules.first)
        if self._book.saves and rules.late:
            await self._saver.save(exchange, rules.tag, rules.late)
        return None

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Take the tokens and the money that the first attempt may use."""
        course = exchange.state.get(self._course)
        rules = course.rules if course is not None else None
        if rules is None:
            rules = self._book.rules_of(exchange)
        if not rules.late or exchange.route.models is None:
            return await call_next(exchange)
        if course is None:  # a part of another exchange takes nothing before
            course = exchange.state[self._course] = Course()
        number = len(exchange.attempts) + 1
        bound = self._bounds.known(exchange, hard=rules.hard) or await self._bounds.of(
            exchange, hard=rules.hard
        )
        if bound is None:
            return await call_next(exchange)
        course.bound = bound
        portion = self._spending.portion(exchange, rules, bound, exchange.endpoints)
        hold = self._taker.at_hand(portion) or await self._taker.take(portion)
        self._spending.keep(exchange, course, hold, number, bound)
        try:
            return await call_next(exchange)
        finally:
            if len(exchange.attempts) < number and not is_charged(exchange):
                self._spending.release(course, number)

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Take the same again for each further attempt, and more where its translation may come to more."""
        course = exchange.state.get(self._course)
        if course is None:
            return
        if course.early is not None:
            self._taker.leaves(course.early)
        bound = course.bound
        if bound is None:
            return
        number, attempts, late = request.attempt, exchange.attempts, course.late
        attempt = attempts[number - 1]
        if attempt.translated:
            taken, bound = bound, as_told(request, bound, self.config)
            if bound is not taken and number in late:
                self._spending.release(course, number)
        hold = late.get(number)
        if hold is None:
            portion = self._spending.portion(
                exchange, self._book.rules_of(exchange), bound, (attempt.endpoint,)
            )
            hold = await self._taker.take(portion, noted=False)
            self._spending.keep(exchange, course, hold, number, bound)
        else:
            self._taker.leaves(hold)
        hold.request = request

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Settle what the attempt came to."""
        course = exchange.state.get(self._course)
        if course is None:
            return
        hold = course.late.pop(attempt.number, None)
        if hold is not None:
            self._taker.settle(hold, charge_hold(self._pricing, exchange, attempt, hold))
        if course.gone:
            self._land(exchange, course)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Tell how the limits stand; take what a kept answer is charged before it leaves."""
        course = exchange.state.get(self._course)
        if (
            exchange.route.charging is not None
            and is_charged(exchange)
            and (course is None or not course.late)
        ):
            await self._uncalled.take(exchange)
        if self._book.saves:
            tell(exchange, reply)
        if course is not None and (early := course.early) is not None and early.said is not None:
            early.portion.heading.tell(reply.headers, early.said)  # type: ignore[union-attr]  # it said so

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        """Give back the place in flight, and what no attempt was made for."""
        course = exchange.state.get(self._course)
        if course is not None and not self._land(exchange, course):
            course.gone = True
        if exchange.route.charging is not None and not exchange.attempts:
            await self._uncalled.settle(exchange)
        if TOLD in exchange.state:
            for found in await belated(exchange):
                await self._uncalled.count(exchange, found)

    async def _take_over(self) -> None:
        while True:
            self._taker.take_over()
            await self._runtime.clock.sleep(_LOOK)

    def _land(self, exchange: Exchange, course: Course) -> bool:
        """Give back the place in flight, if no attempt goes on: else who leaves could have any number at once."""
        early = course.early
        if early is None:
            return True
        for attempt in exchange.attempts:
            if attempt.ended is None:
                return False
        self._taker.settle(early, early.portion.amounts)
        return True

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Say which limits would have a cheaper model answer."""
        return list(foresee(self.config.limits, body))

    def remarks(self, routes: Sequence[Route], labels: Collection[str]) -> Iterator[str]:
        """Say which limits cannot do what they seem to."""
        return remark(self.config, routes, labels)


def _limits_in(store: Store, where: str) -> reserving.Reservations:
    kept = reserving.reservations_of(store)
    if kept is None:
        raise StartError(
            f"{where} keeps no limits; name a store of memory://, lmdb://, redis:// or valkey://"
        )
    return kept
