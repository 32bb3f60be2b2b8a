"""What is done where none of a pool's eligible places takes a request: others that may be tried, a wait, a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmproxy.plugin import BadRequest, Exchange, GatewayError, Place

if TYPE_CHECKING:
    from llmproxy_balance.walking import Trail, Walker


async def otherwise(walker: Walker, exchange: Exchange, trail: Trail) -> tuple[Place, Iterator[Place]]:
    """Take a place for a request that found none: a full one after a wait, or one that rests but may be tried.

    Return it, and who comes after it.

    Raises:
        GatewayError: 503, nobody can be tried now; 400, nobody ever could.
    """
    full = list(dict.fromkeys(each.place for each in trail.skipped if each.waits))
    if full:
        return await _room(walker, exchange, trail, full), iter(())
    # Who is well may not be for such a request: then it is for those that were left alone for the sake of the well.
    line_up = walker.line_up
    for among in (line_up.health.spare, line_up.health.last):
        order = line_up.order(exchange, trail.pool, trail.skipped, among)
        for place in order:
            if walker.takes(exchange, trail, place):
                return place, order
    raise nowhere(walker, exchange, trail)


async def _room(walker: Walker, exchange: Exchange, trail: Trail, full: list[Place]) -> Place:
    """Wait for a slot of a place that is full."""
    lease = await walker.limits.room(exchange, full, exchange.deadline)
    endpoint = lease.place.endpoint
    if endpoint is not None and not walker.watcher.claim(endpoint):  # it has failed meanwhile
        lease.release()
        raise nowhere(walker, exchange, trail)
    trail.lease = lease
    return lease.place


def nowhere(walker: Walker, exchange: Exchange, trail: Trail) -> GatewayError:
    """Return what a caller is told where no place can be tried: for now, or ever."""
    pool, name = trail.pool, trail.pool.name
    # By what the configuration calls them: where discovered members are is nobody's business.
    reasons = dict.fromkeys(f"{each.place.label}: {each.reason}" for each in trail.skipped)
    told = "; ".join(list(reasons)[:16])
    if walker.line_up.fits_nowhere(exchange, pool):
        return BadRequest(
            "no_place_fits", f"No place of the pool {name!r} can answer such a request ({told})."
        )
    told = told or "all are left alone after failures"
    wait = walker.line_up.health.until(pool)
    message = f"No place of the pool {name!r} can be tried now ({told})."
    return GatewayError(503, "no_place", message, retry_after=1.0 if wait is None else wait)
