"""What calls cost at most and what they cost, by the gateway's prices: those that the ledger charges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Attempt, Endpoint, Exchange, Secondhand, Tariff, Tiers, price_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Attodollars in a microdollar.
_ATTO: Final = 10**12


class Pricing:
    """Prices in microdollars."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff

    def most(
        self, exchange: Exchange, endpoint: Endpoint, tokens: tuple[int, int], units: int = 1
    ) -> int | None:
        """Return what so many tokens of input and of output can cost at most, None where nothing is known.

        `units` is how many things are counted where a provider counts others.
        """
        tiers = self._tariff.of(exchange, endpoint).rates
        return bound(tiers, tokens, units) if tiers else None

    def dearest(
        self, exchange: Exchange, endpoints: Sequence[Endpoint], tokens: tuple[int, int], units: int = 1
    ) -> int | None:
        """Return what it costs at the dearest of several places, None where one of them is not known."""
        costs = [self.most(exchange, endpoint, tokens, units) for endpoint in endpoints]
        return None if not costs or None in costs else max(cost for cost in costs if cost is not None)

    def price(self, exchange: Exchange, attempt: Attempt) -> int | None:
        """Return what an attempt cost."""
        return self._tariff.cost(exchange, attempt)

    def part(self, exchange: Exchange, found: Secondhand) -> int | None:
        """Return what an answer costs that no call was made for."""
        tiers = found.priced(self._tariff.of(exchange, found.endpoint)).rates
        return price_usage(found.usage, tiers) if tiers else None


def bound(tiers: Tiers, tokens: tuple[int, int], units: int = 1) -> int:
    """Return what so many tokens and units cost where each of them is of the dearest kind."""
    read = max(max(each.input, each.cache_read, each.cache_write, each.cache_write_1h) for each in tiers)
    written = max(max(each.output, each.reasoning) for each in tiers)
    own = [each.parts for each in tiers if each.parts is not None]
    for each in own:
        read = max(read, each.input_audio or 0, each.input_image or 0, each.input_video or 0)
        read = max(read, each.cached_audio or 0, each.cached_image or 0)
        written = max(written, each.output_audio or 0, each.output_image or 0)
    counted = max(max(each.request * units, each.request + each.unit * units) for each in tiers)
    total = tokens[0] * read + tokens[1] * written + counted
    return -(-total // _ATTO)
