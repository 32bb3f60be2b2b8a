"""Walks the pools of routes: chooses places, retries, falls back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from llmproxy.plugin import (
    AdminRequest,
    Attempt,
    CallNext,
    Endpoint,
    Exchange,
    GatewayError,
    Place,
    Plugin,
    Pool,
    Registry,
    Reply,
    Runtime,
    hookimpl,
)
from llmproxy_balance import strategies
from llmproxy_balance.belongingsettings import AffinitySettings
from llmproxy_balance.capabilities import CapabilityGate
from llmproxy_balance.caring import Care, caring
from llmproxy_balance.choices import choices_of, tell_choice
from llmproxy_balance.conditions import Conditions
from llmproxy_balance.config import BalanceConfig, BalanceRoute
from llmproxy_balance.escorting import Escort, escorting
from llmproxy_balance.facts import Facts
from llmproxy_balance.foreseeing import foreseen
from llmproxy_balance.hedgesettings import HedgeSettings
from llmproxy_balance.highways import Highways
from llmproxy_balance.limits import Limits, Slots
from llmproxy_balance.lineup import AllWell, Gatekeeper, LineUp
from llmproxy_balance.metering import Meters
from llmproxy_balance.policies import MakeStrategy, Policies
from llmproxy_balance.retrybudget import RetryBudget
from llmproxy_balance.retrying import Backoff, check_after, is_answer
from llmproxy_balance.singles import Singles
from llmproxy_balance.telling import EXPLAIN, TIMEOUT, lower_deadline, tell_attempts, wants
from llmproxy_balance.walking import Terms, Walker, trail_of
from llmproxy_balance.watching import Unwatched, Watcher

#: Says where a request leads, given where it would.
Choose = Callable[[Exchange, Sequence[Endpoint]], Sequence[Endpoint]]


class BalancePlugin(Plugin[BalanceConfig]):
    """Chooses between the places of a pool, and goes on where one fails."""

    Config = BalanceConfig
    RouteConfig = BalanceRoute
    single = True
    walks_pools = prompt = True
    answers_header = EXPLAIN

    _care: Care
    _escort: Escort
    _highways: Highways
    _walker: Walker
    #: Walks for requests that belong somewhere.
    _guide: Walker
    #: Walks where there is no pool, and nobody watches.
    _plain: Walker

    def __init__(self, name: str, config: BalanceConfig) -> None:
        super().__init__(name, config)
        self._rng = Random(config.seed)  # noqa: S311  # what it decides needs no secrecy
        self._facts = Facts()
        self._conditions = Conditions(self._facts)
        self._capable = capable = CapabilityGate(self._facts)
        gates = (
            Gatekeeper(self._conditions, lambda place: place.settings.when is not None),
            Gatekeeper(capable, lambda place: True),
        )
        full = Gatekeeper(
            self._is_full, lambda place: place.settings.limit is not None, passing=True, waits=True
        )
        self._line_up = LineUp(AllWell(), (*gates, full))
        foreign = Gatekeeper(self._is_foreign, lambda place: True, passing=True)
        #: For requests that belong somewhere, which few do.
        self._homeward = LineUp(AllWell(), (*gates, foreign, full))
        self._line_up.window = self._homeward.window = self._window
        self._singles = Singles()
        #: None until the gateway runs.
        self._limits: Limits | None = None

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the strategies, and look at what targets say."""
        strategies.register(registry, self._rng, self._facts)
        registry.check_targets(self._conditions.check)
        registry.check_targets(check_after)
        if self.config.health is not None:
            registry.admin_route("GET", "/balance", self._overview, permission="read")
        registry.choose_endpoints(_choice)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Watch the places' health, as long as the gateway runs."""
        self._facts.open(runtime)
        async with AsyncExitStack() as stack:
            slots = await stack.enter_async_context(runtime.shared(("slots", runtime.name), _slots))
            watcher: Watcher = Unwatched()
            if self.config.health is not None:
                care = caring(runtime, self.config.health, self._rng.random)
                self._care = await stack.enter_async_context(care)
                watcher = self._care.wellbeing
            self._open(runtime, watcher, slots)
            self._escort = await stack.enter_async_context(escorting(runtime, self.config.origins, self._rng))
            self._homeward.prefer = self._escort.belonging.prefer
            self._highways = Highways(self._walker, self._capable, self._escort, self._extras_of)
            yield

    def _open(self, runtime: Runtime, watcher: Watcher, slots: Slots) -> None:
        self._line_up.health = self._homeward.health = watcher
        self._limits = Limits(self.config.queue, runtime.clock, slots, runtime.metrics)
        budget = RetryBudget(self.config.retry_budget)
        backoff = Backoff(self.config.backoff, self._rng)
        meters = Meters(runtime.metrics)
        self._clock = runtime.clock
        self._walker = Walker(
            self._line_up, watcher, self._limits, budget, backoff, runtime.clock, meters, self._terms_of
        )
        self._guide = self._walker.along(self._homeward)
        plain = LineUp(AllWell())
        self._plain = Walker(
            plain, Unwatched(), self._limits, budget, backoff, runtime.clock, meters, self._terms_of
        )

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Walk the pool, or the endpoints that stand in its place."""
        start = self._highways.start(exchange)
        if start is None:
            return await self._go_long_way(exchange, call_next)
        stop, rest = start
        outcome: Reply | GatewayError
        try:
            outcome = await call_next(exchange)
            if not exchange.attempts:
                stop.skip(exchange)
            if outcome.status < 400 or is_answer(exchange, outcome.status):
                if stop.follows and exchange.client_face is not None:
                    self._escort.belonging.read(exchange, outcome)
                return outcome
        except GatewayError as fault:
            outcome = fault
        except BaseException:
            stop.leave(exchange)
            raise
        reply = await stop.go_on(exchange, rest, outcome, call_next)
        self._walker.watcher.began(exchange)
        self._escort.after(exchange, stop.pool, reply)
        return reply

    async def _go_long_way(self, exchange: Exchange, call_next: CallNext) -> Reply:
        """Ask everybody who has a say in where an exchange goes."""
        pool = exchange.endpoints
        if exchange.pinned is not None or not pool:
            return await call_next(exchange)
        if TIMEOUT in exchange.request.headers.index:
            lower_deadline(exchange, pool)
        hedge, affinity = self._extras_of(exchange)
        if not isinstance(pool, Pool):
            return await self._plain.walk(exchange, self._singles.pool_of(pool), call_next, hedge)
        walker, escort, belongs = self._walker, self._escort, False
        if escort.concerns(exchange, pool, affinity):
            await escort.before(exchange, pool, call_next, affinity)
            belongs = escort.belonging.wishes(exchange)
            walker = self._guide if belongs else walker
        reply = await walker.walk(exchange, pool, call_next, hedge)
        walker.watcher.began(exchange)
        escort.after(exchange, pool, reply, belongs=belongs)
        return reply

    def _extras_of(self, exchange: Exchange) -> tuple[HedgeSettings | None, AffinitySettings | None]:
        options, config = exchange.options(self), self.config
        return options.hedge or config.hedge, options.affinity or config.affinity

    @hookimpl
    def attempt_done(self, exchange: Exchange, attempt: Attempt) -> None:
        """Account for an attempt that the walk made."""
        trail = exchange.trail
        if trail is not None:
            trail.done(exchange, attempt)

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Tell which places were tried, and why those, where the caller asks."""
        if self.config.tell_attempts:
            if wants(exchange, b"attempts") and (trail := trail_of(exchange)) is not None:
                tell_attempts(exchange, trail, reply, self._clock.now())
            if wants(exchange, b"choice"):
                tell_choice(exchange, reply)

    async def _overview(self, request: AdminRequest) -> Reply:
        return await self._care.overview.answer(request)

    def _terms_of(self, exchange: Exchange) -> Terms:
        config, route = self.config, exchange.options(self)
        return Terms(
            config.retries if route.retries is None else route.retries,
            config.max_wait if route.max_wait is None else route.max_wait,
        )

    def _is_full(self, exchange: Exchange, place: Place) -> str:
        return "" if self._limits is None else self._limits.gate(exchange, place)

    def _is_foreign(self, exchange: Exchange, place: Place) -> str:
        return self._escort.belonging.gate(exchange, place)

    def _window(self, exchange: Exchange, place: Place) -> int | None:
        told = place.settings.capabilities
        if told is not None and told.window is not None:
            return told.window
        return None if place.endpoint is None else self._facts.window(exchange, place.endpoint)

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Tell the line-up of the pool."""
        pool = exchange.endpoints
        if not isinstance(pool, Pool):
            return list(choices_of(exchange))
        line_up = list(foreseen(self._line_up, exchange, pool))
        return [*choices_of(exchange), *line_up]


@asynccontextmanager
async def _slots() -> AsyncIterator[Slots]:
    yield Slots()


def _choice(options: BalanceRoute, pools: Mapping[str, Pool], make: MakeStrategy) -> Choose | None:
    """Return what obeys the policies that callers of a route pick, if it has any."""
    if not options.policies:
        return None
    return Policies(options.policies, options.policy_header, pools, make).choose
