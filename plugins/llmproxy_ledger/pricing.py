"""What calls cost: by the configuration where it says so, else by the gateway's tariff; each with a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import sha256
from importlib.metadata import version
from typing import Final, NamedTuple

import msgspec

from llmproxy.plugin import Endpoint, GatewayError, Rates, Tariff, Tiers
from llmproxy_ledger.config import Dollars, LedgerConfig, PriceConfig

#: Attodollars a token that a dollar for a million tokens is.
_PER_MILLION: Final = Decimal(10**12)
#: Seconds for which found rates hold: some change by the hour.
_FRESH: Final = 30.0
_REMEMBERED: Final = 4096

_PACKAGE: Final = "genai-prices"


class Priced(NamedTuple):
    """The rates of a place and their version; `known` is false where they stand in for a price that nobody knows."""

    rates: Tiers
    version: str
    known: bool = True


#: What has no model has no price: it is a call of another kind.
NOTHING: Final = Priced((), "")
#: An unknown price that is taken for nothing, and says so in its row.
UNPRICED: Final = Priced((), "unknown", known=False)


class Prices:
    """Finds the rates of places, and remembers them a while."""

    def __init__(
        self, config: LedgerConfig, tariff: Tariff, wall: Callable[[], float], tell: Callable[[Priced], None]
    ) -> None:
        self._own: Mapping[str, Priced] = {
            key: _version((rates_of(price),), "config") for key, price in config.prices.items()
        }
        self._ceiling = _version((rates_of(config.ceiling_price),), "ceiling")._replace(known=False)
        self._unknown = config.unknown_price
        self._tariff = tariff
        self._wall = wall
        self._tell = tell
        self._label = f"{_PACKAGE}-{version(_PACKAGE)}"
        self._found: dict[tuple[str, str], tuple[float, Priced]] = {}

    def of(self, endpoint: Endpoint, asked: str | None) -> Priced:
        """Return what a place's calls cost now."""
        model = endpoint.model or asked
        if not model:
            return NOTHING
        key = (endpoint.upstream, model)
        now = self._wall()
        held = self._found.get(key)
        if held is not None and 0 <= now - held[0] < _FRESH:
            return held[1]
        priced = self._find(endpoint, model)
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[key] = (now, priced)
        if priced.rates:
            self._tell(priced)
        return priced

    def check(self, endpoint: Endpoint, priced: Priced) -> None:
        """Refuse a call whose price nobody knows, if that is the policy."""
        if not priced.known and self._unknown == "refuse":
            message = (
                f"What this model costs on {endpoint.upstream!r} is not known, and such calls are refused."
            )
            raise GatewayError(503, "price_unknown", message)

    def _find(self, endpoint: Endpoint, model: str) -> Priced:
        own = self._own.get(f"{endpoint.upstream}/{model}") or self._own.get(f"{endpoint.upstream}/*")
        if own is not None:
            return own
        rates = self._tariff.tiers(endpoint, model)
        if rates:
            return _version(rates, self._label)
        return self._ceiling if self._unknown == "ceiling" else UNPRICED


def _version(rates: Tiers, label: str) -> Priced:
    digest = sha256(msgspec.json.encode(rates)).hexdigest()[:12]
    return Priced(rates, f"{label}:{digest}")


def rates_of(price: PriceConfig) -> Rates:
    """Turn dollars for a million tokens into whole rates."""
    write = price.input if price.cache_write is None else price.cache_write
    return Rates(
        above=-1,
        input=_rate(price.input),
        output=_rate(price.output),
        cache_read=_rate(price.input if price.cache_read is None else price.cache_read),
        cache_write=_rate(write),
        cache_write_1h=_rate(write),
        reasoning=_rate(price.output if price.reasoning is None else price.reasoning),
        request=_rate(price.request) * 10**6,
    )


def _rate(dollars: Dollars) -> int:
    return int((Decimal(str(dollars)) * _PER_MILLION).to_integral_value(ROUND_HALF_EVEN))
