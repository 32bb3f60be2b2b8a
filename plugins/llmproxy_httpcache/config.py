"""The plugin's configuration, and what a route says of its cache."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, Size
from llmproxy_httpcache.policy import Policy, Profile, policy_of
from llmproxy_httpcache.requests import SAFE

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: Methods that cannot be cached whatever a route says.
_NEVER: Final = frozenset({"CONNECT", "TRACE", "OPTIONS", "PUT", "DELETE", "PATCH"})


class HttpCacheConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store that answers are kept in, and the name that Cache-Status gives this cache.

    `show_key` puts a digest of each answer's key into Cache-Status, and why an answer was not stored.
    """

    store: str
    name: str = "llmproxy"
    show_key: bool = False

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.name) or not (self.name[0].isalpha() or self.name[0] == "*"):
            raise ConfigError("name", f"{self.name!r} is no token that begins with a letter (RFC 9211 §2)")


class Ignored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes no difference to an answer: query parameters (`utm_*` names all that begin so), header fields."""

    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


class HttpCacheRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a route caches. Without a profile and a ttl it caches nothing; None leaves a switch to the profile."""

    profile: Profile | None = None
    ttl: Duration | None = None
    override: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")
    ignore: Ignored = msgspec.field(default_factory=Ignored)
    vary: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    max_body: Size = 8 << 20
    heuristics: float | None = None
    client_directives: Literal["obey", "ignore"] | None = None
    set_cookie: Literal["store", "refuse"] | None = None
    credentials: Literal["share", "separate"] | None = None
    stale_while_revalidate: Duration | None = None
    stale_if_error: Duration | None = None
    stale_when_disconnected: bool | None = None
    consistency: Literal["eventual", "validate", "strong"] = "eventual"

    def __post_init__(self) -> None:
        for index, method in enumerate(self.methods):
            if method in _NEVER or not _TOKEN.fullmatch(method) or method != method.upper():
                raise ConfigError(f"methods[{index}]", f"{method!r} has no answers that may be stored")
        for where, names in (("ignore.headers", self.ignore.headers), ("vary", self.vary)):
            for index, name in enumerate(names):
                if not _TOKEN.fullmatch(name):
                    raise ConfigError(f"{where}[{index}]", f"{name!r} cannot be the name of a header")
        if self.heuristics is not None and not 0 <= self.heuristics <= 1:
            raise ConfigError("heuristics", "is a share of an answer's age: from 0, which is off, to 1")
        if self.override and self.ttl is None:
            raise ConfigError("override", "of no use without a ttl")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Read a profile's name alone."""
        return {"profile": tree} if isinstance(tree, str) else tree

    @property
    def active(self) -> bool:
        """Whether anything is cached."""
        return self.profile is not None or self.ttl is not None

    def policy(self) -> Policy:
        """Return the switches of the profile as the route changes them."""
        given = {
            "ttl": None if self.ttl is None else int(self.ttl),
            "override": self.override,
            "heuristics": self.heuristics,
            "obeys_callers": _is(self.client_directives, "obey"),
            "set_cookie": _is(self.set_cookie, "store"),
            "shares_credentials": _is(self.credentials, "share"),
            "stale_while_revalidate": _whole(self.stale_while_revalidate),
            "stale_if_error": _whole(self.stale_if_error),
            "stale_when_disconnected": self.stale_when_disconnected,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        return msgspec.structs.replace(policy_of(self.profile or "api"), **changed)

    @property
    def cacheable(self) -> frozenset[str]:
        """The methods whose answers are stored; HEAD is answered out of GET's."""
        return frozenset(self.methods) | ({"HEAD"} if "GET" in self.methods else set())

    @property
    def safe(self) -> frozenset[str]:
        """The methods that invalidate nothing here: those whose answers are stored change nothing."""
        return SAFE | frozenset(self.methods)


def _is(chosen: str | None, word: str) -> bool | None:
    return None if chosen is None else chosen == word


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
