"""Compiles genai-prices and the package's own facts into a catalogue. Imported with the first price that is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.resources import files
from typing import Final

import msgspec
from genai_prices import types
from genai_prices.data import providers as tabled

from llmproxy.providers.models import Catalogue, Chain, Model, Period, Times, Variant
from llmproxy.providers.prices import Scale, rate, tiers
from llmproxy.providers.table import Provider, providers

#: What genai-prices calls the prices of what usage counts.
_PRICED: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "requests_kcount": "request",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "input_video_mtok": "input_video",
    "cache_audio_read_mtok": "cached_audio",
    "cache_image_read_mtok": "cached_image",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "audio_hours": "unit",
    "input_audio_hours": "unit",
    "input_mchars": "unit",
    "input_document_kpages": "unit",
}
#: What makes a price one for a million: of calls or pages from a thousand, of milliseconds from an hour.
_TIMES: Final = {
    "requests_kcount": Decimal(1000),
    "input_document_kpages": Decimal(1000),
    "audio_hours": 1 / Decimal("3.6"),
    "input_audio_hours": 1 / Decimal("3.6"),
}
_HEARD: Final = frozenset({"audio_hours", "input_audio_hours"})


#: A name, a window, and the prices of what `_COLUMNS` names.
_Row = tuple[str, int | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]
_COLUMNS: Final = ("input", "output", "cache_read", "cache_write")


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    """What is known of models that genai-prices does not have; prices are dollars for a million tokens."""

    as_of: str
    columns: tuple[str, ...]
    models: dict[str, tuple[_Row, ...]]


def compiled() -> Catalogue:
    """Return the catalogue of all that is known."""
    sources = {provider.id: provider for provider in tabled}
    facts = msgspec.json.decode(files(__package__).joinpath("models.json").read_bytes(), type=_Facts)
    models: list[Model] = []
    chains: dict[str, list[tuple[str, Chain]]] = {}
    for row in providers():
        chains[row.name] = []
        for name, suffix in row.sources.items():
            if (source := sources.get(name)) is not None:
                own = [(model, _model(row, model, suffix)) for model in source.models]
                models += [model for _, model in own]
                chains[row.name].append((suffix, [*_chain(own), *_fallback(row, source, sources)]))
        known = list(_known(row, facts))
        models += known
        chains[row.name].append(("", [(_equals(model.name), model) for model in known]))
    return Catalogue(models, chains)


def _chain(models: Iterable[tuple[types.ModelInfo, Model]]) -> Iterator[tuple[Callable[[str], bool], Model]]:
    return ((source.match.is_match, model) for source, model in models)


def _fallback(
    row: Provider, source: types.Provider, sources: Mapping[str, types.Provider]
) -> Iterator[tuple[Callable[[str], bool], Model]]:
    """Yield other providers' models that this one serves too, at their prices but not in their variants."""
    for name in source.fallback_model_providers or ():
        others = sources[name].models if name in sources else ()
        for other in others:
            model = _model(row, other, "")
            yield other.match.is_match, msgspec.structs.replace(model, variants=())


def _model(row: Provider, source: types.ModelInfo, suffix: str) -> Model:
    periods = source.prices if isinstance(source.prices, list) else [_always(source.prices)]
    return Model(
        provider=row.name,
        name=source.id + suffix,
        title=source.name or "",
        window=source.context_window,
        periods=tuple(_periods(periods)),
        variants=tuple(_variants(source.price_variants or ())),
        beside=tuple(sorted({key for period in periods for key in vars(period.prices)} - _PRICED.keys())),
        deprecated=bool(source.deprecated),
    )


def _always(prices: types.ModelPrice) -> types.ConditionalPrice:
    return types.ConditionalPrice(prices=prices)


def _periods(prices: Iterable[types.ConditionalPrice]) -> Iterator[Period]:
    for each in prices:
        priced = _priced(each.prices)
        if priced.keys() & {"input", "output", "request", "unit"}:
            yield Period(times=_times(each.constraint), priced=priced, tiers=tiers(priced))


def _variants(variants: Iterable[types.PriceVariant]) -> Iterator[Variant]:
    for each in variants:
        if priced := _priced(each.prices):
            yield Variant(when=dict(each.when), times=_times(each.constraint), priced=priced)


def _priced(prices: types.ModelPrice) -> dict[str, Scale]:
    found = ((name, vars(prices).get(key), key) for key, name in _PRICED.items())
    priced = {name: _scale(value, key) for name, value, key in found if value is not None}
    if vars(prices).keys() & _HEARD and "input" in priced:
        priced.setdefault("input_audio", Scale(0))  # what is paid by the hour is not paid by the token too
    return priced


def _scale(value: Decimal | types.TieredPrices, key: str) -> Scale:
    factor = _TIMES.get(key, Decimal(1))
    if isinstance(value, types.TieredPrices):
        steps = sorted((tier.start, rate(tier.price * factor)) for tier in value.tiers)
        return Scale(rate(value.base * factor), tuple(steps))
    return Scale(rate(value * factor))


def _times(constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None) -> Times:
    if isinstance(constraint, types.StartDateConstraint):
        return Times(since=_midnight(constraint.start_date))
    if isinstance(constraint, types.TimeOfDateConstraint):
        return Times(daily=(_second(constraint.start_time), _second(constraint.end_time)))
    return Times()


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _second(clock: time) -> int:
    if clock.tzinfo is not None:
        clock = datetime.combine(date(1970, 1, 2), clock).astimezone(UTC).time()
    return clock.hour * 3600 + clock.minute * 60 + clock.second


def _known(row: Provider, facts: _Facts) -> Iterator[Model]:
    for name, window, *dollars in facts.models.get(row.name, ()):
        named = zip(_COLUMNS, dollars, strict=True)
        priced = {kind: Scale(rate(value)) for kind, value in named if value is not None}
        periods = (Period(priced=priced, tiers=tiers(priced)),) if priced else ()
        source = f"as of {facts.as_of}; {row.docs}"
        yield Model(provider=row.name, name=name, window=window, periods=periods, source=source)


def _equals(name: str) -> Callable[[str], bool]:
    lowered = name.lower()
    return lambda other: other == lowered
