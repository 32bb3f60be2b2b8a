"""`llmproxy models`: what providers serve, how much it reads, what it costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.commands.tables import table
from llmproxy.providers.models import Model, load_now
from llmproxy.providers.prices import Rates, per_million
from llmproxy.providers.table import by_name, find_provider
from llmproxy.suggestions import nearest

_NUMBERS = frozenset({1, 2, 3, 4, 5})
_BUCKETS = ("input", "output", "cache_read", "cache_write")


def models(pattern: str | None, provider: str | None, *, as_json: bool) -> str:
    """List the models whose name has the pattern, of one provider or of all."""
    name = None if provider is None else _provider(provider)
    wanted = _matcher(pattern)
    found = [each for each in load_now().models if name in {None, each.provider} and wanted.search(each.id)]
    now = datetime.now(UTC).timestamp()
    if as_json:
        return orjson.dumps([_described(each, now) for each in found], option=orjson.OPT_INDENT_2).decode()
    if not found:
        return "no model that is known has such a name"
    head = ("model", "window", "input", "output", "cache read", "cache write")
    lines = table(head, [_row(each, now) for each in found], right=_NUMBERS)
    providers = len({each.provider for each in found})
    return f"{lines}\n{_count(len(found), 'model')} of {_count(providers, 'provider')}"


def _provider(name: str) -> str:
    row = find_provider(name)
    if row is None:
        near = nearest(name, by_name())
        hint = f"did you mean {near!r}?" if near else "llmproxy providers lists them"
        raise Refusal(f"no provider is called {name!r}; {hint}", ExitCode.WRONG_USAGE)
    return row.name


def _matcher(pattern: str | None) -> re.Pattern[str]:
    parts = (pattern or "").split("*")
    text = ".*".join(map(re.escape, parts))
    return re.compile(f"^{text}$" if len(parts) > 1 else text, re.IGNORECASE)


def _row(model: Model, now: float) -> Sequence[str]:
    window = "-" if model.window is None else f"{model.window:,}"
    tiers = model.tiers(now)
    if not tiers:
        return (model.id, window, *["-"] * len(_BUCKETS))
    more = "+" if len(tiers) > 1 else ""
    return (model.id, window, *(f"{dollars}{more}" if dollars else "-" for dollars in _prices(tiers[-1])))


def _prices(rates: Rates) -> list[str | None]:
    """Return what each bucket costs, and None for cached tokens that cost what others do."""
    return [
        None if bucket.startswith("cache") and getattr(rates, bucket) == rates.input else per_million(rate)
        for bucket in _BUCKETS
        for rate in [getattr(rates, bucket)]
    ]


def _described(model: Model, now: float) -> dict[str, object]:
    return {
        "id": model.id,
        "provider": model.provider,
        "name": model.name,
        "title": model.title,
        "context_window": model.window,
        "prices": [
            {"for_prompts_above": max(rates.above, 0), **dict(zip(_BUCKETS, _prices(rates), strict=True))}
            for rates in reversed(model.tiers(now))
        ],
        "deprecated": model.deprecated,
        "source": model.source,
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
