"""A call's plain values made into its record, in the writer's thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from llmproxy.plugin import Endpoint, Pool, Tariff, Usage, redact_text
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


class _Tokens(msgspec.Struct):
    """What is told of tokens where nobody knows any."""

    input: None = None
    cache_read: None = None
    cache_write: None = None
    output: None = None
    reasoning: None = None


_UNKNOWN: Final = _Tokens()


class Teller:
    """Makes records, with the prices of one generation; `limit` is how much is shown of a body."""

    def __init__(self, tariff: Tariff, limit: int) -> None:
        self._tariff = tariff
        self._limit = limit

    def record(self, ended: Ended, kept: Kept | None) -> Record:
        """Return a call's record."""
        call = self.call(ended, "" if kept is None else kept.mode)
        if kept is None:
            return Record(call)
        return Record(call, request_text(kept, self._limit), answer_text(kept, self._limit))

    def call(self, ended: Ended, bodies: str = "") -> Call:
        """Return a call's fields. What callers choose is cut, and stripped of what looks like a credential."""
        caller, tried, started, pool = ended.caller, ended.tried, ended.started, ended.pool
        labels = dict(caller.labels) if caller.labels else {}
        last = tried[-1].endpoint if tried else _NOWHERE
        usage = total([each.usage for each in tried]) or _UNKNOWN
        cache, why = _cache(ended)
        return Call(
            at=ended.wall - (ended.ended - started),
            id=own_or_chosen(ended.id),
            parent=own_or_chosen(ended.parent),
            tenant=named(caller.tenant),
            key=named(caller.key),
            org=named(labels.get("org", "")),
            team=named(labels.get("team", "")),
            user=named(labels.get("user", "")),
            route=ended.route,
            dialect=ended.dialect,
            path=chosen(ended.path),
            model=chosen(ended.model or ""),
            streamed=int(ended.streamed),
            status=ended.status,
            result=ended.result,
            error=ended.error,
            answered_by=ended.answered_by,
            cache=cache,
            cache_why=why,
            pool="" if pool is None else pool.name,
            policy="" if pool is None else policy(pool),
            arm="" if ended.arm is None else str(ended.arm),
            upstream=place(last),
            upstream_model=chosen(last.model or ""),
            tries=len(tried),
            attempts=_attempts(tried, started) if tried else "",
            bytes_in=ended.bytes_in,
            bytes_out=ended.bytes_out,
            first_byte_ms=_ms(ended.first_byte_at, started),
            first_output_ms=_ms(_first_output(tried), started),
            ms=_ms(ended.ended, started) or 0.0,
            input=usage.input,
            cache_read=usage.cache_read,
            cache_write=usage.cache_write,
            output=usage.output,
            reasoning=usage.reasoning,
            cost=self._cost(ended),
            bodies=bodies,
        )

    def _cost(self, ended: Ended) -> int | None:
        """Return what all attempts cost together; None where one may cost something that is not known."""
        cost = 0
        for each in ended.tried:
            if each.usage is not None:
                price = self._tariff.price(each.endpoint, each.usage, ended.model)
                if price is None:
                    return None
                cost += price
            elif each.failure not in _UNSENT and (each.status or 0) < 400:
                return None
        return cost


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


def _attempts(tried: Sequence[Tried], started: float) -> str:
    return _encode([_told(each, started) for each in tried]).decode()


def _told(each: Tried, started: float) -> _Try:
    began, model = each.started, each.endpoint.model
    return _Try(
        place(each.endpoint),
        chosen(model) if model else "",
        each.status,
        each.failure,
        _ms(began, started),
        _ms(each.headers_at, began),
        _ms(each.first_output_at, began),
        _ms(each.ended, began),
    )


def _ms(at: float | None, since: float) -> float | None:
    return None if at is None else int((at - since) * 1e6 + 0.5) / 1000
