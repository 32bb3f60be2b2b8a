"""The models that providers serve: context windows and prices, from genai-prices and from what is known besides.

    catalogue = await load()
    model = catalogue.find("openai", "gpt-4o-2024-11-20")
    tiers = model.tiers(at=clock.time(), context={"service_tier": "flex"})
    price(usage, tiers)  # microdollars; llmproxy.providers.prices

The first load takes a sixth of a second, in a thread; nothing is imported before it. Finding a model is pure.
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Final

import msgspec

from llmproxy.providers.prices import Scale, Tiers, tiers

_DAY: Final = 86_400
#: Names that are remembered, and how long they may be: callers send few, and must not fill the memory with others.
_REMEMBERED: Final = 4096
_LONGEST: Final = 256
_COMPACT_DATE: Final = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=[-:]|$)")


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When a price holds: from `since` (seconds since 1970) on, or on each day between two of its seconds (UTC)."""

    since: int | None = None
    daily: tuple[int, int] | None = None

    def hold(self, at: float) -> bool:
        """Whether that moment is among them."""
        if self.since is not None:
            return at >= self.since
        if self.daily is None:
            return True
        begin, end = self.daily
        second = at % _DAY
        return begin <= second < end if begin <= end else second >= begin or second < end


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of some time, by what they are for."""

    times: Times = Times()
    priced: Mapping[str, Scale]
    tiers: Tiers


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """Prices that replace others where a call was made in some way, such as `{"service_tier": "flex"}`."""

    when: Mapping[str, str]
    times: Times = Times()
    priced: Mapping[str, Scale]

    def holds(self, at: float, context: Mapping[str, str]) -> bool:
        """Whether it counts for such a call at that moment."""
        return self.times.hold(at) and all(context.get(key) == value for key, value in self.when.items())


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as a provider serves it.

    Attributes:
        provider: the provider's name in the table.
        name: what the provider calls it.
        window: how many tokens it reads at most, if known.
        periods: its prices; the last one whose time has come counts. None: its price is not known.
        beside: what else costs, which no token count tells: searches, seconds of audio, images.
        deprecated: whether its provider is about to retire it.
        source: where this is from.
    """

    provider: str
    name: str
    title: str = ""
    window: int | None = None
    periods: tuple[Period, ...] = ()
    variants: tuple[Variant, ...] = ()
    beside: tuple[str, ...] = ()
    deprecated: bool = False
    source: str = "genai-prices"

    @property
    def id(self) -> str:
        """The name that the gateway serves it by: `provider/model`."""
        return f"{self.provider}/{self.name}"

    def tiers(self, at: float, context: Mapping[str, str] | None = None) -> Tiers:
        """Return its rates at a moment (seconds since 1970), for a call made that way; empty where not known."""
        if not self.periods:
            return ()
        holding = (period for period in reversed(self.periods) if period.times.hold(at))
        period = next(holding, self.periods[0])
        if not context or not self.variants:
            return period.tiers
        changed = dict(period.priced)
        for variant in reversed(self.variants):  # the first that holds wins, price by price
            if variant.holds(at, context):
                changed.update(variant.priced)
        return tiers(changed)


#: Models in the order in which they are tried, each with what tells that a name in lower case means it.
Chain = Sequence[tuple[Callable[[str], bool], Model]]


class Catalogue:
    """All models that are known, and how providers' names for them are understood."""

    def __init__(self, models: Iterable[Model], chains: Mapping[str, Sequence[tuple[str, Chain]]]) -> None:
        self.models = tuple(sorted(models, key=lambda model: (model.provider, model.name)))
        self._chains = chains
        self._listed = {(model.provider, model.name.lower()): model for model in self.models}
        self._known: dict[tuple[str, str], Model | None] = {}

    def of(self, provider: str) -> tuple[Model, ...]:
        """Return a provider's models, by name."""
        return tuple(model for model in self.models if model.provider == provider)

    def find(self, provider: str, name: str) -> Model | None:
        """Return the model that a provider of the table calls by this name, or by one that means the same.

        Dated names, `-latest` and the like are understood as genai-prices does; so is a date without dashes.
        """
        key = (provider, name)
        try:
            return self._known[key]
        except KeyError:
            found = self._find(provider, name.lower()) if len(name) <= _LONGEST else None
            if len(self._known) < _REMEMBERED and len(name) <= _LONGEST:
                self._known[key] = found
            return found

    def _find(self, provider: str, name: str) -> Model | None:
        for suffix, chain in self._chains.get(provider, ()):
            if not name.endswith(suffix):
                continue
            bare = name[: len(name) - len(suffix)]
            found = _first(chain, bare) or _first(chain, _COMPACT_DATE.sub(r"-\1-\2-\3", bare))
            if found is not None:
                return found
        return self._listed.get((provider, name))


def _first(chain: Chain, name: str) -> Model | None:
    return next((model for means, model in chain if means(name)), None)


_loading: Final = Lock()


def load_now() -> Catalogue:
    """Return the catalogue, compiled with the first call of a process, in the thread that asks."""
    with _loading:
        return _compiled()


async def load() -> Catalogue:
    """Return the catalogue, compiled with the first call of a process, beside the loop."""
    return await asyncio.to_thread(load_now)


@cache
def _compiled() -> Catalogue:
    # A collection in the midst of it would hold the loop for 50 ms, and so would one that walks the tables later.
    collects = gc.isenabled()
    gc.disable()
    try:
        from llmproxy.providers.compiling import compiled  # noqa: PLC0415  # large; few processes ask

        catalogue = compiled()
        gc.freeze()
    finally:
        if collects:
            gc.enable()
    return catalogue
