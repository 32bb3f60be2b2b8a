"""Pools, compiled: the places that may answer a request, nested, with the strategies that order them. Pure.

    pool = pools["fast"]
    pool[0]                                  # the first place that was written down; a pool is the sequence of them
    pool.strategy.order(exchange, pool.places)

Which places a request is sent to, in which order and how often, is the business of the plugin that walks the pool
(`llmproxy_balance`); without one, the first place is the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from llmproxy.exchange import Endpoint
from llmproxy.poolsettings import PoolConfig, TargetConfig

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.poolsettings import StrategyRef


class Vitals:
    """How one place fares, as this worker sees it: read by strategies, kept by who makes the attempts.

    `latency` is a moving average of seconds to the first output (or to the reply's head where nothing is streamed), None
    before the first one.
    """

    __slots__ = ("in_flight", "latency")

    def __init__(self) -> None:
        self.in_flight = 0
        self.latency: float | None = None


class Place:
    """One place of a pool: an endpoint, or another pool; `settings` is how the configuration wrote it down.

    `label` is its name in metrics, which is one of the configuration's; discovered members share that of their target.
    `labels` are what the registry says of a member.
    """

    __slots__ = (
        "endpoint",
        "label",
        "labels",
        "name",
        "pool",
        "settings",
        "vitals",
        "weight",
    )

    def __init__(
        self,
        name: str,
        settings: TargetConfig,
        endpoint: Endpoint | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.name = self.label = name
        self.labels: tuple[tuple[str, str], ...] = ()
        self.settings = settings
        self.endpoint = endpoint
        self.pool = pool
        self.weight = settings.weight
        self.vitals = Vitals()

    def __repr__(self) -> str:
        return f"<Place {self.name!r}>"


class Strategy(Protocol):
    """Orders a pool's places for one request; sync, and quick: it is asked once a request."""

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return those of `places` that may answer, best first; the next is asked for only when one failed."""


class Written:
    """The strategy where none is named: as written down."""

    def order(self, exchange: Exchange, places: Sequence[Place]) -> Iterable[Place]:
        """Return them in their order."""
        return places


#: Makes a pool's strategy from its reference in the configuration.
StrategyMaker = Callable[["Pool", "StrategyRef"], Strategy]


class Pool(tuple[Endpoint, ...]):
    """The endpoints that a configuration wrote down, nested ones included, as one sequence.

    `places` are the places to choose from now: they change where places are discovered, the sequence does not. `mirrors`
    are places that answer nobody and get copies of requests. `kept` is what
    the plugin that walks it has found out about it, by the names of routes.
    """

    name: str
    #: The names of the upstreams that it leads to.
    upstreams: frozenset[str]
    places: tuple[Place, ...]
    mirrors: tuple[Place, ...]
    strategy: Strategy
    kept: dict[str, Any]

    @classmethod
    def of(cls, name: str, places: Iterable[Place]) -> Pool:
        """Make a pool of places that stand; its strategy is the written order until it gets another."""
        given = tuple(places)
        found = tuple(place for place in given if place.settings.mirror is None)
        pool = cls(
            endpoint
            for place in found
            for endpoint in (place.pool if place.pool is not None else (place.endpoint,))
            if endpoint is not None
        )
        pool.name = name
        pool.upstreams = frozenset(endpoint.upstream for endpoint in pool)
        pool.places = found
        pool.mirrors = tuple(place for place in given if place.settings.mirror is not None)
        pool.strategy = Written()
        pool.kept = {}
        return pool

    def __repr__(self) -> str:
        return f"<Pool {self.name!r}: {', '.join(place.name for place in self.places)}>"


def compile_pools(
    configs: Mapping[str, PoolConfig],
    make_strategy: StrategyMaker,
    made: dict[str, Pool] | None = None,
) -> dict[str, Pool]:
    """Compile all pools but those that are `made`; in what is configured, names are known and none leads to itself."""
    made = {} if made is None else made
    for name in configs:
        _compile(name, configs, make_strategy, made)
    return made


def _compile(
    name: str,
    configs: Mapping[str, PoolConfig],
    make_strategy: StrategyMaker,
    made: dict[str, Pool],
) -> Pool:
    if name not in made:
        config = configs[name]
        places = []
        for target in config.targets:
            if target.pool is not None:
                inner = _compile(target.pool, configs, make_strategy, made)
                places.append(Place(target.name or target.pool, target, pool=inner))
            else:
                places.append(place_of(target))
        made[name] = pool = Pool.of(name, places)
        if config.strategy is not None:
            pool.strategy = make_strategy(pool, config.strategy)
    return made[name]


def place_of(target: TargetConfig) -> Place:
    """Return the place that an upstream's target is."""
    upstream = target.upstream or ""
    name = target.name or (upstream if target.model is None else f"{upstream}/{target.model}")
    member = None if target.members is None else ""
    return Place(name, target, endpoint=Endpoint(upstream, target.model, member))
