"""What an answer to an unsafe request makes of what is stored (RFC 9111 §4.4, RFC 9875 §3)."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from llmproxy_httpcache.groups import groups_of
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.requests import SAFE


class Invalidation(NamedTuple):
    """Targets (path and query), groups and tags whose stored answers are gone."""

    targets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


NOTHING = Invalidation()


def invalidate(method: str, origin: str, target: str, status: int, fields: Fields) -> Invalidation:
    """Return what the answer to a request invalidates; `origin` is scheme and host that the caller used.

    Methods that nobody knows are unsafe: nobody knows that they change nothing.
    """
    if method in SAFE or not 200 <= status < 400:
        return NOTHING
    targets = {target: None}
    for name in (b"location", b"content-location"):
        value = fields.last.get(name)
        if value is not None and (other := same_origin(origin, target, value.decode("latin-1"))) is not None:
            targets[other] = None
    return Invalidation(tuple(targets), groups_of(fields.get(b"cache-group-invalidation")))


def same_origin(origin: str, target: str, reference: str) -> str | None:
    """Return the target (path and query) that a reference leads to; None if it leads to another origin, or nowhere."""
    try:
        there = urlsplit(urljoin(origin + target, reference))
        here = urlsplit(origin)
        same = (there.scheme, there.hostname, _port(there.scheme, there.port)) == (
            here.scheme,
            here.hostname,
            _port(here.scheme, here.port),
        )
    except ValueError:
        return None
    if not same:
        return None
    return f"{there.path or '/'}?{there.query}" if there.query else there.path or "/"


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else {"http": 80, "https": 443}.get(scheme)
