"""What a cache makes of one request, for somebody who asks why it was a hit or a miss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmproxy.caching.board import Verdict

if TYPE_CHECKING:
    from llmproxy.caching.inspecting import Inspected
    from llmproxy.caching.parts import Part
    from llmproxy.caching.recents import Near


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored under a key.

    `state`: `fresh`, `stale`, `softly purged`, `purged`, `other form` (to be told in the caller's) or `none`; ages and
    lifetimes in seconds, `more` says what else is known.
    """

    state: str
    tier: str = ""
    age: float = 0.0
    lifetime: float = 0.0
    size: int = 0
    more: str = ""

    @classmethod
    def missing(cls, found: Inspected | None) -> Standing | None:
        """Return what there is to say of an entry that nobody gets; None where a cache has to judge it."""
        if found is None:
            return cls("none")
        if found.verdict is Verdict.PURGED:
            return cls("purged", found.tier, size=len(found.entry.body))
        return None


class Insight(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cache's view of one request: its terms and why they hold, whether the answer is kept, the key, what is there.

    Without `key` the request goes past the cache, and `kept` says why. `near` is looked for where nothing usable is
    stored. No text of the request is in any of it.
    """

    terms: list[tuple[str, str]]
    kept: str
    key: str = ""
    parts: list[Part] = msgspec.field(default_factory=list)
    entry: Standing | None = None
    near: Near | None = None

    @property
    def tree(self) -> dict[str, Any]:
        """All of it, for JSON."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        told["parts"] = [part._asdict() for part in self.parts]
        if self.near is not None:
            changed = [each._asdict() for each in self.near.differences]
            told["near"] = {"differences": changed, "seconds": self.near.seconds}
        return told
