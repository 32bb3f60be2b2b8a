"""What is taken of a call when it ends: plain values, on the data path, so as little as can be.

A record is made of them in the writer's thread (telling.py). No exception is kept: it would keep all its frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from llmproxy.plugin import (
    ARM,
    Arm,
    Attempt,
    Caller,
    Endpoint,
    Exchange,
    Pool,
    StateKey,
    Usage,
    failure_of_attempt,
)
from llmproxy_calllog.copies import Copy


class Tried(NamedTuple):
    """One attempt; `failure` is its kind, or ""; `cost` is None where nobody has worked it out."""

    endpoint: Endpoint
    status: int | None
    failure: str
    started: float
    headers_at: float | None
    first_output_at: float | None
    ended: float | None
    usage: Usage | None
    cost: int | None = None


#: As `Tried` makes one, without a call of Python's.
_try: Final[Callable[[tuple[Any, ...]], Tried]] = partial(tuple.__new__, Tried)


class Ended(NamedTuple):
    """One call; `wall` is the wall time of `ended`, the other times are the gateway's clock's."""

    wall: float
    ended: float
    started: float
    first_byte_at: float | None
    id: str
    parent: str
    caller: Caller
    route: str
    dialect: str
    path: str
    model: str | None
    streamed: bool
    status: int
    result: str
    error: str
    answered_by: str
    cache: str
    cache_status: bytes
    pool: Pool | None
    arm: Arm | None
    bytes_in: int
    bytes_out: int
    tried: tuple[Tried, ...]


#: Likewise.
_ended: Final[Callable[[tuple[Any, ...]], Ended]] = partial(tuple.__new__, Ended)


class Kept(NamedTuple):
    """What is kept of bodies, as they came."""

    mode: str
    request: bytes | None
    request_type: bytes
    request_size: int
    answer: Copy | None
    credentials: tuple[bytes, ...]


class Watched:
    """What is known of a reply before its exchange ends."""

    __slots__ = ("answer", "cache_status", "mode")

    def __init__(self, mode: str, answer: Copy | None, cache_status: bytes) -> None:
        self.mode = mode
        self.answer = answer
        self.cache_status = cache_status


WATCHED: StateKey[Watched] = StateKey("calllog.watched")


def take(exchange: Exchange, wall: float, watched: Watched | None) -> Ended:
    """Take the values of an exchange that has ended."""
    outcome, parent, face, places = (
        exchange.outcome,
        exchange.parent,
        exchange.client_face,
        exchange.endpoints,
    )
    state = exchange._state  # asking for `state` would make one
    if face is None:
        dialect = path = ""  # elsewhere a path may hold anything, a credential too
    else:
        dialect, path = face.wire, exchange.request.path
    return _ended(
        (
            wall,
            outcome.ended,
            exchange.started,
            outcome.first_byte_at,
            exchange.id,
            "" if parent is None else parent.id,
            exchange.caller,
            exchange.route.name,
            dialect,
            path,
            exchange.model,
            exchange.streamed,
            outcome.status,
            outcome.result,
            outcome.error,
            outcome.answered_by,
            outcome.cache,
            b"" if watched is None else watched.cache_status,
            places if isinstance(places, Pool) else None,
            None if state is None else state.get(ARM),
            outcome.bytes_in,
            outcome.bytes_out,
            tried(exchange.attempts),
        )
    )


def tried(attempts: list[Attempt]) -> tuple[Tried, ...]:
    """Take the values of attempts."""
    if len(attempts) == 1:  # as nearly all have
        return (_tried(attempts[0]),)
    return tuple(map(_tried, attempts))


def _tried(attempt: Attempt) -> Tried:
    status = attempt.status
    return _try(
        (
            attempt.endpoint,
            status,
            "" if attempt.error is None and (status is None or status < 400) else failure(attempt),
            attempt.started,
            attempt.headers_at,
            attempt.first_output_at,
            attempt.ended,
            attempt.usage,
            attempt.cost,
        )
    )


def failure(attempt: Attempt) -> str:
    """Return the kind of an attempt's failure; `given_up` where nobody waited for its end."""
    found = failure_of_attempt(attempt)
    if found is not None:
        return found.kind
    if isinstance(attempt.error, asyncio.CancelledError | ConnectionAbortedError):
        return "given_up"
    return "fault"


def kept(exchange: Exchange, watched: Watched, most: int) -> Kept:
    """Take what is kept of bodies; `most` bytes of each."""
    body, index = exchange.body_at_hand, exchange.request.headers.index
    return Kept(
        watched.mode,
        None if body is None else bytes(body[:most]),
        index.get(b"content-type", b""),
        0 if body is None else len(body),
        watched.answer,
        tuple(index[name] for name in _CREDENTIALS if name in index),
    )


#: Header fields in which callers send what proves who they are.
_CREDENTIALS = (
    b"authorization",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"proxy-authorization",
    b"cookie",
)
