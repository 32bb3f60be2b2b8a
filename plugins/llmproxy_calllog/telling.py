"""A call's plain values made into its record, in the writer's thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from llmproxy.plugin import Endpoint, Pool, Tariff, Usage, redact_text
from llmproxy_calllog.bodies import answer_text, request_text
from llmproxy_calllog.call import Call, Record
from llmproxy_calllog.taking import Ended, Kept, Tried

_LONGEST: Final = 200
_FORWARDED: Final = re.compile(rb";\s*fwd=([a-z-]{1,30})")
_JOINED: Final = re.compile(rb";\s*collapsed\b")
#: Failures after which a provider has nothing to be paid for.
_UNSENT: Final = frozenset({"connect", "dns", "tls"})


class Teller:
    """Makes records, with the prices of one generation; `limit` is how much is shown of a body."""

    def __init__(self, tariff: Tariff, limit: int) -> None:
        self._tariff = tariff
        self._limit = limit

    def record(self, ended: Ended, kept: Kept | None) -> Record:
        """Return a call's record."""
        call = self.call(ended)
        if kept is None:
            return Record(call)
        return Record(call, request_text(kept, self._limit), answer_text(kept, self._limit))

    def call(self, ended: Ended) -> Call:
        """Return a call's fields. What callers choose is cut, and stripped of what looks like a credential."""
        labels, last = dict(ended.caller.labels), ended.tried[-1].endpoint if ended.tried else None
        usage = total([each.usage for each in ended.tried])
        return Call(
            at=ended.wall - (ended.ended - ended.started),
            id=chosen(ended.id),
            parent=chosen(ended.parent),
            tenant=named(ended.caller.tenant),
            key=named(ended.caller.key),
            org=named(labels.get("org", "")),
            team=named(labels.get("team", "")),
            user=named(labels.get("user", "")),
            route=ended.route,
            dialect=ended.dialect,
            model=chosen(ended.model or ""),
            streamed=int(ended.streamed),
            status=ended.status,
            result=ended.result,
            error=ended.error,
            answered_by=ended.answered_by,
            **_decision(ended),
            upstream="" if last is None else place(last),
            upstream_model=chosen((last is not None and last.model) or ""),
            tries=len(ended.tried),
            attempts=_attempts(ended),
            bytes_in=ended.bytes_in,
            bytes_out=ended.bytes_out,
            **_times(ended),
            **({} if usage is None else msgspec.structs.asdict(usage)),
            cost=self._cost(ended),
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
    return Usage(*(sum(numbers) for numbers in zip(*map(msgspec.structs.astuple, known), strict=True)))


def place(endpoint: Endpoint) -> str:
    """Return where an attempt went, by the full name where that was a discovered member."""
    return endpoint.member or endpoint.upstream


def named(text: str) -> str:
    """Return a name that an operator or a provider of identities gave, fit to be stored."""
    text = text[:_LONGEST]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def chosen(text: str) -> str:
    """Return a name that a caller chose, fit to be stored: it may hold what was never meant to be a name."""
    return redact_text(named(text)) if text else text


def _decision(ended: Ended) -> dict[str, Any]:
    forwarded = _FORWARDED.search(ended.cache_status)
    joined = ended.cache == "miss" and _JOINED.search(ended.cache_status) is not None
    return {
        "cache": "joined" if joined else ended.cache,
        "cache_why": "" if forwarded is None or ended.cache == "hit" else forwarded[1].decode(),
        "pool": "" if ended.pool is None else ended.pool.name,
        "policy": "" if ended.pool is None else policy(ended.pool),
        "arm": "" if ended.arm is None else str(ended.arm),
    }


def policy(pool: Pool) -> str:
    """Return what a pool's strategy is called."""
    return type(pool.strategy).__name__.strip("_").lower()


def _times(ended: Ended) -> dict[str, Any]:
    outputs = [each.first_output_at for each in ended.tried if each.first_output_at is not None]
    return {
        "first_byte_ms": _ms(ended.first_byte_at, ended.started),
        "first_output_ms": _ms(min(outputs, default=None), ended.started),
        "ms": _ms(ended.ended, ended.started) or 0.0,
    }


def _attempts(ended: Ended) -> str:
    if not ended.tried:
        return ""
    tries = [_tried(each, ended.started) for each in ended.tried]
    return msgspec.json.encode(tries).decode()


def _tried(each: Tried, started: float) -> dict[str, Any]:
    fields = {
        "place": place(each.endpoint),
        "model": chosen(each.endpoint.model or ""),
        "status": each.status,
        "failure": each.failure,
        "after_ms": _ms(each.started, started),
        "headers_ms": _ms(each.headers_at, each.started),
        "first_output_ms": _ms(each.first_output_at, each.started),
        "ms": _ms(each.ended, each.started),
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _ms(at: float | None, since: float) -> float | None:
    return None if at is None else round((at - since) * 1000, 3)
