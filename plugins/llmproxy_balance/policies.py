"""Policies: other ways to be answered, by name, that callers may pick by a header where a route allows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from llmproxy.plugin import (
    BadRequest,
    ConfigError,
    ConfigErrors,
    Endpoint,
    Exchange,
    Pool,
    Section,
    StateKey,
    Strategy,
    StrategyRef,
)

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: Makes a pool's strategy by name and options.
MakeStrategy = Callable[[Pool, StrategyRef], Strategy]

#: The policy that the caller picked.
POLICY: Final[StateKey[str]] = StateKey("balance.policy")


class PolicySettings(Section, frozen=True):
    """What a policy is: another pool, or another strategy for the pool that the request leads to anyway."""

    pool: str | None = None
    strategy: StrategyRef | None = None

    def __post_init__(self) -> None:
        if (self.pool is None) == (self.strategy is None):
            raise ConfigError("pool", "a policy is a pool or a strategy; write one of them")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`cheap: small-models` is a pool."""
        return {"pool": tree} if isinstance(tree, str) else tree


class Reordered(Pool):
    """A pool in another order: all else is the other pool's, whoever comes and goes there."""

    _base: Pool

    def __getattr__(self, name: str) -> Any:
        if name == "_base":
            raise AttributeError(name)
        return getattr(self._base, name)

    @classmethod
    def by(cls, pool: Pool, strategy: Strategy) -> Reordered:
        """Return a pool in the order of a strategy."""
        other = cls(pool)
        other._base = pool
        other.strategy = strategy
        other.kept = {}
        return other


class Policies:
    """One route's policies, by the names that callers pick them by."""

    def __init__(
        self,
        policies: Mapping[str, PolicySettings],
        header: str,
        pools: Mapping[str, Pool],
        make: MakeStrategy,
    ) -> None:
        """Look up and make all that callers may pick.

        Raises:
            ConfigError: a pool that does not exist, a header that cannot be one.
            ConfigErrors: a strategy that can be made for none of the pools.
        """
        if not _HEADER.fullmatch(header):
            raise ConfigError("policy_header", f"{header!r} is not a header's name")
        self._header = header
        self._field = header.lower().encode("latin-1")
        self._pools: dict[str, Pool] = {}
        #: Pools in other orders, by policy and pool.
        self._reordered: dict[str, dict[int, Reordered]] = {}
        for name, policy in policies.items():
            if policy.pool is not None:
                self._pools[name] = _pool(name, policy.pool, pools)
            elif policy.strategy is not None:
                self._reordered[name] = _in_order(name, policy.strategy, pools, make)
        self._known = ", ".join(sorted(policies))

    def choose(self, exchange: Exchange, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        """Return where a request leads by the policy that its caller picked, if he did.

        Raises:
            BadRequest: the route has no policy of that name (400).
        """
        asked = exchange.request.headers.index.get(self._field)
        if asked is None:
            return endpoints
        name = asked.decode("latin-1").strip()
        pool = self._pools.get(name)
        if pool is None and name not in self._reordered:
            raise BadRequest(
                "unknown_policy", f"{self._header} names none of the policies here: {self._known}."
            )
        exchange.state[POLICY] = name
        exchange.spent |= {self._field}
        return self._reordered[name].get(id(endpoints), endpoints) if pool is None else pool


def _in_order(
    name: str, strategy: StrategyRef, pools: Mapping[str, Pool], make: MakeStrategy
) -> dict[int, Reordered]:
    """Return all pools that the strategy can order, in its order; the others stay in their own."""
    found: dict[int, Reordered] = {}
    told: ConfigError | None = None
    for pool in pools.values():
        try:
            found[id(pool)] = Reordered.by(pool, make(pool, strategy))
        except (ConfigError, ConfigErrors) as fault:
            told = told or (fault if isinstance(fault, ConfigError) else fault.errors[0])
    if told is not None and not found:
        raise ConfigError(f"policies.{name}.strategy.{told.path}".rstrip("."), told.message, told.suggestion)
    return found


def _pool(policy: str, name: str, pools: Mapping[str, Pool]) -> Pool:
    if name not in pools:
        known = ", ".join(sorted(pools)) or "none"
        raise ConfigError(f"policies.{policy}.pool", f"no pool is called {name!r} (known: {known})")
    return pools[name]
