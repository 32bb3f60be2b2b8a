"""What one caller says of the cache, within what the route allows.

`Cache-Control` as RFC 9111 §5.2.1 has it, and a field of our own: `x-llmproxy-cache: bypass`, `refresh`,
`ttl=10m; scope=key`. The field of our own is refused where it cannot be read: who writes it means it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args

from llmproxy.caches import Scope
from llmproxy.plugin import BadRequest, Headers, parse_duration

FIELD: Final = b"x-llmproxy-cache"
_STANDARD: Final = b"cache-control"

#: Values that are remembered: callers repeat few.
_LONGEST: Final = 256
_DIGITS: Final = 10

_FLAGS: Final = {"no-store": "bypass", "no-cache": "refresh", "only-if-cached": "only_if_cached"}
_TIMES: Final = {"max-age": "max_age", "max-stale": "max_stale", "min-fresh": "min_fresh"}
_OWN: Final = ("bypass", "refresh", "ttl", "scope")


class Control(NamedTuple):
    """What a caller wants; times in seconds. `scope` and `ttl` are wishes, which the route bounds."""

    bypass: bool = False
    refresh: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    max_stale: float | None = None
    min_fresh: float = 0.0
    ttl: float | None = None
    scope: Scope | None = None


NOTHING: Final = Control()


def control_of(headers: Headers, allowed: frozenset[str]) -> Control:
    """Return what a request says of the cache.

    Raises:
        BadRequest: `x-llmproxy-cache` cannot be read.
    """
    index = headers.index
    if _STANDARD not in index and FIELD not in index:
        return NOTHING
    standard = ",".join(headers.get_all("cache-control")) if _STANDARD in index else ""
    own = ",".join(headers.get_all("x-llmproxy-cache")) if FIELD in index else ""
    read = _known if len(standard) + len(own) <= _LONGEST else _read
    return read(standard, own, allowed)


def _read(standard: str, own: str, allowed: frozenset[str]) -> Control:
    said: dict[str, Any] = {}
    for name, value in _directives(standard):
        _take_standard(said, name, value, allowed)
    for name, value in _directives(own.replace(";", ",")):
        _take_own(said, name, value, allowed)
    return Control(**said)


_known: Final = lru_cache(maxsize=256)(_read)


def _directives(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name:
            yield name.strip().lower(), value.strip().strip('"')


def _take_standard(said: dict[str, Any], name: str, value: str, allowed: frozenset[str]) -> None:
    """Take one directive; what is unknown or odd is passed over, as RFC 9111 wants it."""
    if name in _FLAGS and name in allowed:
        said[_FLAGS[name]] = True
    elif name in _TIMES and "max-age" in allowed:
        if name == "max-stale" and not value:
            said["max_stale"] = float("inf")
        elif value.isascii() and value.isdigit() and len(value) <= _DIGITS:
            said[_TIMES[name]] = float(value)


def _take_own(said: dict[str, Any], name: str, value: str, allowed: frozenset[str]) -> None:
    if name not in _OWN:
        raise _unreadable(f"{name[:40]!r} is none of {', '.join(_OWN)}")
    if name == "scope" and value not in get_args(Scope):
        raise _unreadable(f"scope must be one of {', '.join(get_args(Scope))}")
    meant: Any = _seconds(value) if name == "ttl" else value if name == "scope" else True
    if name in allowed:
        said[name] = meant


def _seconds(value: str) -> float:
    try:
        return parse_duration(value)
    except ValueError as fault:
        raise _unreadable(f"ttl: {fault}") from None


def _unreadable(why: str) -> BadRequest:
    return BadRequest("invalid_cache_header", f"The header x-llmproxy-cache cannot be read: {why}.")
