"""What tokens cost, in whole numbers. Pure.

A rate is in attodollars (10**-18 dollars) a token, so a price of one dollar for a million tokens is 10**12, and the
cost of any usage is a whole number of attodollars: nothing is rounded before the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

import msgspec

from llmproxy.exchange import Usage

#: Attodollars in a dollar, in a microdollar, and what a dollar for a million tokens makes of one token.
DOLLAR: Final = 10**18
MICRODOLLAR: Final = 10**12
_PER_MILLION: Final = Decimal(10**12)

#: What is priced, and what it costs as where it has no price of its own.
_INSTEAD: Final = {
    "input": "",
    "output": "",
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "request": "",
}


class Scale(NamedTuple):
    """A price that may change with the size of the prompt: `steps` are (tokens, rate), each for more than that."""

    base: int
    steps: tuple[tuple[int, int], ...] = ()

    def at(self, tokens: int) -> int:
        """Return the rate for a prompt of that many tokens."""
        rate = self.base
        for above, higher in self.steps:
            if tokens <= above:
                break
            rate = higher
        return rate


class Rates(msgspec.Struct, frozen=True):
    """What each bucket of usage costs, in attodollars a token, for prompts of more than `above` tokens.

    `cache_write_1h` is for what a cache keeps an hour instead of minutes, `request` for the call itself, or for each
    unit of a call that the provider counts in units.
    """

    above: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    request: int


#: A model's rates, those for the longest prompts first.
Tiers = tuple[Rates, ...]


def rate(dollars: Decimal) -> int:
    """Turn a price for a million tokens into a rate, to the nearest attodollar."""
    return int((dollars * _PER_MILLION).to_integral_value(ROUND_HALF_EVEN))


def tiers(priced: Mapping[str, Scale]) -> Tiers:
    """Turn the prices of single buckets into rates of them all."""
    starts = {above for scale in priced.values() for above, _ in scale.steps}
    return tuple(_rates(priced, above) for above in sorted(starts | {-1}, reverse=True))


def _rates(priced: Mapping[str, Scale], above: int) -> Rates:
    found: dict[str, int] = {}
    for name, instead in _INSTEAD.items():
        scale = priced.get(name)
        found[name] = found.get(instead, 0) if scale is None else scale.at(above + 1)
    return Rates(above=above, **found)


def cost(usage: Usage, tiers: Tiers, *, cache_write_1h: int = 0) -> int:
    """Return what a call cost, exactly, in attodollars.

    The size of the prompt, cached tokens included, decides which rates hold for all of its tokens.
    `cache_write_1h` says how many of the tokens written to a cache are kept there an hour.
    """
    prompt = usage.input + usage.cache_read + usage.cache_write
    for rates in tiers:
        if prompt > rates.above:
            break
    else:
        raise ValueError("there is no price")
    return (
        usage.input * rates.input
        + usage.cache_read * rates.cache_read
        + (usage.cache_write - cache_write_1h) * rates.cache_write
        + cache_write_1h * rates.cache_write_1h
        + usage.output * rates.output
        + usage.reasoning * rates.reasoning
        + rates.request * max(1, usage.units)
    )


def price(usage: Usage, tiers: Tiers, *, cache_write_1h: int = 0) -> int:
    """Return what a call cost in microdollars, to the nearest one; a half goes to the even one.

    To add many calls up, add their `cost` and round the sum.
    """
    return microdollars(cost(usage, tiers, cache_write_1h=cache_write_1h))


def microdollars(attodollars: int) -> int:
    """Round to the nearest microdollar; a half goes to the even one."""
    whole, rest = divmod(attodollars, MICRODOLLAR)
    up = rest * 2 > MICRODOLLAR or (rest * 2 == MICRODOLLAR and whole % 2 == 1)
    return whole + up


def per_million(rate: int) -> str:
    """Write a rate as dollars for a million tokens."""
    return f"{(Decimal(rate) / _PER_MILLION).normalize():f}"
