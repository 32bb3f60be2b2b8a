"""A call's plain values made into its record, in the writer's thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from llmproxy.plugin import Caller, Endpoint, Pool, Tariff, Usage, redact_text
from llmproxy_calllog.bodies import answer_text, request_text
from llmproxy_calllog.call import Call, Record
from llmproxy_calllog.naming import named
from llmproxy_calllog.taking import Ended, Kept, Tried

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OWN_ID: Final = re.compile(r"req-[0-9a-f]{12}-[0-9a-f]{1,16}")
_FORWARDED: Final = re.compile(rb";\s*fwd=([a-z-]{1,30})")
_JOINED: Final = re.compile(rb";\s*collapsed\b")
#: Failures after which a provider has nothing to be paid for.
_UNSENT: Final = frozenset({"connect", "dns", "tls"})
_NOWHERE: Final = Endpoint("")
_LABELS: Final = ("org", "team", "user")
#: The members of a usage that are numbers.
_COUNTS: Final = Usage.__struct_fields__.index("parts")
_encode: Final = msgspec.json.Encoder().encode


class _Try(msgspec.Struct, omit_defaults=True):
    """One attempt as it is told; times are milliseconds from its start, `after_ms` from the call's."""

    place: str
    model: str = ""
    status: int | None = None
    failure: str = ""
    after_ms: float | None = None
    headers_ms: float | None = None
    first_output_ms: float | None = None
    ms: float | None = None


#: What is told of tokens where nobody knows any.
_UNKNOWN: Final = (None, None, None, None, None)
#: As `Call` makes one, without a call of Python's.
_call: Final[Callable[[tuple[Any, ...]], Call]] = partial(tuple.__new__, Call)
#: Callers and places that are known at a time.
_KNOWN: Final = 4096


class _Place(NamedTuple):
    """Where attempts go, as it is told; `opening` is how the JSON of one begins. The endpoint lives as long."""

    endpoint: Endpoint
    name: str
    model: str
    opening: str


class Teller:
    """Makes records, with the prices of one generation; `limit` is how much is shown of a body."""

    def __init__(self, tariff: Tariff, limit: int) -> None:
        self._tariff = tariff
        self._limit = limit
        #: By `id`: what is known holds what it is known of, so that nothing else gets its `id`.
        self._callers: dict[int, tuple[Caller, tuple[str, ...]]] = {}
        self._places: dict[int, _Place] = {}

    def record(self, ended: Ended, kept: Kept | None) -> Record:
        """Return a call's record."""
        call = self.call(ended, "" if kept is None else kept.mode)
        if kept is None:
            return Record(call)
        return Record(call, request_text(kept, self._limit), answer_text(kept, self._limit))

    def call(self, ended: Ended, bodies: str = "") -> Call:
        """Return a call's fields. What callers choose is cut, and stripped of what looks like a credential."""
        tried, started, pool, caller = ended.tried, ended.started, ended.pool, ended.caller
        known = self._callers.get(id(caller))
        last = self._place(tried[-1].endpoint if tried else _NOWHERE)
        cache, why = _cache(ended) if ended.cache else ("", "")
        return _call(
            (
                ended.wall - (ended.ended - started),
                own_or_chosen(ended.id),
                own_or_chosen(ended.parent) if ended.parent else "",
                *(self._know(caller) if known is None else known[1]),
                ended.route,
                ended.dialect,
                chosen(ended.path),
                chosen(ended.model or ""),
                int(ended.streamed),
                ended.status,
                ended.result,
                ended.error,
                ended.answered_by,
                cache,
                why,
                *(("", "") if pool is None else (pool.name, policy(pool))),
                "" if ended.arm is None else str(ended.arm),
                last.name,
                last.model,
                len(tried),
                self._attempts(tried, started) if tried else "",
                ended.bytes_in,
                ended.bytes_out,
                _ms(ended.first_byte_at, started),
                _ms(_first_output(tried), started),
                _ms(ended.ended, started) or 0.0,
                *_counts(tried),
                self._cost(ended),
                bodies,
            )
        )

    def _know(self, caller: Caller) -> tuple[str, ...]:
        """Return a caller's names as they are told."""
        labels = dict(caller.labels)
        names = (caller.tenant, caller.key, *[labels.get(kind, "") for kind in _LABELS])
        told = tuple(map(named, names))
        if len(self._callers) >= _KNOWN:
            self._callers.clear()
        self._callers[id(caller)] = caller, told
        return told

    def _place(self, endpoint: Endpoint) -> _Place:
        known = self._places.get(id(endpoint))
        if known is None:
            if len(self._places) >= _KNOWN:
                self._places.clear()
            name, model = place(endpoint), chosen(endpoint.model or "")
            opening = f"[{_encode(_Try(name, model)).decode()[:-1]}"
            known = self._places[id(endpoint)] = _Place(endpoint, name, model, opening)
        return known

    def _attempts(self, tried: Sequence[Tried], started: float) -> str:
        """Return all attempts as JSON."""
        first = tried[0]
        if len(tried) == 1 and not first.failure and first.status and first.ended is not None:
            at, came, began = first.headers_at, first.first_output_at, first.started
            if at is not None and came is not None:
                told = {
                    "status": first.status,
                    "after_ms": int((began - started) * 1e6 + 0.5) / 1000,
                    "headers_ms": int((at - began) * 1e6 + 0.5) / 1000,
                    "first_output_ms": int((came - began) * 1e6 + 0.5) / 1000,
                    "ms": int((first.ended - began) * 1e6 + 0.5) / 1000,
                }
                return f"{self._place(first.endpoint).opening},{orjson.dumps(told)[1:].decode()}]"
        return _encode([self._told(each, started) for each in tried]).decode()

    def _told(self, each: Tried, started: float) -> _Try:
        where, began = self._place(each.endpoint), each.started
        return _Try(
            where.name,
            where.model,
            each.status,
            each.failure,
            _ms(began, started),
            _ms(each.headers_at, began),
            _ms(each.first_output_at, began),
            _ms(each.ended, began),
        )

    def _cost(self, ended: Ended) -> int | None:
        """Return what all attempts cost together; None where one may cost something that is not known."""
        cost = 0
        for each in ended.tried:
            if each.cost is not None:
                cost += each.cost
            elif each.usage is not None:
                price = self._tariff.price(each.endpoint, each.usage, ended.model)
                if price is None:
                    return None
                cost += price
            elif each.failure not in _UNSENT and (each.status or 0) < 400:
                return None
        return cost


def _counts(tried: Sequence[Tried]) -> tuple[int | None, ...]:
    """Return the tokens of all attempts, bucket by bucket."""
    usage = tried[0].usage if len(tried) == 1 else total([each.usage for each in tried])
    if usage is None:
        return _UNKNOWN
    return usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning


def total(usages: Sequence[Usage | None]) -> Usage | None:
    """Return the sum of what is known, bucket by bucket; None if nothing is."""
    known = [each for each in usages if each is not None]
    if len(known) < 2:
        return known[0] if known else None
    counts = (msgspec.structs.astuple(each)[:_COUNTS] for each in known)
    return Usage(*(sum(numbers) for numbers in zip(*counts, strict=True)))


def place(endpoint: Endpoint) -> str:
    """Return where an attempt went, by the full name where that was a discovered member."""
    return endpoint.member or endpoint.upstream


@lru_cache(2048)
def chosen(text: str) -> str:
    """Return a name that a caller chose, fit to be stored: it may hold what was never meant to be a name."""
    return redact_text(named(text)) if text else text


def own_or_chosen(text: str) -> str:
    """Return a call's id: as it is if the gateway made it, which needs no look and comes once only."""
    return text if not text or _OWN_ID.fullmatch(text) else chosen(text)


def _cache(ended: Ended) -> tuple[str, str]:
    """Return what a cache did, and why it went on to the upstream."""
    if not ended.cache_status or ended.cache != "miss":
        return ended.cache, ""
    forwarded = _FORWARDED.search(ended.cache_status)
    joined = _JOINED.search(ended.cache_status) is not None
    return "joined" if joined else "miss", "" if forwarded is None else forwarded[1].decode()


def policy(pool: Pool) -> str:
    """Return what a pool's strategy is called."""
    return _in_words(type(pool.strategy))


@lru_cache(64)
def _in_words(kind: type) -> str:
    """Return a class's name as configurations write names: `least_in_flight`."""
    return _WORD.sub("_", kind.__name__.strip("_")).lower()


def _first_output(tried: Sequence[Tried]) -> float | None:
    for each in tried:
        if each.first_output_at is not None:
            return each.first_output_at
    return None


def _ms(at: float | None, since: float) -> float | None:
    """Return milliseconds between two times, to the microsecond."""
    return None if at is None else int((at - since) * 1e6 + 0.5) / 1000
