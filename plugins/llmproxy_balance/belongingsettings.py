"""Where requests belong: the sections of the configuration."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section, StoreName

_KINDS: Final = frozenset({"session", "tenant", "prefix"})


class AffinitySettings(Section, frozen=True):
    """What is taken for the same caller, how long he is remembered, how uneven the load may get.

    `by` is tried in order: `session` (what the caller names as one, in a header or his dialect's field), `prefix` (what
    his prompt begins with), `tenant`, or `header:NAME`. `load` bounds a place's load, as a multiple of its share.
    `always` holds even where the provider asks as much for a cached prompt as for another.
    """

    by: tuple[str, ...] = ("session", "prefix")
    ttl: Duration = 1800.0
    load: Annotated[float, msgspec.Meta(gt=1, le=100)] = 1.25
    always: bool = False

    def __post_init__(self) -> None:
        for index, kind in enumerate(self.by):
            if kind not in _KINDS and not (kind.startswith("header:") and len(kind) > len("header:")):
                known = ", ".join(sorted(_KINDS))
                raise ConfigError(f"by[{index}]", f"{kind!r} is none of {known} and header:NAME")


class OriginSettings(Section, frozen=True):
    """Whether requests go back to who made what they refer to; `store` remembers it for other hosts, and restarts."""

    follow: bool = True
    store: StoreName | None = None

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`false` follows none."""
        return {"follow": tree} if isinstance(tree, bool) else tree
