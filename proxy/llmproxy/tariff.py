"""What a call to one of the configured upstreams costs, for plugins that account for it.

Everything that names money asks here: limits, the ledger, the call log, what chooses the cheapest. The configuration's
own `prices` go before those of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from llmproxy.exchange import StateKey

if TYPE_CHECKING:
    from types import ModuleType

    from llmproxy.canonical import GenerateRequest
    from llmproxy.exchange import Attempt, Endpoint, Exchange, Usage
    from llmproxy.pricesettings import PriceConfig
    from llmproxy.providers.models import Catalogue, Model
    from llmproxy.providers.prices import Tiers
    from llmproxy.runtime import Clock

#: Seconds for which found rates hold: some change by the hour.
_FRESH: Final = 30.0
_REMEMBERED: Final = 4096
_PACKAGE: Final = "genai-prices"
_NONE: Final[Mapping[str, PriceConfig]] = MappingProxyType({})


class Priced(NamedTuple):
    """Rates, and the version that names where they are from: `config:...`, `genai-prices-0.1.0:...`.

    The version ends in a digest of the numbers. Where no price is known there are no rates, and the version is "".
    """

    rates: Tiers
    version: str


#: What nobody knows the price of.
UNPRICED: Final = Priced((), "")

_HELD: Final[StateKey[dict[tuple[str, str], Priced]]] = StateKey("tariff.held")


class Tariff:
    """Prices of calls; `providers` says whose each upstream is, where that is known, `prices` what is set otherwise.

    The catalogue of models is large. It is compiled in a thread when `load` is first awaited; until then nothing has a
    price but what the configuration names.
    """

    def __init__(
        self, providers: Mapping[str, str], clock: Clock, prices: Mapping[str, PriceConfig] = _NONE
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._own = {key: priced_as(price, "config") for key, price in prices.items()}
        self._catalogue: Catalogue | None = None
        self._found: dict[tuple[str, str], tuple[float, Priced]] = {}

    async def load(self) -> None:
        """Read the catalogue, if an upstream of the configuration is a known provider's."""
        if self._providers and self._catalogue is None:
            from llmproxy.providers.models import load  # noqa: PLC0415  # large; few gateways ask

            self._catalogue = await load()
            self._found.clear()

    def load_now(self) -> None:
        """Read it here and now, which takes a sixth of a second: not for where others wait."""
        if self._providers and self._catalogue is None:
            from llmproxy.providers.models import load_now  # noqa: PLC0415  # likewise

            self._catalogue = load_now()
            self._found.clear()

    def price(self, endpoint: Endpoint, usage: Usage, asked: str | None = None) -> int | None:
        """Return what a call cost, in microdollars; None where that is not known, or not of all that it used.

        `asked` is the model's name in the caller's body, for an endpoint that leaves it as it is.
        """
        tiers = self.priced(endpoint, asked).rates
        if not tiers:
            return None
        cost: int | None = _prices().charge(usage, tiers)
        return cost

    def tiers(self, endpoint: Endpoint, asked: str | None = None) -> Tiers:
        """Return the rates that hold there now; empty where they are not known."""
        return self.priced(endpoint, asked).rates

    def priced(self, endpoint: Endpoint, asked: str | None = None) -> Priced:
        """Return the rates that hold there now, to half a minute, and their version."""
        model = endpoint.model or asked
        if not model:
            return UNPRICED
        key, now = (endpoint.upstream, model), self._clock.wall()
        held = self._found.get(key)
        if held is not None and 0 <= now - held[0] < _FRESH:
            return held[1]
        found = self._find(endpoint, model, now)
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[key] = (now, found)
        return found

    def of(self, exchange: Exchange, endpoint: Endpoint) -> Priced:
        """Return the rates of an exchange: those that held when somebody first asked for them, whoever asks later.

        So what is taken of a limit and what is charged are made with the same numbers, whatever the hour.
        """
        held = exchange.state.get(_HELD)
        if held is None:
            held = exchange.state[_HELD] = {}
        key = (endpoint.upstream, endpoint.model or exchange.model or "")
        found = held.get(key)
        if found is None:
            found = held[key] = self.priced(endpoint, exchange.model)
        return found

    def charged(self, exchange: Exchange, attempt: Attempt) -> Priced:
        """Return the rates of an attempt, as `of` does; looked for once."""
        priced = attempt.priced
        if priced is None:
            state, endpoint = exchange._state, attempt.endpoint
            if state is None or _HELD not in state:  # nobody asked before: what holds now is its own
                priced = self.priced(endpoint, exchange.model)
            else:
                priced = self.of(exchange, endpoint)
            attempt.priced = priced
        return priced

    def cost(self, exchange: Exchange, attempt: Attempt) -> int | None:
        """Return what an attempt's usage costs by its rates, worked out once; None where that is not known."""
        cost = attempt.cost
        if (
            cost is None
            and (usage := attempt.usage) is not None
            and (rates := self.charged(exchange, attempt).rates)
        ):
            attempt.cost = cost = _prices().charge(usage, rates)
        return cost

    def window(self, endpoint: Endpoint, asked: str | None = None) -> int | None:
        """Return how many tokens the model there reads at most; None where that is not known."""
        model = self._model(endpoint, asked)
        return None if model is None else model.window

    def prompt_tokens(self, request: GenerateRequest) -> int:
        """Return about how many tokens a prompt has: quickly, from what its texts are made of."""
        from llmproxy.tokens import estimate_request  # noqa: PLC0415  # few gateways ask

        return estimate_request(request)

    def _find(self, endpoint: Endpoint, model: str, now: float) -> Priced:
        own = self._own.get(f"{endpoint.upstream}/{model}") or self._own.get(f"{endpoint.upstream}/*")
        if own is not None:
            return own
        known = self._model(endpoint, model)
        rates = () if known is None else known.tiers(now)
        return versioned(rates, _package()) if rates else UNPRICED

    def _model(self, endpoint: Endpoint, asked: str | None) -> Model | None:
        provider, name = self._providers.get(endpoint.upstream), endpoint.model or asked
        if self._catalogue is None or provider is None or not name:
            return None
        return self._catalogue.find(provider, name)


def priced_as(price: PriceConfig, label: str) -> Priced:
    """Turn dollars for a million tokens into whole rates, under a version that begins with `label`."""
    prices = _prices()
    told = {name: getattr(price, name) for name in price.__struct_fields__}
    rates = {
        name: prices.rate(Decimal(repr(dollars))) for name, dollars in told.items() if dollars is not None
    }
    for name in rates.keys() & {"request", "unit"}:
        rates[name] *= 10**6  # one's, not a million's
    return versioned(prices.tiers({name: prices.Scale(each) for name, each in rates.items()}), label)


def versioned(rates: Tiers, label: str) -> Priced:
    """Name rates by where they are from and by their numbers."""
    digest = sha256(msgspec.json.encode(rates)).hexdigest()[:12]
    return Priced(rates, f"{label}:{digest}")


@cache
def _prices() -> ModuleType:
    from llmproxy.providers import prices  # noqa: PLC0415  # few gateways ask

    return prices


@cache
def _package() -> str:
    return f"{_PACKAGE}-{version(_PACKAGE)}"
