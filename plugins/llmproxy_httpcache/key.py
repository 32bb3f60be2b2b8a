"""The key of an answer: whatever can change it, and never a secret in the clear.

The tenant and the route come first. Then what the upstream is told of where the caller went (scheme and host travel on
in X-Forwarded-*), the target, and fields by which some servers let themselves be sent elsewhere: whoever sends one
gets an answer of its own, so that nobody can have another's stored for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import product
from typing import Final
from urllib.parse import unquote

from llmproxy.plugin import store_key
from llmproxy_httpcache.headers import Fields, RawHeader
from llmproxy_httpcache.scoping import EVERYBODY
from llmproxy_httpcache.vary import normalised

#: Raised whenever keys or terms change their meaning.
_VERSION: Final = "http3"

#: Fields that name another target, method or public face of the server than the request line and Host do.
_NAMES: Final = b"""
    forwarded front-end-https x-backend-host x-forwarded-path x-forwarded-port x-forwarded-prefix x-forwarded-scheme
    x-forwarded-server x-forwarded-ssl x-forwarded-uri x-forwarded-url x-host x-host-override x-http-destinationurl
    x-http-host-override x-http-method x-http-method-override x-http-path-override x-invoke-path x-invoke-query
    x-matched-path x-method-override x-now-route-matches x-original-host x-original-path x-original-uri x-original-url
    x-override-url x-real-host x-request-uri x-rewrite-url x-script-name x-url-scheme
"""
#: Fields that the gateway writes itself in place of the caller's.
_WRITTEN: Final = b"x-forwarded-for x-forwarded-host x-forwarded-proto"


def _spellings(name: bytes) -> Iterator[bytes]:
    """Give all names that are one to servers that take an underscore for a hyphen (RFC 3875 §4.1.18)."""
    return map(bytes, product(*(b"-_" if sign in b"-" else (sign,) for sign in name)))


_REROUTING: Final = frozenset(
    spelling for name in (_NAMES + _WRITTEN).split() for spelling in _spellings(name)
) - frozenset(_WRITTEN.split())

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

#: Prefixes that are remembered; a prefix is a tenant's on a route.
_MOST: Final = 4096


class Keys:
    """Makes the keys of one route."""

    def __init__(
        self, route: str, *, query: Iterable[str] = (), fields: Iterable[str] = (), form: str = ""
    ) -> None:
        """Take the route's name, the query parameters that are left out, further fields that are taken in.

        `form` tells apart what is stored in other ways.
        """
        self._version = f"{_VERSION} {form}"
        self._route = route
        self._names = frozenset(name for name in query if not name.endswith("*"))
        self._beginnings = tuple(name[:-1] for name in query if name.endswith("*"))
        self._fields = tuple(sorted({name.lower().encode() for name in fields}))
        self._telling = _REROUTING | frozenset(self._fields)
        self._prefixes: dict[str | None, bytes] = {}

    def target(self, target: str) -> str:
        """Return a target in the one spelling that RFC 3986 §6.2.2 gives it, without parameters that say nothing."""
        if "%" in target:
            target = _ESCAPE.sub(_unescape, target)
        if (self._names or self._beginnings) and "?" in target:
            path, _, query = target.partition("?")
            kept = "&".join(part for part in query.split("&") if not self._ignores(part))
            return f"{path}?{kept}" if kept else path
        return target

    def _ignores(self, part: str) -> bool:
        if ";" in part or "?" in part:
            # Some servers begin another parameter there.
            return False
        name = unquote(part.partition("=")[0].replace("+", " "))
        return name in self._names or (bool(self._beginnings) and name.startswith(self._beginnings))

    def key(
        self, tenant: str | None, origin: str, target: str, raw: list[RawHeader], last: Mapping[bytes, bytes]
    ) -> bytes:
        """Return the key of what GET gives for a target in its one spelling, to a request with these fields.

        A tenant of None stands for all of them.
        """
        prefix = self._prefixes.get(tenant) or self._prefix(tenant)
        path, mark, query = target.partition("?")
        place = f"{origin}{path}".encode("utf-8", "surrogatepass")
        key = b"%b%d:%b" % (prefix, len(place), place)
        if mark:
            # It may hold somebody's key, and a store's keys are not sealed.
            key += _piece(b"q", query.encode("utf-8", "surrogatepass"))
        if last.keys().isdisjoint(self._telling):
            return key
        return key + _piece(b"f", *[part for pair in self.told(Fields(raw, last)) for part in pair])

    def _prefix(self, tenant: str | None) -> bytes:
        # What is everybody's has a version of its own: no tenant can be called so.
        version = self._version if tenant is not None else self._version + " public"
        prefix = store_key(EVERYBODY if tenant is None else tenant, self._route, version)
        if len(self._prefixes) < _MOST:
            self._prefixes[tenant] = prefix
        return prefix

    def told(self, fields: Fields) -> Iterator[tuple[bytes, bytes]]:
        """Give the fields of a request that are in its key, each in its one form."""
        for name in sorted(self._telling & fields.last.keys()):
            yield name, normalised(name, fields.get(name)) or b""


def with_credentials(key: bytes, credentials: Iterable[RawHeader]) -> bytes:
    """Return the key of an answer that is the one caller's who has these credentials."""
    return key + _piece(
        b"c", *(part for name, value in sorted(credentials) for part in (name.lower(), value))
    )


def with_sharer(key: bytes, scope: str, sharer: Iterable[bytes]) -> bytes:
    """Return the key of an answer that some of a tenant's callers share."""
    return key + _piece(b"s", scope.encode(), *sharer)


def with_body(key: bytes, method: str, fields: Fields, body: bytes) -> bytes:
    """Return the key of an answer to a method with a body."""
    described = (fields.get(b"content-type") or b"", fields.get(b"content-encoding") or b"")
    return key + _piece(b"b", method.encode(), *described, body)


def with_query(key: bytes, accept: bytes, form: Iterable[bytes]) -> bytes:
    """Return the key of an answer to a GraphQL query, by whichever method; `form` is what it means."""
    return key + _piece(b"g", accept, *form)


def of_variant(key: bytes, selection: bytes) -> bytes:
    """Return the key of one variant."""
    return key + b"v" + selection


def of_part(key: bytes) -> bytes:
    """Return the key of a part of an answer whose whole is not there."""
    return key + b"p"


def _piece(kind: bytes, *parts: bytes) -> bytes:
    """Return a digest of parts, in a form that no other piece has."""
    digest = blake2b(digest_size=32)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return kind + digest.digest()


def _unescape(escape: re.Match[str]) -> str:
    sign = chr(int(escape[1], 16))
    return sign if sign in _UNRESERVED else escape[0].upper()
