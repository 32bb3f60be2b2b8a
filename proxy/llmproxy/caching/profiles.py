"""What a route's cache does in one word: presets of lifetime, staleness, sharing, consistency and invalidation.

A route writes a profile, its own settings, or both: its own win. Each value knows where it comes from, so that
`explain` can tell. Nothing is kept by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec

from llmproxy.errors import ConfigError
from llmproxy.units import Duration, format_duration

Profile = Literal["stateless", "realtime", "personal", "semi-static", "static", "deterministic", "faq"]

#: Who shares an entry, from few to all.
Scope = Literal["end-user", "key", "team", "tenant", "public"]

#: `eventual`: an entry is used while it is fresh. `validate`: whoever holds the newest is asked first, the origin where
#: it tells validators, else the shared tier. `strong`: once a write was answered, nobody is served what is older.
Consistency = Literal["eventual", "validate", "strong"]

#: What ends an entry: its age alone, purges by tag, events of other systems, writes that pass through the gateway.
Invalidation = Literal["ttl", "tags", "events", "writes"]

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class Preset(NamedTuple):
    """What a profile stands for; times in seconds. `sampled` says that an answer which was drawn may be kept."""

    use: str
    ttl: float = 0.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    scope: Scope = "tenant"
    consistency: Consistency = "eventual"
    invalidation: tuple[Invalidation, ...] = ()
    sampled: bool = False


PRESETS: Final[Mapping[Profile, Preset]] = MappingProxyType(
    {
        "stateless": Preset("Nothing is kept; the default."),
        "realtime": Preset(
            "Prices, positions, statuses: bursts share one answer that is seconds old at most.",
            ttl=2.0,
            stale_if_error=30.0,
            consistency="validate",
            invalidation=("ttl",),
        ),
        "personal": Preset(
            "What one end user sees of their own data; nobody else ever does.",
            ttl=5 * _MINUTE,
            stale_if_error=_HOUR,
            scope="end-user",
            invalidation=("ttl", "writes"),
        ),
        "semi-static": Preset(
            "Catalogues, articles, documents: change now and then, and somebody knows when.",
            ttl=10 * _MINUTE,
            stale_while_revalidate=_HOUR,
            stale_if_error=_DAY,
            invalidation=("ttl", "tags", "events", "writes"),
        ),
        "static": Preset(
            "What changes with a release only.",
            ttl=_DAY,
            stale_while_revalidate=7 * _DAY,
            stale_if_error=30 * _DAY,
            invalidation=("ttl", "tags"),
        ),
        "deterministic": Preset(
            "Answers that follow from their request: embeddings, moderations, rankings, temperature 0.",
            ttl=7 * _DAY,
            stale_if_error=30 * _DAY,
            invalidation=("ttl", "tags"),
        ),
        "faq": Preset(
            "Questions that many ask again: an answer that was drawn once serves them all.",
            ttl=_HOUR,
            stale_while_revalidate=_DAY,
            stale_if_error=7 * _DAY,
            invalidation=("ttl", "tags", "events"),
            sampled=True,
        ),
    }
)

#: What a preset and a route may both say.
_TERMS: Final = (
    "ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "scope",
    "consistency",
    "invalidation",
    "sampled",
)


class CachingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a route says of its cache; None takes the profile's value. A cache's `RouteConfig` extends it."""

    profile: Profile | None = None
    ttl: Duration | None = None
    stale_while_revalidate: Duration | None = None
    stale_if_error: Duration | None = None
    scope: Scope | None = None
    consistency: Consistency | None = None
    invalidation: tuple[Invalidation, ...] | None = None

    def __post_init__(self) -> None:
        terms_of(self)

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """Read a profile's name alone, and one way of invalidation in place of a list."""
        if isinstance(tree, str):
            return {"profile": tree}
        if isinstance(tree, dict) and isinstance(tree.get("invalidation"), str):
            return {**tree, "invalidation": [tree["invalidation"]]}
        return tree


class Terms(NamedTuple):
    """What holds on a route; times in seconds. `why` says of each value where it comes from."""

    profile: Profile
    ttl: float
    stale_while_revalidate: float
    stale_if_error: float
    scope: Scope
    consistency: Consistency
    invalidation: tuple[Invalidation, ...]
    sampled: bool
    why: Mapping[str, str]

    @property
    def cacheable(self) -> bool:
        """Whether anything is kept."""
        return self.ttl > 0

    @property
    def kept(self) -> float:
        """How long an entry is of any use, in seconds."""
        return self.ttl + max(self.stale_while_revalidate, self.stale_if_error)


def terms_of(settings: CachingSettings) -> Terms:
    """Merge a route's profile with what the route says itself.

    Raises:
        ConfigError: what it says contradicts itself, or leaves open what ends an entry.
    """
    profile: Profile = settings.profile or "stateless"
    preset = PRESETS[profile]
    values: dict[str, Any] = {}
    why = {"profile": "the route's own" if settings.profile else "the default, for the route names none"}
    for name in _TERMS:
        own = getattr(settings, name, None)
        values[name] = getattr(preset, name) if own is None else own
        where = f"profile {profile}" if settings.profile else "the default"
        why[name] = where if own is None else "the route's own"
    terms = Terms(profile=profile, why=MappingProxyType(why), **values)
    _refuse_contradictions(settings, terms)
    return terms


def _refuse_contradictions(settings: CachingSettings, terms: Terms) -> None:
    if settings.profile == "stateless" and settings.ttl:
        raise ConfigError(
            "ttl", "of no use with profile: stateless, which keeps nothing; write another profile"
        )
    if not terms.cacheable:
        for name in ("stale_while_revalidate", "stale_if_error"):
            if getattr(settings, name):
                raise ConfigError(name, "of no use where nothing is kept; write a profile, or a ttl")
        return
    if not terms.invalidation:
        raise ConfigError(
            "invalidation",
            f"missing: answers are kept for {format_duration(terms.ttl)}, and nothing says what ends one; write ttl "
            "if age alone shall, or tags, events, writes, or a profile that has them",
        )
    if terms.consistency == "strong" and set(terms.invalidation) == {"ttl"}:
        raise ConfigError(
            "invalidation", "ttl alone tells of no change; consistency: strong needs tags, events or writes"
        )


def profile_table() -> str:
    """Return the presets as a table for documentation."""
    lines = [
        "| profile | for | kept | stale while revalidating | stale on error | shared by | consistency | ended by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        times = [preset.ttl, preset.stale_while_revalidate, preset.stale_if_error]
        cells = [f"`{name}`", preset.use, *[format_duration(time) if time else "no" for time in times]]
        cells += [preset.scope, preset.consistency, ", ".join(preset.invalidation) or "nothing"]
        lines.append(
            "| " + " | ".join(cells if preset.ttl else [*cells[:2], *["no"] * 3, "nobody", "", ""]) + " |"
        )
    return "\n".join(lines) + "\n"
