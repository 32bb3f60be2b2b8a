"""What holds on a route: what its profile brings, what it says itself, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from llmproxy.caches import CachingSettings, Scope, terms_of
from llmproxy.plugin import ConfigError, format_duration
from llmproxy_httpcache.policy import Policy

if TYPE_CHECKING:
    from llmproxy_httpcache.config import HttpCacheRoute

#: The conformant profile, the one that is safe to put before any API, and those that all caches share.
Profile = Literal[
    "rfc9111",
    "api",
    "stateless",
    "realtime",
    "personal",
    "semi-static",
    "static",
    "deterministic",
    "faq",
]

Consistency = Literal["eventual", "validate", "strong"]
Invalidation = Literal["ttl", "tags", "events", "writes"]

_Values = dict[str, Any]

#: What the safe profile, and every shared one, brings.
_API: Final[_Values] = {
    "ttl": None,
    "max_ttl": None,
    "override": False,
    "stale_while_revalidate": 0.0,
    "stale_if_error": 0.0,
    "scope": "tenant",
    "consistency": "eventual",
    "invalidation": ("ttl", "writes"),
    "early_refresh": 0.0,
    "heuristics": 0.0,
    "client_directives": "ignore",
    "set_cookie": "refuse",
    "credentials": "separate",
    "private": "refuse",
    "stale_when_disconnected": False,
}

_RFC9111: Final[_Values] = _API | {
    "heuristics": 0.1,
    "client_directives": "obey",
    "set_cookie": "store",
    "credentials": "share",
    "stale_when_disconnected": True,
}

#: What each shared profile means beyond what all caches take it for.
_MEANT: Final[Mapping[str, _Values]] = {
    # Seconds old at most, whatever the origin says.
    "realtime": {"max_ttl": 2.0},
    # One end user's own cache, which is what `private` is for.
    "personal": {"private": "store"},
    **{name: {"early_refresh": 1.0} for name in ("semi-static", "static", "deterministic", "faq")},
}

#: What a route and a shared profile both say in the words of all caches.
_SHARED: Final = (
    "ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "scope",
    "consistency",
    "invalidation",
)


class Standing(NamedTuple):
    """The values that hold on a route; `why` tells of each where it comes from. Durations are seconds."""

    profile: Profile
    values: Mapping[str, Any]
    why: Mapping[str, str]

    @property
    def active(self) -> bool:
        """Whether anything is cached."""
        return self.profile in {"rfc9111", "api"} or bool(self.values["ttl"])

    @property
    def scope(self) -> Scope:
        """Who shares an answer."""
        scope: Scope = self.values["scope"]
        return scope

    @property
    def consistency(self) -> Consistency:
        """How sure it must be that an answer still holds."""
        consistency: Consistency = self.values["consistency"]
        return consistency

    @property
    def policy(self) -> Policy:
        """The switches that the pure part goes by."""
        values, conformant = self.values, self.profile == "rfc9111"
        return Policy(
            ttl=_whole(values["ttl"]),
            override=values["override"],
            max_ttl=_whole(values["max_ttl"]),
            heuristics=values["heuristics"],
            set_cookie=values["set_cookie"] == "store",
            shares_credentials=values["credentials"] == "share",
            keeps_private=values["private"] == "store",
            obeys_callers=values["client_directives"] == "obey",
            stale_while_revalidate=int(values["stale_while_revalidate"]),
            stale_if_error=int(values["stale_if_error"]),
            stale_when_disconnected=values["stale_when_disconnected"],
            negotiates_language=conformant,
            mends_parts=conformant,
            completes_unvalidated=conformant,
            stores_refusals=conformant,
        )

    def told(self) -> Iterator[tuple[str, str, str]]:
        """Give each value in words: its name, what it is, where it comes from."""
        yield "profile", self.profile, self.why["profile"]
        for name, value in self.values.items():
            yield name, _words(name, value), self.why[name]


def standing_of(route: HttpCacheRoute) -> Standing:
    """Merge a route's profile with what the route says itself.

    Raises:
        ConfigError: what it says contradicts itself, or leaves open what ends an answer.
    """
    profile: Profile = route.profile or ("stateless" if route.ttl is None else "api")
    brought, source = _brought(profile, route), f"profile {profile}"
    values, why = dict(brought), dict.fromkeys(brought, source if route.profile else "the default")
    for name in brought:
        own = getattr(route, name)
        if own is not None:
            values[name], why[name] = own, "the route's own"
    why["profile"] = "the route's own" if route.profile else _unnamed(route)
    if route.private is None and not _of_one_user(values):
        values["private"] = "refuse"
    standing = Standing(profile, values, why)
    _refuse_contradictions(route, standing)
    return standing


def _unnamed(route: HttpCacheRoute) -> str:
    said = "names none" if route.ttl is None else "has a ttl and names none"
    return f"the default, for the route {said}"


def _brought(profile: Profile, route: HttpCacheRoute) -> _Values:
    """Return what a profile brings; a shared one refuses what the route says against it."""
    if profile == "rfc9111":
        return _RFC9111
    if profile == "api":
        return _API
    terms = terms_of(CachingSettings(profile=profile))
    _ = CachingSettings(profile=profile, **{name: getattr(route, name) for name in _SHARED})
    brought = _API | {name: getattr(terms, name) for name in _SHARED} | _MEANT.get(profile, {})
    if profile == "realtime" and route.ttl is not None:
        brought["max_ttl"] = route.ttl
    return brought


def _of_one_user(values: Mapping[str, Any]) -> bool:
    """Whether nobody but one end user gets an answer."""
    return bool(values["scope"] == "end-user" and values["credentials"] == "separate")


def _refuse_contradictions(route: HttpCacheRoute, standing: Standing) -> None:
    values = standing.values
    if route.override and not values["ttl"]:
        raise ConfigError("override", "of no use without a ttl")
    if not standing.active:
        if route.graphql is not None:
            raise ConfigError("graphql", "of no use where nothing is cached; write a profile, or a ttl")
        return
    if not values["invalidation"]:
        raise ConfigError("invalidation", "empty: nothing would end an answer; write ttl if age alone shall")
    if values["consistency"] == "strong" and set(values["invalidation"]) == {"ttl"}:
        raise ConfigError(
            "invalidation", "ttl alone tells of no change; consistency: strong needs tags, events or writes"
        )
    if values["private"] == "store" and not _of_one_user(values):
        raise ConfigError(
            "private",
            "store needs scope: end-user and credentials: separate, so that one user alone has them",
        )
    if route.user_header and values["scope"] != "end-user":
        raise ConfigError("user_header", "of no use but with scope: end-user")


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if value is None:
        return "none"
    is_time = name.endswith("ttl") or name.startswith("stale_")
    return format_duration(value) if is_time else str(value)
