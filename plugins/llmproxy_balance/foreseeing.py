"""What `llmproxy explain` says of a pool: who would be tried, in which order, and who would not."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.plugin import FORESEEN, Exchange, Place, Pool
from llmproxy_balance.conditions import UNMET
from llmproxy_balance.lineup import LineUp, Skipped


def foreseen(line_up: LineUp, exchange: Exchange, pool: Pool) -> Iterator[tuple[str, str]]:
    """Yield names and texts; no place is asked, and nothing is known of anybody's health."""
    skipped: list[Skipped] = []
    order = list(line_up.order(exchange, pool, skipped))
    exchange.state[FORESEEN] = [place.endpoint for place in order if place.endpoint is not None]
    most = exchange.route.most_attempts
    bound = f"; {most} attempts at most" if len(order) > most else ""
    yield (
        f"pool {pool.name}",
        ", then ".join(map(_told, order)) + bound or "no place can answer such a request",
    )
    for each in dict.fromkeys(skipped):
        unmet = each.reason == UNMET
        yield f"not {each.place.name}", f"{UNMET}: {each.place.settings.when}" if unmet else each.reason
    for kind in sorted({kind for place in _all(pool) for kind in place.settings.after}):
        meant = list(line_up.after(kind, exchange, pool, []))
        yield f"after {kind}", ", then ".join(map(_told, meant)) or "no place"
    for place in pool.mirrors:
        yield (
            f"mirror {place.name}",
            f"gets copies of {100 * (place.settings.mirror or 0):g} % of the requests",
        )


def _told(place: Place) -> str:
    endpoint = place.endpoint
    if endpoint is None or endpoint.model is None or place.name == f"{endpoint.upstream}/{endpoint.model}":
        return place.name
    return f"{place.name} ({endpoint.upstream}/{endpoint.model})"


def _all(pool: Pool) -> Iterator[Place]:
    for place in pool.places:
        yield place
        if place.pool is not None:
            yield from _all(place.pool)
