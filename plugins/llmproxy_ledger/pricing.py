"""What calls are charged by: the gateway's prices, or what stands in for those that nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from llmproxy.plugin import (
    Attempt,
    Endpoint,
    Exchange,
    GatewayError,
    Priced,
    Secondhand,
    Tariff,
    Tiers,
    priced_as,
)
from llmproxy_ledger.config import LedgerConfig

#: Versions that are known to be told.
_REMEMBERED: Final = 4096


class Charge(NamedTuple):
    """The rates of a place and their version; `known` is false where they stand in for a price that nobody knows."""

    rates: Tiers
    version: str
    known: bool = True


#: What has no model has no price: it is a call of another kind.
NOTHING: Final = Charge((), "")
#: An unknown price that is taken for nothing, and says so in its row.
UNKNOWN: Final = Charge((), "unknown", known=False)


class Prices:
    """What places' calls are charged by; `tell` is told of prices as they come up."""

    def __init__(self, config: LedgerConfig, tariff: Tariff, tell: Callable[[Tiers, str], None]) -> None:
        self._ceiling = Charge(*priced_as(config.ceiling_price, "ceiling"), known=False)
        self._unknown = config.unknown_price
        self._tariff = tariff
        self._tell = tell
        self._known: dict[str, Charge] = {}

    def of(self, exchange: Exchange, endpoint: Endpoint) -> Charge:
        """Return what an exchange's calls to a place are charged by."""
        if not (endpoint.model or exchange.model):
            return NOTHING
        return self._charge(self._tariff.of(exchange, endpoint))

    def of_attempt(self, exchange: Exchange, attempt: Attempt) -> Charge:
        """Return what an attempt is charged by."""
        if not (exchange.model or attempt.endpoint.model):
            return NOTHING
        return self._charge(self._tariff.charged(exchange, attempt))

    def _charge(self, priced: Priced) -> Charge:
        if not priced.rates:
            return self._stand_in()
        charge = self._known.get(priced.version)
        if charge is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            charge = self._known[priced.version] = Charge(*priced)
            self._tell(*priced)
        return charge

    def of_part(self, exchange: Exchange, found: Secondhand) -> Charge:
        """Return what an answer is charged by that no call was made for."""
        whole = self.of(exchange, found.endpoint)
        part = found.priced(Priced(whole.rates, whole.version))
        if part.rates:
            self._tell(*part)
        return whole._replace(rates=part.rates, version=part.version)

    def check(self, endpoint: Endpoint, charge: Charge) -> None:
        """Refuse a call whose price nobody knows, if that is the policy."""
        if not charge.known and self._unknown == "refuse":
            message = (
                f"What this model costs on {endpoint.upstream!r} is not known, and such calls are refused."
            )
            raise GatewayError(503, "price_unknown", message)

    def _stand_in(self) -> Charge:
        if self._unknown != "ceiling":
            return UNKNOWN
        self._tell(self._ceiling.rates, self._ceiling.version)
        return self._ceiling
