"""One route's settings, compiled for the hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy_httpcache.atonce import AtOnce
from llmproxy_httpcache.emitting import Emission
from llmproxy_httpcache.key import Keys, with_credentials, with_sharer
from llmproxy_httpcache.policy import OWN_TARGET
from llmproxy_httpcache.queries import Bounds
from llmproxy_httpcache.requests import BODILESS
from llmproxy_httpcache.scoping import Scoping
from llmproxy_httpcache.vary import selecting, selection

if TYPE_CHECKING:
    from llmproxy.plugin import Caller
    from llmproxy_httpcache.config import HttpCacheRoute
    from llmproxy_httpcache.headers import Fields
    from llmproxy_httpcache.policy import Policy
    from llmproxy_httpcache.requests import Asked

#: Fields in which origins name an answer's tags: for caches that it passes on its way, not for callers.
TAG_FIELDS: Final = frozenset(b"surrogate-key cache-tag edge-cache-tag xkey".split())


class Rules:
    """What holds on a route."""

    __slots__ = (
        "active",
        "at_once",
        "bodied",
        "bounds",
        "early",
        "emission",
        "graphql",
        "ignored",
        "keys",
        "max_body",
        "methods",
        "policy",
        "route",
        "safe",
        "scoping",
        "standing",
        "strong",
        "tags",
        "validates",
    )

    def __init__(self, route: str, settings: HttpCacheRoute) -> None:
        standing = settings.standing
        self.route = route
        #: Whether anything is cached.
        self.active = standing.active
        self.policy = policy_of(settings)
        self.scoping = Scoping(standing.scope, settings.user_header)
        self.standing = standing
        self.methods = settings.cacheable
        #: Methods whose bodies are in keys.
        self.bodied = self.methods - BODILESS if self.active else frozenset[str]()
        #: How early fresh answers are made anew; 0 is never.
        self.early: float = standing.values["early_refresh"]
        self.safe = settings.safe
        self.tags = settings.tags
        #: Whether an answer is used only as every host sees it now, and whether the origin is asked where it tells
        #: by which validator.
        self.strong = standing.consistency != "eventual"
        self.validates = standing.consistency == "validate"
        #: What is said of GraphQL, None where it is not spoken, and how long and deep its requests may be.
        self.graphql = settings.graphql
        self.bounds = Bounds(settings.max_request, 0 if self.graphql is None else self.graphql.max_depth)
        #: What the caches behind this one are told, None where they are told nothing.
        self.emission = emission_of(settings)
        self.max_body = settings.max_body
        self.ignored = frozenset(name.lower().encode() for name in settings.ignore.headers)
        self.keys = Keys(
            route, query=settings.ignore.query, fields=settings.vary, form=_form(self.policy, self.emission)
        )
        #: What tells plain requests by a look-up; None where no request is.
        plain = self.active and not (self.strong or self.scoping.narrow or self.graphql)
        self.at_once = AtOnce(self.keys) if plain else None

    def key_of(self, asked: Asked, caller: Caller, origin: str, target: str, fields: Fields) -> bytes:
        """Return the key of what GET gives for a target; empty where it is not known who would share it."""
        scoping = self.scoping
        tenant = caller.tenant if not scoping.public else None
        key = self.keys.key(tenant, origin, target, fields.raw, fields.last)
        if scoping.narrow:
            sharer = scoping.sharer(caller, asked, fields)
            if not sharer:
                return b""
            key = with_sharer(key, scoping.scope, sharer)
        if (asked.credentials or asked.hints) and not self.policy.shares_credentials:
            return with_credentials(key, asked.credentials + asked.hints)
        return key

    def selecting(self, answer: Fields) -> tuple[bytes, ...] | None:
        """Return the names that an answer selects by, without those that make no difference here."""
        names = selecting(answer)
        if names is None or not self.ignored:
            return names
        return tuple(name for name in names if name not in self.ignored)

    def selection(self, answer: Fields, request: Fields) -> bytes:
        """Return what tells the variant that a request gets, by an answer's head."""
        names = self.selecting(answer)
        return selection(names, request) if names else b""


def policy_of(settings: HttpCacheRoute) -> Policy:
    """Return the switches that the pure part goes by."""
    policy = settings.standing.policy
    hides = {OWN_TARGET, *(TAG_FIELDS if settings.downstream.tags == "strip" else ())}
    emission = emission_of(settings)
    return msgspec.structs.replace(
        policy,
        hides=frozenset(hides),
        replaces=frozenset() if emission is None else emission.replaced,
        makes_etags=settings.etag == "generate",
    )


def emission_of(settings: HttpCacheRoute) -> Emission | None:
    """Return what the caches behind this one are told, None where they are told nothing."""
    told = settings.downstream
    return Emission(told.cache_control, told.cdn_cache_control, told.vary) or None


def _form(policy: Policy, emission: Emission | None) -> str:
    """Return what tells stored answers apart that hold other fields: they do not outlast the route's words."""
    replaced = b"" if emission is None else b",".join(sorted(emission.replaced))
    return f"{len(policy.hides)} {replaced.decode()}"
