"""The plugin's configuration, and what a route says of its cache."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from llmproxy.caches import CacheSetup, CachingSettings
from llmproxy.plugin import ConfigError, Duration, Size
from llmproxy_cache.determinism import Allowed
from llmproxy_cache.normalise import Normalisation

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: What a caller may say with a header: `Cache-Control`'s own words, and those of `x-llmproxy-cache`.
Control = Literal["no-cache", "no-store", "max-age", "only-if-cached", "bypass", "refresh", "ttl", "scope"]

#: Answers to one key that may be kept, at most.
_MOST_VARIANTS: Final = 64


class CacheConfig(CacheSetup, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store that answers are kept in, and the name that Cache-Status gives this cache.

    `show_key` puts the name of each answer's key into Cache-Status.
    """


class CacheRoute(CachingSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a route keeps, beyond the words that all caches share. Without a profile and a ttl it keeps nothing."""

    sampled: bool | None = None
    variants: int = 1
    allow: tuple[Allowed, ...] = ()
    across_dialects: bool = False
    any_model: bool = False
    normalise: Normalisation = msgspec.field(default_factory=Normalisation)
    ignore: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ()
    max_body: Size = 4 << 20
    early_refresh: float = 1.0
    pace: Literal["at-once", "recorded"] = "at-once"
    control: tuple[Control, ...] = (
        "no-cache",
        "no-store",
        "max-age",
        "only-if-cached",
        "bypass",
        "refresh",
        "ttl",
        "scope",
    )
    max_ttl: Duration | None = None
    tags: tuple[str, ...] = ()
    tags_header: str = ""
    downstream: str = "private, no-store"
    wait: Duration = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.variants <= _MOST_VARIANTS:
            raise ConfigError("variants", f"must be from 1 to {_MOST_VARIANTS}")
        if self.early_refresh < 0:
            raise ConfigError("early_refresh", "must not be negative; 0 refreshes nothing early")
        if any(ord(sign) < 0x20 or ord(sign) > 0x7E for sign in self.downstream):
            raise ConfigError("downstream", "must be a header field's value of plain characters")
        for index, name in enumerate(self.key_headers):
            if not _TOKEN.fullmatch(name):
                raise ConfigError(f"key_headers[{index}]", f"{name!r} cannot be the name of a header")
        if self.tags_header and not _TOKEN.fullmatch(self.tags_header):
            raise ConfigError("tags_header", f"{self.tags_header!r} cannot be the name of a header")
