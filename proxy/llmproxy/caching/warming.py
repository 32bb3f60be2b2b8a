"""Warming: requests made of the gateway itself, so that those who ask next find answers.

Each runs as a child exchange through the pipeline, with the tenant and key that it names, so that the caches keep what
they would have kept for that caller, under the same key. A pinned answer is given where the upstream would be asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import orjson

from llmproxy.body import Body, BodyTooLarge
from llmproxy.caching.fate import FATE, Fate
from llmproxy.caching.warmfile import BadLine, Line, Wanted, read_lines
from llmproxy.errors import GatewayError
from llmproxy.exchange import Exchange
from llmproxy.messages import ClientRequest
from llmproxy.runtime import ChildRequest
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from pathlib import Path

    from llmproxy.messages import Reply
    from llmproxy.route import Route
    from llmproxy.routing import Match
    from llmproxy.runtime import Clock

#: Seconds that a store has to take an answer before that counts as failed.
_SAVING: Final = 5.0
#: Why a cache may have gone to the upstream for an answer that it can keep (RFC 9211 §2.2).
_KEEPABLE: Final = frozenset({"uri-miss", "vary-miss", "miss", "request", "stale", "partial"})
_STATUS: Final = re.compile(rb"fwd=([a-z-]+)|detail=\"((?:[^\"\\]|\\.)*)\"|;\s*(hit|collapsed)\b")
_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,60}")
#: Lines of a file that went wrong which are logged.
_MOST_TOLD: Final = 20
#: Bytes of an error that are looked through for its code.
_MOST: Final = 65536

Outcome = str  # stored, hit, joined, not kept, failed


class Pace(NamedTuple):
    """How hard the upstreams are asked: requests at a time, in a second (0: as they come), seconds for each."""

    concurrency: int = 4
    rate: float = 0.0
    within: float = 60.0


class Warmed(NamedTuple):
    """What became of one line: `stored`, `hit` (it was there), `joined`, `not kept` or `failed`, and why."""

    line: int
    outcome: Outcome
    why: str = ""


class Children(Protocol):
    """What runs child exchanges: a generation."""

    def match(self, request: ClientRequest) -> Match[Route]:
        """Find a request's route."""

    def child(self, request: ChildRequest, parent: Exchange | None) -> Exchange:
        """Make a child exchange."""

    async def run(self, exchange: Exchange) -> Reply:
        """Run it to its reply."""

    async def rehearse(self, exchange: Exchange) -> Reply | None:
        """Run it as far as the caches would be asked."""


class Warming:
    """Warms by whatever generation `serving` gives when a request's turn comes."""

    def __init__(self, serving: Callable[[], Children], clock: Clock, pace: Pace) -> None:
        self._serving = serving
        self._clock = clock
        self._pace = pace
        self._next = 0.0

    async def run(self, lines: Iterable[Line]) -> AsyncGenerator[Warmed, None]:
        """Make the requests, so many at a time; give each line's end as it comes. Closing it stops all."""
        done: asyncio.Queue[Warmed | None] = asyncio.Queue()
        rest = iter(lines)
        tasks = [spawn(self._work(rest, done), name="warming") for _ in range(max(1, self._pace.concurrency))]
        try:
            left = len(tasks)
            while left:
                told = await done.get()
                if told is None:
                    left -= 1
                else:
                    yield told
        finally:
            for task in tasks:
                task.cancel()

    async def _work(self, rest: Iterator[Line], done: asyncio.Queue[Warmed | None]) -> None:
        try:
            for number, wanted in rest:
                if isinstance(wanted, BadLine):
                    done.put_nowait(Warmed(number, "failed", str(wanted)))
                else:
                    await self._wait_for_turn()
                    done.put_nowait(await self._one(number, wanted))
        finally:
            done.put_nowait(None)

    async def _wait_for_turn(self) -> None:
        if self._pace.rate:
            now = self._clock.now()
            turn = max(self._next, now)
            self._next = turn + 1 / self._pace.rate
            if turn > now:
                await self._clock.sleep(turn - now)

    async def _one(self, number: int, wanted: Wanted) -> Warmed:
        try:
            async with asyncio.timeout(self._pace.within):
                outcome, why = await self._asked(number, wanted)
        except TimeoutError:
            outcome, why = "failed", "timeout"
        except GatewayError as fault:
            outcome, why = "failed", f"{fault.status} {fault.code}"
        except OSError:
            outcome, why = "failed", "cut off"
        except Exception as fault:
            outcome, why = "failed", type(fault).__name__
        return Warmed(number, outcome, why)

    async def _asked(self, number: int, wanted: Wanted) -> tuple[Outcome, str]:
        children, fate = self._serving(), Fate()
        child = child_of(
            children, wanted, f"warm{number}", started=self._clock.now(), within=self._pace.within
        )
        child.state[FATE] = fate
        child.pinned = wanted.pinned
        reply = await children.run(child)
        start = await _drained(reply)
        if child.outcome.cache == "hit":
            return "hit", ""
        if child.outcome.error or reply.status >= 400:
            code = child.outcome.error or _code_of(start)
            return "failed", f"{reply.status} {code}".rstrip()
        return await _by_status(reply, fate)


def child_of(children: Children, wanted: Wanted, name: str, *, started: float, within: float) -> Exchange:
    """Make the exchange of a request that somebody wants, for the caller that is named with it.

    Raises:
        GatewayError: no route is the request's.
    """
    headers, host = wanted.headers, wanted.headers.get("host") or ""
    asked = ClientRequest(wanted.method, wanted.target, headers, wanted.scheme, host, listener="admin")
    order = Exchange(asked, children.match(asked).route, name, started)
    order.caller = wanted.caller
    order.deadline = started + within
    return children.child(ChildRequest(wanted.method, wanted.target, headers, wanted.body), order)


async def warm_from(children: Children, file: Path, clock: Clock, log: Any) -> None:
    """Make the requests of a file, and log what became of them; also when it is given up."""
    try:
        data = await asyncio.to_thread(file.read_bytes)
    except OSError as fault:
        log.warning("warm_file_unreadable", file=str(file), reason=fault.strerror)
        return
    counts: dict[str, int] = {}
    try:
        async with aclosing(Warming(lambda: children, clock, Pace()).run(read_lines(data))) as ends:
            async for end in ends:
                counts[end.outcome] = counts.get(end.outcome, 0) + 1
                if end.why and sum(counts.values()) - counts.get("stored", 0) <= _MOST_TOLD:
                    log.warning("not_warmed", file=str(file), line=end.line, outcome=end.outcome, why=end.why)
    finally:
        log.info("warmed", file=str(file), outcomes=counts)


async def _by_status(reply: Reply, fate: Fate) -> tuple[Outcome, str]:
    """Read what the cache has said in Cache-Status (the last of several is nearest), then what becomes of the answer."""
    value = reply.headers.index.get(b"cache-status")
    if value is None:
        return "not kept", "no cache on this route"
    said = {kind: text for found in _STATUS.finditer(value) for kind, text in _named(found)}
    if said.get("mark") == b"collapsed":
        return "joined", ""
    forwarded = said.get("forwarded", b"").decode("latin-1")
    if forwarded in _KEEPABLE:
        await fate.settled(_SAVING)
    if fate.kept:
        return "stored", ""
    return "not kept", fate.why or said.get("detail", b"").decode("latin-1") or forwarded


def _named(found: re.Match[bytes]) -> Iterator[tuple[str, bytes]]:
    for kind, text in zip(("forwarded", "detail", "mark"), found.groups(), strict=True):
        if text is not None:
            yield kind, text


async def _drained(reply: Reply) -> bytes:
    """Take a reply to its end, and return its beginning if it is an error."""
    if not isinstance(reply.body, Body):
        return reply.body[:_MOST]
    if reply.status >= 400:
        with suppress(BodyTooLarge):
            return await reply.body.read(_MOST)
        return b""
    async with aclosing(reply.body.pieces()) as pieces:
        async for _ in pieces:
            pass
    return b""


def _code_of(body: bytes) -> str:
    """Return an error's code, and nothing of its text, which may repeat what was asked."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    inner = told.get("error", told) if isinstance(told, dict) else None
    names = [inner.get(name) for name in ("code", "type", "status")] if isinstance(inner, dict) else []
    return next((name for name in names if isinstance(name, str) and _CODE.fullmatch(name.lower())), "")
