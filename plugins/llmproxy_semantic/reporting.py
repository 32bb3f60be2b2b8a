"""What a route's answers by likeness are worth, as the admin listener tells it and as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmproxy_semantic.verifying import Told


def plain(told: Told, *, quarantined: int = 0, vetoes: int = 0) -> dict[str, Any]:
    """Return what is told of a route as JSON holds it; a tier without a threshold serves nothing."""
    share, low, high = told.wrong_per_hit
    return {
        "state": told.state,
        "certified": told.certified,
        "why": told.why,
        "delta": told.delta,
        "bound": round(told.bound, 6),
        "samples": told.samples,
        "thresholds": None if told.cuts is None else [cut if cut <= 1 else None for cut in told.cuts],
        "hits": told.hits,
        "wrong": told.wrong,
        "wrong_per_hit": {"share": round(share, 6), "low": round(low, 6), "high": round(high, 6)},
        "left_out": told.left_out,
        "reports": told.reports,
        "brakes": told.brakes,
        "quarantined": quarantined,
        "vetoes": vetoes,
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of a report on each route: `told` is what `GET /semantic` answers."""
    routes: Mapping[str, Mapping[str, Any]] = told.get("routes") or {}
    if not routes:
        yield "no route answers by likeness with verification"
    for name, route in routes.items():
        yield f"route       {name}: {_standing(route)}"
        yield f"promise     at most {route['delta']:.2%} of requests are answered wrongly by likeness"
        yield f"seen        {_seen(route)}"
        per_hit = route["wrong_per_hit"]
        if route["hits"]:
            share, bounds = per_hit["share"], f"{per_hit['low']:.2%} to {per_hit['high']:.2%}"
            yield f"of hits     {share:.2%} are wrong ({bounds}): not what is promised"
        if route["thresholds"] is not None:
            yield f"thresholds  {', '.join(map(_least, route['thresholds']))}"
        yield (
            f"since start {route['brakes']} times braked; {route['reports']} reports, {route['left_out']} left out,"
            f" {route['quarantined']} answers held back, {route['vetoes']} pairs vetoed"
        )


def _least(cut: float | None) -> str:
    return "never" if cut is None else f"{cut:.3f}"


def _standing(route: Mapping[str, Any]) -> str:
    if route["certified"]:
        return "certified"
    what = {"strict": "offline thresholds", "off": "nothing is answered by likeness"}
    return f"not certified ({route['why']}): {what.get(route['state'], route['state'])}"


def _seen(route: Mapping[str, Any]) -> str:
    bound = f"at most {route['bound']:.2%} with 95 %" if route["samples"] else "no bound yet"
    return (
        f"{route['samples']} samples; of them {route['hits']} would be hits, {route['wrong']} wrong: {bound}"
    )
