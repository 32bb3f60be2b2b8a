"""One route's settings, compiled for the hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy_httpcache.key import Keys, with_credentials, with_sharer
from llmproxy_httpcache.scoping import Scoping
from llmproxy_httpcache.vary import selecting, selection

if TYPE_CHECKING:
    from llmproxy.plugin import Caller
    from llmproxy_httpcache.config import HttpCacheRoute
    from llmproxy_httpcache.headers import Fields
    from llmproxy_httpcache.requests import Asked


class Rules:
    """What holds on a route."""

    __slots__ = (
        "active",
        "ignored",
        "keys",
        "max_body",
        "methods",
        "policy",
        "route",
        "safe",
        "scoping",
        "strong",
        "tags",
        "validates",
    )

    def __init__(self, route: str, settings: HttpCacheRoute) -> None:
        standing = settings.standing
        self.route = route
        #: Whether anything is cached.
        self.active = standing.active
        self.policy = standing.policy
        self.scoping = Scoping(standing.scope, settings.user_header)
        self.methods = settings.cacheable
        self.safe = settings.safe
        self.tags = settings.tags
        #: Whether an answer is used only as every host sees it now, and whether the origin is asked where it tells
        #: by which validator.
        self.strong = standing.consistency != "eventual"
        self.validates = standing.consistency == "validate"
        self.max_body = settings.max_body
        self.ignored = frozenset(name.lower().encode() for name in settings.ignore.headers)
        self.keys = Keys(route, query=settings.ignore.query, fields=settings.vary)

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
        if asked.credentials and not self.policy.shares_credentials:
            return with_credentials(key, asked.credentials)
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
