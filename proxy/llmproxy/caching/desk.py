"""The admin listener's part for caches: what they have done, what is asked of them ahead of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson

from llmproxy.body import Body
from llmproxy.caching.purges import read_order
from llmproxy.caching.statistics import statistics
from llmproxy.caching.warmfile import BadLine, Line, read_lines, read_wanted
from llmproxy.caching.warming import Children, Pace, Warming, child_of
from llmproxy.errors import BadRequest
from llmproxy.messages import Headers, Reply
from llmproxy.units import parse_duration

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.registry import AdminRequest
    from llmproxy.runtime import Process

#: Requests at a time, and in a second, that may be wished for; seconds for each.
MOST_AT_ONCE: Final = 256
MOST_A_SECOND: Final = 10_000.0
LONGEST: Final = 600.0
#: Seconds that an explanation may take.
_PATIENCE: Final = 30.0


class CacheDesk:
    """Answers for the caches of whatever generation serves; `serving` gives it."""

    def __init__(self, process: Process, serving: Callable[[], Children]) -> None:
        self._process = process
        self._serving = serving

    async def purge(self, request: AdminRequest) -> Reply:
        """Purge what the body names; every worker of this host obeys when it is answered."""
        return (await self._process.spaces.purge(read_order(request.body))).reply()

    def stats(self, snapshots: list[bytes]) -> Reply:
        """Return what all workers have counted."""
        return Reply.json(statistics(self._process.metrics.families(snapshots)))

    async def warm(self, request: AdminRequest) -> Reply:
        """Make the requests that the body holds, a line each; answer with what becomes of each, and of all."""
        pace = read_pace(request.request.query)
        warming = Warming(self._serving, self._process.clock, pace)
        lines = read_lines(request.body)
        return Reply(
            200, Headers([(b"Content-Type", b"application/x-ndjson")]), Body.pumped(_told(warming, lines))
        )

    async def explain(self, request: AdminRequest) -> Reply:
        """Say what the caches of its route make of the request in the body, written as a line of a warm file.

        Raises:
            BadRequest: the body is no request.
            GatewayError: what the request would be told before any cache is asked.
        """
        try:
            wanted = read_wanted(request.body)
        except BadLine as fault:
            raise BadRequest("bad_request_line", f"The request cannot be read: {fault}.") from None
        children = self._serving()
        started = self._process.clock.now()
        child = child_of(children, wanted, "explain", started=started, within=_PATIENCE)
        async with asyncio.timeout(_PATIENCE):
            told = await _explained(children, child)
        return Reply.json(told)


async def _explained(children: Children, child: Exchange) -> dict[str, Any]:
    child.outcome.result, child.outcome.answered_by = "answered", "explain"
    reply = await children.rehearse(child)
    told: dict[str, Any] = {
        "route": child.route.name,
        "tenant": child.caller.tenant,
        "model": child.model,
        "caches": {},
    }
    if reply is not None:
        told["answered"] = f"by plugin, before any cache: {reply.status}"
        return told
    for plugin in child.route.pipeline.plugins:
        insight = await plugin.look_into(child)
        if insight is not None:
            told["caches"][plugin.name] = insight.tree
    return told


async def _told(warming: Warming, lines: Iterable[Line]) -> AsyncIterator[bytes]:
    ends: dict[str, int] = {}
    async with aclosing(warming.run(lines)) as warmed:
        async for each in warmed:
            ends[each.outcome] = ends.get(each.outcome, 0) + 1
            yield orjson.dumps({"line": each.line, "outcome": each.outcome, "why": each.why}) + b"\n"
    yield orjson.dumps({"outcomes": ends}) + b"\n"


def read_pace(query: str) -> Pace:
    """Read how hard upstreams may be asked: `concurrency=4&rate=10&within=60s`.

    Raises:
        BadRequest: it cannot be read, or is out of bounds.
    """
    told = dict(parse_qsl(query, keep_blank_values=True))
    pace = Pace()
    for name, value in told.items():
        if name not in Pace._fields:
            raise _bad(f"It takes {', '.join(Pace._fields)}, and nothing else.")
        try:
            read: Any = (
                int(value)
                if name == "concurrency"
                else float(value)
                if name == "rate"
                else parse_duration(value)
            )
        except ValueError:
            raise _bad(f"{name!r} cannot be read.") from None
        pace = pace._replace(**{name: read})
    if not 1 <= pace.concurrency <= MOST_AT_ONCE:
        raise _bad(f"'concurrency' is from 1 to {MOST_AT_ONCE}.")
    if not isfinite(pace.rate) or not 0 <= pace.rate <= MOST_A_SECOND:
        raise _bad(f"'rate' is a number a second up to {MOST_A_SECOND:g}, 0 for no bound.")
    if not 0 < pace.within <= LONGEST:
        raise _bad(f"'within' is a time up to {LONGEST:g}s.")
    return pace


def _bad(message: str) -> BadRequest:
    return BadRequest("bad_pace", message)
