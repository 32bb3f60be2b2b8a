"""What a call costs: by the configuration's own prices, else by what is known of its provider."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from llmproxy.plugin import Endpoint, Tariff, Usage
from llmproxy_quota.config import PriceConfig, QuotaConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_ATTO = 10**12


class Dearest(NamedTuple):
    """The most that a token of input and of output can cost, and a call itself, in attodollars."""

    input: int
    output: int
    request: int = 0


class Pricing:
    """Prices in microdollars."""

    def __init__(self, config: QuotaConfig, tariff: Tariff) -> None:
        self._own = config.prices
        self._tariff = tariff

    def most(self, endpoint: Endpoint, asked: str | None, tokens: tuple[int, int]) -> int | None:
        """Return what so many tokens of input and of output can cost at most, None where nothing is known."""
        found = self._dearest(endpoint, asked)
        if found is None:
            return None
        total = tokens[0] * found.input + tokens[1] * found.output + found.request
        return -(-total // _ATTO)

    def dearest(
        self, endpoints: Sequence[Endpoint], asked: str | None, tokens: tuple[int, int]
    ) -> int | None:
        """Return what it costs at the dearest of several places, None where one of them is not known."""
        costs = [self.most(endpoint, asked, tokens) for endpoint in endpoints]
        return None if not costs or None in costs else max(cost for cost in costs if cost is not None)

    def price(self, endpoint: Endpoint, asked: str | None, usage: Usage) -> int | None:
        """Return what a call cost."""
        own = self._own_price(endpoint, asked)
        if own is None:
            return self._tariff.price(endpoint, usage, asked)
        read = usage.input + usage.cache_read + usage.cache_write
        total = read * own.input + (usage.output + usage.reasoning) * own.output
        return ceil(total)  # dollars for a million tokens are microdollars for one

    def _dearest(self, endpoint: Endpoint, asked: str | None) -> Dearest | None:
        own = self._own_price(endpoint, asked)
        if own is not None:
            return Dearest(int(own.input * _ATTO), int(own.output * _ATTO))
        tiers = self._tariff.tiers(endpoint, asked)
        if not tiers:
            return None
        return Dearest(
            max(max(t.input, t.cache_read, t.cache_write, t.cache_write_1h) for t in tiers),
            max(max(t.output, t.reasoning) for t in tiers),
            max(t.request for t in tiers),
        )

    def _own_price(self, endpoint: Endpoint, asked: str | None) -> PriceConfig | None:
        own = self._own
        if not own:
            return None
        model = endpoint.model or asked
        return own.get(f"{endpoint.upstream}/{model}") or own.get(f"{endpoint.upstream}/*") or own.get("*")
