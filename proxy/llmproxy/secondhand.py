"""Answers that no call was made for: what they had used when they were made, and what a route charges for them.

found = secondhand(exchange)
priced = None if found is None else found.share.of(tariff.of(exchange, found.endpoint))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

from llmproxy.exchange import Endpoint, StateKey, Usage
from llmproxy.tariff import Priced, versioned

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.pricesettings import ChargingConfig
    from llmproxy.providers.prices import PartRates

#: Whose answer it is: a cache's, that of a call that another caller made and pays, or one that is told of later.
Source = Literal["hit", "follower", "belated"]

#: What a whole is divided into.
WHOLE: Final = 1_000_000
_BUCKETS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")


class Hit(Protocol):
    """A kept answer: where it was made, and its tokens as the buckets of `Usage`, empty if nobody told them."""

    @property
    def upstream(self) -> str:
        """The upstream's name."""

    @property
    def model(self) -> str:
        """The model's name there."""

    @property
    def usage(self) -> tuple[int, ...]:
        """The tokens."""


#: The kept answer that an exchange gets, told by the cache.
HIT: Final[StateKey[Hit]] = StateKey("secondhand.hit")
#: Tells what the call used whose answer an exchange shares: known at its end, None before. Its place is `endpoint`.
FOLLOWED: Final[StateKey[Callable[[], Usage | None]]] = StateKey("secondhand.followed")


class Secondhand(NamedTuple):
    """What an exchange is charged for: the usage of its answer, of which `share` millionths count.

    What is told of later has a `name`; all of its tokens count, of its price the share.
    """

    source: Source
    endpoint: Endpoint
    usage: Usage
    share: int
    name: str = ""

    @property
    def tokens(self) -> int:
        """The tokens that count, rounded up."""
        if self.source == "belated":
            return self.usage.total
        return -(-self.usage.total * self.share // WHOLE)

    def priced(self, priced: Priced) -> Priced:
        """Return what it is charged by where a call of its own would be by `priced`; the version says which part."""
        return part_of(priced, self.share) if priced.rates else priced


def is_charged(exchange: Exchange) -> bool:
    """Whether an exchange got an answer that no call was made for, and its route charges for such ones."""
    return share_of(exchange) > 0


def share_of(exchange: Exchange) -> int:
    """Return how many millionths of its answer's price an exchange is charged.

    It is nothing for one with a call of its own, or that got an error in the answer's place.
    """
    terms: ChargingConfig | None = exchange.route.charging
    if terms is None or exchange.attempts or exchange.outcome.error:
        return 0
    if HIT in exchange.state:
        return round(terms.hits * WHOLE)
    return round(terms.followers * WHOLE) if FOLLOWED in exchange.state else 0


def secondhand(exchange: Exchange) -> Secondhand | None:
    """Return what an exchange is charged for; None for nothing, or where nobody told what its answer used.

    A follower's is known once its answer is whole.
    """
    share = share_of(exchange)
    if not share:
        return None
    hit = exchange.state.get(HIT)
    if hit is not None:
        place = Endpoint(hit.upstream, hit.model or None)
        return Secondhand("hit", place, _usage(hit.usage), share) if hit.usage else None
    usage = exchange.state[FOLLOWED]()
    if usage is None or exchange.endpoint is None or exchange.outcome.client_gone:
        return None
    return Secondhand("follower", exchange.endpoint, usage, share)


def _usage(buckets: tuple[int, ...]) -> Usage:
    return msgspec.structs.replace(Usage(), **dict(zip(_BUCKETS, buckets, strict=True)))


@lru_cache(1024)
def part_of(priced: Priced, share: int) -> Priced:
    """Return some millionths of all rates, to the attodollar below."""
    if share == WHOLE:
        return priced
    label = priced.version.rpartition(":")[0]
    rates = tuple(
        msgspec.structs.replace(
            each,
            **{
                name: getattr(each, name) * share // WHOLE
                for name in each.__struct_fields__
                if name not in ("above", "parts")
            },
            parts=None if each.parts is None else _part_of(each.parts, share),
        )
        for each in priced.rates
    )
    return versioned(rates, f"{label}*{share / WHOLE:g}")


def _part_of(rates: PartRates, share: int) -> PartRates:
    told = {name: getattr(rates, name) for name in rates.__struct_fields__}
    return type(rates)(**{name: rate * share // WHOLE for name, rate in told.items() if rate is not None})
