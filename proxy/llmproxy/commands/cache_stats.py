"""`llmproxy cache stats`: what the caches of a running gateway have done, and how full their stores are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llmproxy.commands.asking import Admin, ask
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.commands.tables import table

_OUTCOMES = ("hit", "stale", "joined", "revalidated", "miss", "bypass")
_ROLES = ("led", "joined", "alone", "handed_over")
_REASONS = ("size", "expired", "replaced")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def stats(where: Admin, *, as_json: bool) -> str:
    """Return the numbers of all workers, as text or JSON.

    Raises:
        Refusal: the gateway does not tell.
    """
    answer = ask(where, "GET", "/cache/stats")
    if answer.status != 200 or "caches" not in answer.told:
        raise Refusal(f"{where.address}: {answer.reason}", ExitCode.GATEWAY_NOT_REACHED)
    if as_json:
        return orjson.dumps(answer.told, option=orjson.OPT_INDENT_2).decode()
    return "\n\n".join(_tables(answer.told)) or "no cache is in use"


def _tables(told: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        _requests(cache, route, its)
        for cache, all_ in sorted(told["caches"].items())
        for route, its in sorted(all_["routes"].items())
    ]
    if rows:
        head = ("cache", "route", *_OUTCOMES, "hit ratio", "saved tokens", "dollars", "seconds")
        yield table(head, rows, right=frozenset(range(2, len(head))))
    flights = [
        (cache, *(str(all_["flights"].get(role, 0)) for role in _ROLES))
        for cache, all_ in sorted(told["caches"].items())
        if all_["flights"]
    ]
    if flights:
        yield table(
            ("flights of", "led", "joined", "alone", "handed over"), flights, right=frozenset({1, 2, 3, 4})
        )
    yield from _stores(told["stores"])


def _requests(cache: str, route: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    outcomes, saved, ratio = told["outcomes"], told["saved"], told.get("hit_ratio")
    return (
        cache,
        route,
        *(str(outcomes.get(outcome, 0)) for outcome in _OUTCOMES),
        "" if ratio is None else f"{100 * ratio:.1f} %",
        str(round(saved.get("tokens", 0))),
        f"{saved.get('dollars', 0):.6f}",
        f"{saved.get('seconds', 0):.3f}",
    )


def _stores(stores: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (
            store,
            tier,
            str(round(its["entries"])) if "entries" in its else "",
            size(its["bytes"]) if "bytes" in its else "",
            size(its["limit"]) if "limit" in its else "",
            *(str(its["evictions"].get(reason, 0)) for reason in _REASONS),
        )
        for store, all_ in sorted(stores.items())
        for tier, its in sorted(all_["tiers"].items(), reverse=True)
    ]
    if rows:
        head = ("store", "tier", "entries", "bytes", "of", *(f"gone: {reason}" for reason in _REASONS))
        yield table(head, rows, right=frozenset(range(2, len(head))))
    for what in ("faults", "purges"):
        told = [
            (store, name, str(round(count)))
            for store, all_ in sorted(stores.items())
            for name, count in all_[what].items()
        ]
        if told:
            yield table(("store", what, "number"), told, right=frozenset({2}))


def size(number: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError
