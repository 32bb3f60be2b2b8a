"""What plugins that count and charge agree on: whose account a call is on, what was taken before, what it came to.

Money is whole microdollars everywhere. Times that rows and windows name are wall time (UTC, seconds since 1970).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from llmproxy.exchange import StateKey, Usage

if TYPE_CHECKING:
    from llmproxy.exchange import Attempt, Exchange

ScopeKind = Literal["tenant", "org", "team", "user", "key", "model", "route"]

#: What a limit counts.
Measure = Literal["requests", "tokens", "money", "in_flight"]

#: How sure a settlement is: told by the provider at the end; told, then broken off; counted here; nothing to pay; lost.
SettlementState = Literal["exact", "partial", "estimated", "free", "unknown"]

#: The labels of a caller that are scopes of their own.
_LABELS: tuple[ScopeKind, ...] = ("org", "team", "user")


class AccountScope(NamedTuple):
    """One of the accounts that a call is counted on: `team` `search`, `model` `gpt-5`."""

    kind: ScopeKind
    name: str


class Taken(msgspec.Struct, frozen=True):
    """What was taken of one limit; `limit` is its name in the configuration, `window` the one counted in, or ""."""

    scope: AccountScope
    measure: Measure
    limit: str
    window: str
    amount: int
    #: Whether it is what the call may come to, rather than the most that it can: a limit that is not hard takes that.
    likely: bool = False


class Reservation(msgspec.Struct, frozen=True):
    """What an attempt took before it was sent; what nobody settles ends by itself at the wall time `ends`.

    `input` and `output` are the most tokens that it may come to, 0 where nobody bounds them.
    """

    id: str
    taken: tuple[Taken, ...] = ()
    ends: float = 0.0
    input: int = 0
    output: int = 0
    #: What `money` is, where that is known already.
    known_money: int | None = None

    @property
    def money(self) -> int:
        """The microdollars that it can come to at most: the most of any hard limit, for each holds the whole call."""
        if self.known_money is not None:
            return self.known_money
        bounds = [taken.amount for taken in self.taken if taken.measure == "money" and not taken.likely]
        return max(bounds, default=0)


#: What each attempt of an exchange may cost, by its number, taken by who keeps limits; several may run at once.
RESERVATIONS: StateKey[dict[int, Reservation]] = StateKey("accounts.reservations")


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to; hits, followers and refusals are number 0 and free.

    `id` is its own, `exchange` what its caller knows the exchange by, and may have chosen.
    `cost` and `reserved` are microdollars, `prices` the version of the prices that `cost` was made with.
    """

    id: str
    exchange: str
    at: float
    tenant: str
    key: str = ""
    org: str = ""
    team: str = ""
    user: str = ""
    route: str = ""
    model: str = ""
    upstream: str = ""
    upstream_model: str = ""
    usage: Usage = Usage()
    state: SettlementState = "unknown"
    cost: int = 0
    reserved: int = 0
    prices: str = ""
    result: str = ""


def scopes_of(exchange: Exchange) -> tuple[AccountScope, ...]:
    """Return the accounts that a call is on, as far as they are known by now; the tenant's is always there."""
    caller = exchange.caller
    scopes = [AccountScope("tenant", caller.tenant)]
    if caller.key:
        scopes.append(AccountScope("key", caller.key))
    scopes += [AccountScope(kind, name) for kind, name in _labelled(caller.labels)]
    if exchange.model is not None:
        scopes.append(AccountScope("model", exchange.model))
    scopes.append(AccountScope("route", exchange.route.name))
    return tuple(scopes)


def settlement_id(exchange: Exchange, attempt: Attempt | None = None) -> str:
    """Return what names the row of an attempt, or of an exchange that made none: nobody can choose or repeat it."""
    return f"{exchange.serial}/{0 if attempt is None else attempt.number}"


def _labelled(labels: tuple[tuple[str, str], ...]) -> list[tuple[ScopeKind, str]]:
    known = dict(labels)
    return [(kind, known[kind]) for kind in _LABELS if known.get(kind)]
