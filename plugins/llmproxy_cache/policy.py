"""One route's cache, compiled: its terms, its keys, what callers may say, who shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from llmproxy.plugin import Caller, Exchange, Form, Scope, terms_of
from llmproxy_cache.control import Control
from llmproxy_cache.determinism import Facts, why_not
from llmproxy_cache.key import KeyMaker, final_key
from llmproxy_cache.normalise import Normaliser

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmproxy_cache.config import CacheRoute

#: Scopes that part callers of one tenant.
_WITHIN: Final = ("end-user", "key", "team")


class Policy:
    """What a route's settings come to."""

    def __init__(self, route: str, settings: CacheRoute, form_of: Callable[[Exchange], Form | None]) -> None:
        self.route = route
        self.settings = settings
        self.terms = terms = terms_of(settings)
        self.cacheable = terms.cacheable
        self.controls = frozenset(settings.control)
        self.longest = terms.ttl if settings.max_ttl is None else settings.max_ttl
        #: No answer is fresh for longer, whenever it was kept.
        self.most = max(terms.ttl, self.longest)
        self.downstream = settings.downstream.encode()
        self.tags_header = settings.tags_header.lower().encode()
        self._allow = frozenset(settings.allow)
        self.maker = KeyMaker(
            Normaliser(settings.normalise),
            ignore=settings.ignore,
            headers=settings.key_headers,
            across=settings.across_dialects,
            form_of=form_of,
            judge=self._judge,
        )

    def _judge(self, facts: Facts) -> str:
        return why_not(facts, sampled=self.terms.sampled, allow=self._allow)

    def lifetime(self, control: Control) -> float:
        """Return for how many seconds an answer is fresh, as the caller wishes within what the route allows."""
        return self.terms.ttl if control.ttl is None else min(control.ttl, self.longest)

    def variants(self, facts: Facts) -> int:
        """Return how many answers are kept: one where all would be the same."""
        return 1 if facts.settled else self.settings.variants

    def scope(self, control: Control) -> tuple[Scope, ...]:
        """Return who shares: as the route says, and narrower where the caller wants it."""
        own, asked = self.terms.scope, control.scope
        if asked is None or asked == own:
            return (own,)
        if own == "public":
            return (asked,)
        return (own, asked) if asked in _WITHIN else (own,)

    def key(self, exchange: Exchange, digest: bytes, facts: Facts, control: Control) -> bytes | str:
        """Return the store key of an answer, or why it must not be kept."""
        scopes = self.scope(control)
        caller = exchange.caller
        if scopes in (("tenant",), ("public",)):
            return final_key(caller.tenant, self.route, digest, scopes[0])
        sharers = []
        for scope in scopes:
            sharer = _sharer(caller, facts, scope)
            if not sharer:
                return f"no-{scope}"
            sharers.append(sharer)
        return final_key(caller.tenant, self.route, digest, "+".join(scopes), orjson.dumps(sharers).decode())

    def reasons(self) -> dict[str, str]:
        """Say what holds on the route, and why."""
        terms = self.terms
        return {name: f"{getattr(terms, name)} ({why})" for name, why in terms.why.items()}


def _sharer(caller: Caller, facts: Facts, scope: Scope) -> str:
    if scope == "tenant":
        return caller.tenant
    if scope == "end-user":
        return facts.user
    if scope == "key":
        return caller.key
    return next((value for name, value in caller.labels if name == "team"), "")
