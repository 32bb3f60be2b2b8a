"""Which limits a call has to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.plugin import AccountScope, Caller, Exchange, reserving, scopes_of, store_key
from llmproxy_quota.config import CALENDAR, LimitConfig
from llmproxy_quota.fields import Heading, policy
from llmproxy_quota.portions import Portion, Portions

if TYPE_CHECKING:
    from llmproxy_quota.bounds import Bound

#: Buckets that a rolling window is cut into: it may hold that much of it too long.
_PARTS: Final = 20
#: Weeks begin on Mondays; 1970 began on a Thursday.
_MONDAY: Final = 4 * 86_400 * reserving.SECOND
#: The tenant of limits that all tenants share.
_ALL: Final = "*"
#: Calls of so many kinds are known at a time.
_KNOWN: Final = 10_000


class Rule(NamedTuple):
    """A limit of the configuration, for one account."""

    config: LimitConfig
    scope: AccountScope
    limit: reserving.Limit
    #: What callers are told of it, "" for nothing.
    policy: str


class Last(NamedTuple):
    """The bound of a request, and what it took."""

    bound: Bound
    portion: Portion


class Rules:
    """What is taken before the route is known, and what each attempt takes."""

    __slots__ = ("_pays", "_portions", "early", "first", "hard", "last", "late", "tag")

    def __init__(self, tag: bytes, early: tuple[Rule, ...], late: tuple[Rule, ...]) -> None:
        self.tag = tag
        self.early = early
        self.late = late
        #: What the early ones take: one of each.
        self.first = Portions(tag, early).of((1,) * len(early))
        #: Whether any of the late ones is hard.
        self.hard = any(rule.config.mode == "hard" for rule in late)
        #: What the last request took, if that depends on its bound alone: those of one kind come one after another.
        self.last: Last | None = None
        self._pays = any(rule.config.counts == "money" for rule in late)
        self._portions = Portions(tag, late)

    def portion(self, bound: Bound, amounts: tuple[int, ...]) -> Portion:
        """Return what a request of this bound takes of the late ones."""
        portion = self._portions.of(amounts)
        if not self._pays:
            self.last = Last(bound, portion)
        return portion


class Book:
    """All limits, found by the accounts of a call; callers hear how they stand where it `is_told`."""

    def __init__(self, instance: str, limits: Sequence[LimitConfig], *, is_told: bool = True) -> None:
        self._instance = instance
        self._is_told = is_told
        self._limits = limits
        #: Whether the model's name is needed to know what is taken early.
        self.asks_model = any(
            (limit.scope == "model" and is_early(limit)) or limit.then is not None for limit in limits
        )
        #: Whether a call has other limits once its model is known.
        self.by_model = any(limit.scope == "model" for limit in limits)
        #: Whether any of them has a cheaper model answer.
        self.saves = any(limit.then is not None for limit in limits)
        self._one_tag = any(limit.across for limit in limits)
        #: By the caller's `id`: it is held with what is known of it, so nothing else has that.
        self._known: dict[tuple[int, str | None, str], tuple[Caller, Rules]] = {}

    def rules_of(self, exchange: Exchange) -> Rules:
        """Return what a call has to keep, as far as is known of it by now."""
        caller = exchange.caller
        key = (id(caller), exchange.model, exchange.route.name)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[key] = caller, self.rules(caller.tenant, scopes_of(exchange))
        return found[1]

    def tag(self, tenant: str) -> bytes:
        """Return what an engine keeps the limits of a tenant under; all in one place if any are shared."""
        return _ALL.encode() if self._one_tag else reserving.short(b"t:" + tenant.encode())

    def rules(self, tenant: str, scopes: tuple[AccountScope, ...]) -> Rules:
        """Return what a tenant's calls on these accounts have to keep."""
        found = list(self._found(tenant, scopes))
        early = tuple(rule for rule in found if is_early(rule.config))
        late = tuple(rule for rule in found if not is_early(rule.config))
        tag = self.tag(tenant)
        rules = Rules(tag, early, late)
        heading = Heading(early)
        if self._is_told and heading.tells:
            rules.first.heading = heading
        return rules

    def _found(self, tenant: str, scopes: tuple[AccountScope, ...]) -> Iterator[Rule]:
        for config in self._limits:
            for scope in scopes:
                if scope.kind == config.scope and fnmatchcase(scope.name, config.match):
                    owner = "a" if config.across else f"t{tenant}"
                    key = store_key(owner, "quota", self._instance, config.name, _unit(config), scope.name)
                    yield rule_of(config.of(scope.name), scope, reserving.short(key))


def rule_of(config: LimitConfig, scope: AccountScope, key: bytes) -> Rule:
    """Return a limit for one account, which engines know by `key`."""
    return Rule(config, scope, limit_of(config, key), policy(config))


def _unit(config: LimitConfig) -> str:
    """Return what a limit's numbers are of: a limit that counts something else, or in other times, begins anew."""
    spans = (config.rate, config.rolling, config.window)
    return " ".join([config.counts, config.scope, *("" if span is None else str(span) for span in spans)])


def is_early(limit: LimitConfig) -> bool:
    """Whether a limit is of calls, rather than of what their attempts use."""
    return limit.counts in {"requests", "in_flight"}


def limit_of(config: LimitConfig, key: bytes) -> reserving.Limit:
    """Return the limit as engines count it."""
    whole = config.whole
    if config.counts == "in_flight":
        return reserving.Lease(key, whole)
    if config.rate is not None:
        return reserving.Rate(key, whole, int(config.rate * reserving.SECOND), config.burst or whole)
    if config.rolling is not None:
        step = max(1, int(config.rolling * reserving.SECOND) // _PARTS)
        return reserving.Window(key, whole, step, keep=_PARTS + 1)
    anchor = _MONDAY if config.window == "week" else 0
    return reserving.Window(key, whole, CALENDAR[config.window or "day"] * reserving.SECOND, anchor)
