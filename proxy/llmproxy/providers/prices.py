"""What tokens cost, in whole numbers. Pure.

A rate is in attodollars (10**-18 dollars) a token, so a price of one dollar for a million tokens is 10**12, and the
cost of any usage is a whole number of attodollars: nothing is rounded before the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

import msgspec

from llmproxy.usage import Parts, Usage

#: Attodollars in a dollar, in a microdollar, and what a dollar for a million tokens makes of one token.
DOLLAR: Final = 10**18
MICRODOLLAR: Final = 10**12
_PER_MILLION: Final = Decimal(10**12)
_HALF: Final = MICRODOLLAR // 2

#: What is priced, and what it costs as where it has no price of its own.
_INSTEAD: Final = {
    "input": "",
    "output": "",
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "request": "",
    "unit": "",
}


#: What tokens that are no text cost where they have no price of their own.
_BESIDE: Final = {
    "input_audio": "input",
    "input_image": "input",
    "input_video": "input",
    "cached_audio": "cache_read",
    "cached_image": "cache_read",
    "output_audio": "output",
    "output_image": "output",
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


class PartRates(msgspec.Struct, frozen=True, omit_defaults=True):
    """What tokens cost that are no text, in attodollars, as `Parts` names them; None is as much as others."""

    input_audio: int | None = None
    input_image: int | None = None
    input_video: int | None = None
    cached_audio: int | None = None
    cached_image: int | None = None
    output_audio: int | None = None
    output_image: int | None = None


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """What each bucket of usage costs, in attodollars a token, for prompts of more than `above` tokens.

    `cache_write_1h` is for what a cache keeps an hour instead of minutes, `request` for the call itself, or for each
    unit of a call that the provider counts in units; `unit` is for such units alone.
    """

    above: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    request: int
    unit: int = 0
    parts: PartRates | None = None


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
    parts = {name: scale.at(above + 1) for name in _BESIDE if (scale := priced.get(name)) is not None}
    return Rates(above=above, **found, parts=PartRates(**parts) if parts else None)


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
    tokens = usage.input * rates.input + usage.output * rates.output
    # Most calls have nothing of what follows, and what is multiplied is long.
    if usage.cache_read:
        tokens += usage.cache_read * rates.cache_read
    if usage.cache_write or cache_write_1h:
        tokens += (usage.cache_write - cache_write_1h) * rates.cache_write
        tokens += cache_write_1h * rates.cache_write_1h
    if usage.reasoning:
        tokens += usage.reasoning * rates.reasoning
    if rates.unit:
        tokens += rates.unit * usage.units + rates.request
    elif rates.request:
        tokens += rates.request * max(1, usage.units)
    if usage.parts is None or rates.parts is None:
        return tokens
    return tokens + _beyond(usage.parts, rates, rates.parts)


def _beyond(parts: Parts, rates: Rates, own: PartRates) -> int:
    """Return what tokens that are no text cost more than text."""
    return sum(
        getattr(parts, name) * (rate - getattr(rates, instead))
        for name, instead in _BESIDE.items()
        if (rate := getattr(own, name)) is not None
    )


def covers(tiers: Tiers, usage: Usage) -> bool:
    """Say whether rates tell all that a usage costs: units need a price where there are no tokens, and the reverse."""
    if not tiers:
        return False
    rates = tiers[-1]
    if rates.unit and not (rates.input or rates.output):
        return usage.units > 0
    return not usage.units or usage.total > 0 or bool(rates.request or rates.unit)


def price(usage: Usage, tiers: Tiers, *, cache_write_1h: int = 0) -> int:
    """Return what a call cost in microdollars, to the nearest one; a half goes to the even one.

    To add many calls up, add their `cost` and round the sum.
    """
    return microdollars(cost(usage, tiers, cache_write_1h=cache_write_1h))


def charge(usage: Usage, tiers: Tiers) -> int | None:
    """Return what a call cost in microdollars; None where its price does not tell (`covers`)."""
    rates = tiers[0] if len(tiers) == 1 else None
    if rates is None or usage.units or rates.unit or usage.parts is not None:
        return price(usage, tiers) if covers(tiers, usage) else None
    # As nearly all are: `cost` does the same.
    total = usage.input * rates.input + usage.output * rates.output + rates.request
    if usage.cache_read:
        total += usage.cache_read * rates.cache_read
    if usage.cache_write:
        total += usage.cache_write * rates.cache_write
    if usage.reasoning:
        total += usage.reasoning * rates.reasoning
    whole, rest = divmod(total, MICRODOLLAR)
    if rest < _HALF:
        return whole
    return whole + (rest > _HALF or whole % 2)


def microdollars(attodollars: int) -> int:
    """Round to the nearest microdollar; a half goes to the even one."""
    whole, rest = divmod(attodollars, MICRODOLLAR)
    if rest < _HALF:
        return whole
    return whole + (rest > _HALF or whole % 2)


def per_million(rate: int) -> str:
    """Write a rate as dollars for a million tokens."""
    return f"{(Decimal(rate) / _PER_MILLION).normalize():f}"
