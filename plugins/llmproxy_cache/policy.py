"""One route's cache, compiled: its terms, its keys, what callers may say, who shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from llmproxy.caches import Scope, terms_of
from llmproxy.plugin import Caller, Exchange, Form, format_duration
from llmproxy_cache.control import Control
from llmproxy_cache.determinism import Facts, why_not
from llmproxy_cache.key import Keyed, KeyMaker, final_key, key_start
from llmproxy_cache.normalise import Normaliser
from llmproxy_cache.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmproxy_cache.config import CacheRoute

#: Tenants of whom the start of their keys is remembered.
_REMEMBERED: Final = 1024

#: Scopes that part callers of one tenant.
_WITHIN: Final = ("end-user", "key", "team")


class Policy:
    """What a route's settings come to."""

    def __init__(
        self,
        route: str,
        settings: CacheRoute,
        form_of: Callable[[Exchange], Form | None],
        *,
        shows_key: bool = False,
    ) -> None:
        self.route = route
        #: Whether Cache-Status tells the names of keys.
        self.shows_key = shows_key
        self.settings = settings
        self.terms = terms = terms_of(settings)
        self.cacheable = terms.cacheable
        self.eventual = terms.consistency == "eventual"
        self.controls = frozenset(settings.control)
        self.longest = terms.ttl if settings.max_ttl is None else settings.max_ttl
        #: No answer is fresh for longer, whenever it was kept.
        self.most = max(terms.ttl, self.longest)
        self.downstream = settings.downstream.encode()
        self.tags_header = settings.tags_header.lower().encode()
        #: Whether tenant and route alone say who shares, unless a caller wants it otherwise.
        self._plain = terms.scope in ("tenant", "public")
        self._allow = frozenset(settings.allow)
        self._starts: dict[str, bytes] = {}
        #: Nothing where a key depends on more than what a request says.
        self.repeats: Repeats | None = None
        if self._plain and terms.cacheable and settings.variants == 1 and not settings.tags_header:
            self.repeats = Repeats(name.lower().encode() for name in settings.key_headers)
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

    def scope(self, control: Control) -> tuple[Scope, ...]:
        """Return who shares: as the route says, and narrower where the caller wants it."""
        own, asked = self.terms.scope, control.scope
        if asked is None or asked == own:
            return (own,)
        if own == "public":
            return (asked,)
        return (own, asked) if asked in _WITHIN else (own,)

    def key(self, exchange: Exchange, keyed: Keyed, control: Control) -> bytes | str:
        """Return the store key of an answer, or why it must not be kept."""
        if self._plain and control.scope is None:
            tenant = exchange.caller.tenant
            start = self._starts.get(tenant)
            if start is None:
                if len(self._starts) >= _REMEMBERED:
                    self._starts.clear()
                start = self._starts[tenant] = key_start(tenant, self.route, self.terms.scope)
            return start + keyed.digest
        return self._key_within(exchange.caller, keyed, self.scope(control))

    def _key_within(self, caller: Caller, keyed: Keyed, scopes: tuple[Scope, ...]) -> bytes | str:
        if scopes in (("tenant",), ("public",)):
            return final_key(caller.tenant, self.route, keyed.digest, scopes[0])
        sharers = sharers_of(caller, keyed.facts, scopes)
        for scope, sharer in zip(scopes, sharers, strict=True):
            if not sharer:
                return f"no-{scope}"
        told = orjson.dumps(sharers).decode()
        return final_key(caller.tenant, self.route, keyed.digest, "+".join(scopes), told)

    def reasons(self) -> list[tuple[str, str]]:
        """Say what holds on the route, and why."""
        terms, told = self.terms, []
        for name, why in terms.why.items():
            value = getattr(terms, name)
            text = format_duration(value) if isinstance(value, float) else _listed(value)
            told.append((name.replace("_", " "), f"{text} ({why})"))
        return told


def _listed(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"


def sharers_of(caller: Caller, facts: Facts, scopes: tuple[Scope, ...]) -> list[str]:
    """Return who shares an answer, scope by scope; empty where a caller names nobody."""
    return [_sharer(caller, facts, scope) for scope in scopes]


def _sharer(caller: Caller, facts: Facts, scope: Scope) -> str:
    if scope == "tenant":
        return caller.tenant
    if scope == "end-user":
        return facts.user
    if scope == "key":
        return caller.key
    return next((value for name, value in caller.labels if name == "team"), "")
