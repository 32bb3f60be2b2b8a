"""What one line tells of an exchange: plain values taken at its end, made into fields in the log's thread.

Nothing here reads a header, a body or the value of a query parameter. What a caller can make long is cut.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

import msgspec

from llmproxy.plugin import Attempt, Caller, Exchange, Pool, ProviderError, Usage

#: The fields that `omit` may name; `status`, `result` and `route` always stand.
OPTIONAL_FIELDS: Final = (
    "id",
    "method",
    "path",
    "query",
    "cache",
    "answered_by",
    "error",
    "tenant",
    "key",
    "model",
    "pool",
    "upstream",
    "attempts",
    "usage",
    "bytes_in",
    "bytes_out",
    "ms",
    "first_byte_ms",
    "client",
    "trace",
)

_ALWAYS: Final = frozenset({"route", "status", "result"})
_LONGEST_PATH: Final = 1024
_LONGEST_QUERY: Final = 4096
_LONGEST_NAME: Final = 200
_MOST_NAMES: Final = 20


class Ended(NamedTuple):
    """An exchange's plain values, without anything that is large or may change."""

    id: str
    route: str
    method: str
    path: str
    query: str
    status: int
    result: str
    cache: str
    answered_by: str
    error: str
    caller: Caller
    model: str | None
    pool: str
    upstream: str
    attempts: tuple[tuple[str, str | int], ...]
    usage: Usage | None
    bytes_in: int
    bytes_out: int
    started: float
    first_byte_at: float | None
    ended: float
    client: str
    trace: str


def take(exchange: Exchange) -> Ended:
    """Take the values of an exchange that has ended."""
    request, outcome, attempts = exchange.request, exchange.outcome, exchange.attempts
    pool = exchange.endpoints.name if isinstance(exchange.endpoints, Pool) else ""
    place = _place if pool else _upstream
    return Ended(
        exchange.id,
        exchange.route.name,
        request.method,
        request.path[:_LONGEST_PATH],
        request.query[:_LONGEST_QUERY],
        outcome.status,
        outcome.result,
        outcome.cache,
        outcome.answered_by,
        outcome.error,
        exchange.caller,
        exchange.model and exchange.model[:_LONGEST_NAME],
        pool,
        _upstream(attempts[-1]) if attempts else "",
        tuple((place(attempt), _ending(attempt)) for attempt in attempts),
        exchange.usage,
        outcome.bytes_in,
        outcome.bytes_out,
        exchange.started,
        outcome.first_byte_at,
        outcome.ended,
        request.client,
        exchange.trace,
    )


def _upstream(attempt: Attempt) -> str:
    """Return where an attempt went, by the full name where that was a discovered member."""
    return attempt.endpoint.member or attempt.endpoint.upstream


def _place(attempt: Attempt) -> str:
    """Return where an attempt went in a pool, whose places may be models of one upstream."""
    model = attempt.endpoint.model
    return _upstream(attempt) if model is None else f"{_upstream(attempt)}/{model}"


def _ending(attempt: Attempt) -> str | int:
    fault = attempt.error
    if fault is None:
        return attempt.status or 0
    if isinstance(fault, CancelledError):
        return "cancelled"  # given up: its caller left, or another place was faster
    if isinstance(fault, ProviderError):  # told in a stream, whose status was good
        return fault.kind
    return getattr(fault, "phase", type(fault).__name__)


class Line:
    """Makes the fields of a line; empty ones are left out."""

    def __init__(self, omit: Collection[str], client: str) -> None:
        self._omit = frozenset(omit)
        self._client = client

    def fields(self, ended: Ended) -> dict[str, Any]:
        """Return the fields by name."""
        started, first = ended.started, ended.first_byte_at
        fields: dict[str, Any] = {
            "id": ended.id,
            "route": ended.route,
            "method": ended.method,
            "path": ended.path,
            "query": query_names(ended.query),
            "status": ended.status,
            "result": ended.result,
            "cache": ended.cache,
            "answered_by": ended.answered_by,
            "error": ended.error,
            "tenant": ended.caller.tenant,
            "key": ended.caller.key,
            "model": ended.model,
            "pool": ended.pool,
            "upstream": ended.upstream,
            "attempts": [f"{place}:{ending}" for place, ending in ended.attempts],
            "usage": _tokens(ended.usage),
            "bytes_in": ended.bytes_in,
            "bytes_out": ended.bytes_out,
            "ms": _ms(ended.ended - started),
            "first_byte_ms": None if first is None else _ms(first - started),
            "client": client_address(ended.client, self._client),
            "trace": ended.trace,
        }
        omit = self._omit
        return {
            name: value
            for name, value in fields.items()
            if ((value or value == 0) and name not in omit) or name in _ALWAYS  # zeros are told
        }


def query_names(query: str) -> list[str]:
    """Return the names of a query's parameters; a word without `=` may be a value and is left out."""
    parts = (part.partition("=") for part in query.split("&")) if query else ()
    names = dict.fromkeys(unquote_plus(name)[:_LONGEST_NAME] for name, sign, _ in parts if sign and name)
    return list(names)[:_MOST_NAMES]


@lru_cache(1024)
def client_address(address: str, form: str) -> str:
    """Return an address in full, cut to its network (/24, /48), or not at all."""
    if form == "full" or not address:
        return address
    if form == "off":
        return ""
    try:
        version = ip_address(address).version
    except ValueError:
        return ""
    return str(ip_network((address, 24 if version == 4 else 48), strict=False).network_address)


def _tokens(usage: Usage | None) -> dict[str, int]:
    return {} if usage is None else {name: n for name, n in msgspec.structs.asdict(usage).items() if n}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
