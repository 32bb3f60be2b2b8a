"""The plugin's configuration, and what a route says of its cache."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from llmproxy.caches import CacheSetup, Scope
from llmproxy.plugin import ConfigError, Duration, Size
from llmproxy_httpcache.emitting import directives
from llmproxy_httpcache.requests import SAFE
from llmproxy_httpcache.standing import Consistency, Invalidation, Profile, Standing, standing_of

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: How much earlier than it would pay an answer may be made anew.
_MOST_EAGER: Final = 100

#: Methods that cannot be cached whatever a route says.
_NEVER: Final = frozenset({"CONNECT", "TRACE", "OPTIONS", "PUT", "DELETE", "PATCH"})


class HttpCacheConfig(CacheSetup, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store that answers are kept in, and the name that Cache-Status gives this cache.

    `show_key` puts a digest of each answer's key into Cache-Status, and why an answer was not stored.
    """


class Ignored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes no difference to an answer: query parameters (`utm_*` names all that begin so), header fields."""

    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


class Downstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the caches behind this one are told: browsers, CDNs; names that both select by; the origin's tags or none."""

    cache_control: str = ""
    cdn_cache_control: str = ""
    vary: tuple[str, ...] = ()
    tags: Literal["strip", "pass"] = "strip"

    def __post_init__(self) -> None:
        for where in ("cache_control", "cdn_cache_control"):
            try:
                _ = directives(value) if (value := getattr(self, where)) else None
            except ValueError as fault:
                raise ConfigError(where, str(fault)) from None
        _refuse_bad_names("vary", self.vary)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Read what browsers are told alone."""
        return {"cache_control": tree} if isinstance(tree, str) else tree


class GraphQL(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How GraphQL is cached: the longest answers, the deepest documents, what mutations purge by."""

    max_answer: Size = 1 << 20
    max_depth: int = 64
    purge_by: Literal["id", "type"] = "id"
    without_entities: Literal["purge", "keep"] = "purge"

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Read `true`."""
        return {} if tree is True else tree


class HttpCacheRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a route caches. Without a profile and a ttl it caches nothing; None leaves a value to the profile."""

    profile: Profile | None = None
    ttl: Duration | None = None
    max_ttl: Duration | None = None
    override: bool | None = None
    scope: Scope | None = None
    user_header: str = ""
    invalidation: tuple[Invalidation, ...] | None = None
    methods: tuple[str, ...] = ("GET", "HEAD")
    ignore: Ignored = msgspec.field(default_factory=Ignored)
    vary: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    max_body: Size = 8 << 20
    max_request: Size = 256 << 10
    heuristics: float | None = None
    client_directives: Literal["obey", "ignore"] | None = None
    set_cookie: Literal["store", "refuse"] | None = None
    credentials: Literal["share", "separate"] | None = None
    private: Literal["store", "refuse"] | None = None
    stale_while_revalidate: Duration | None = None
    stale_if_error: Duration | None = None
    stale_when_disconnected: bool | None = None
    consistency: Consistency | None = None
    early_refresh: float | None = None
    etag: Literal["origin", "generate"] = "origin"
    graphql: GraphQL | None = None
    downstream: Downstream = msgspec.field(default_factory=Downstream)

    def __post_init__(self) -> None:
        for index, method in enumerate(self.methods):
            if method in _NEVER or not _TOKEN.fullmatch(method) or method != method.upper():
                raise ConfigError(f"methods[{index}]", f"{method!r} has no answers that may be stored")
        _refuse_bad_names("ignore.headers", self.ignore.headers)
        _refuse_bad_names("vary", self.vary)
        if self.user_header and not _TOKEN.fullmatch(self.user_header):
            raise ConfigError("user_header", f"{self.user_header!r} cannot be the name of a header")
        self._check_numbers()
        _ = self.standing

    def _check_numbers(self) -> None:
        if self.heuristics is not None and not 0 <= self.heuristics <= 1:
            raise ConfigError("heuristics", "is a share of an answer's age: from 0, which is off, to 1")
        if self.early_refresh is not None and not 0 <= self.early_refresh <= _MOST_EAGER:
            raise ConfigError("early_refresh", f"must be from 0, which is off, to {_MOST_EAGER}")
        for name in ("ttl", "max_ttl"):
            seconds = getattr(self, name)
            if seconds is not None and 0 < seconds < 1:
                raise ConfigError(name, "is counted in whole seconds, as caches do")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Read a profile's name alone, one way of invalidation in place of a list, `graphql: false`."""
        if isinstance(tree, str):
            return {"profile": tree}
        if isinstance(tree, dict) and isinstance(tree.get("invalidation"), str):
            tree = {**tree, "invalidation": [tree["invalidation"]]}
        if isinstance(tree, dict) and tree.get("graphql") is False:
            tree = {name: value for name, value in tree.items() if name != "graphql"}
        return tree

    @property
    def standing(self) -> Standing:
        """What holds, by the profile and the route's own words."""
        return standing_of(self)

    @property
    def cacheable(self) -> frozenset[str]:
        """The methods whose answers are stored; HEAD is answered out of GET's."""
        more = {"HEAD"} if "GET" in self.methods else set()
        return frozenset(self.methods) | more | ({"POST"} if self.graphql is not None else set())

    @property
    def safe(self) -> frozenset[str]:
        """The methods that invalidate nothing here: those whose answers are stored change nothing."""
        return SAFE | frozenset(self.methods)


def _refuse_bad_names(where: str, names: tuple[str, ...]) -> None:
    for index, name in enumerate(names):
        if not _TOKEN.fullmatch(name):
            raise ConfigError(f"{where}[{index}]", f"{name!r} cannot be the name of a header")
