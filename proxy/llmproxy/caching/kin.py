"""Answers to other questions that would do: what a cache and whoever knows of likeness say to each other.

Whoever knows (a plugin above the cache in a route's list) puts a `Kinship` under `KIN` into an exchange's state when
the caches are asked. A cache that finds nothing under its exact key asks it for the key of an answer to a question of
the same meaning; the cache alone looks that answer up, judges and serves it. So what is purged, stale or another
tenant's is never served, however much alike it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from llmproxy.exchange import StateKey

if TYPE_CHECKING:
    from llmproxy.caching.entry import Entry
    from llmproxy.caching.space import CacheSpace
    from llmproxy.exchange import Exchange
    from llmproxy.messages import StoredReply

#: How two questions were found to mean the same: by their texts in one form, or by an embedding.
Tier = Literal["canonical", "semantic"]


class Asked(NamedTuple):
    """A question, apart from all that decides how it is answered.

    `partition` is made as the exact key is, without the question: it is equal where tenant and sharers, route, models,
    system prompt, earlier turns, tools, format and sampling are all equal, and never else. `rest` is the body without
    the question, as keys count it; it must not be changed. `settled` says whether equal requests get equal answers.
    """

    partition: bytes
    question: str
    rest: Mapping[str, Any]
    temperature: float | None
    settled: bool


class Kin(NamedTuple):
    """An answer that would do: the exact key that it is kept under, how it was found, how much alike (0 to 1)."""

    key: bytes
    tier: Tier
    similarity: float = 1.0


class Fresh(NamedTuple):
    """A fresh answer as its caller got it; `other` is the one that is kept under another key, in the same form."""

    reply: StoredReply
    other: Callable[[bytes], Awaitable[StoredReply | None]]


class Answered(NamedTuple):
    """An answer that a cache keeps, for `ttl` seconds at most; how it was told, where there was somebody to tell."""

    space: CacheSpace
    key: bytes
    entry: Entry
    ttl: float
    fresh: Fresh | None = None


class Kinship(Protocol):
    """Knows which questions mean the same."""

    async def find(self, exchange: Exchange, asked: Asked, space: CacheSpace) -> Kin | None:
        """Return an answer that would do for a question; None if none is known, or it would take too long."""

    def lost(self, asked: Asked, kin: Kin, space: CacheSpace) -> None:
        """Hear that an answer is there no more, or may not be used."""

    async def stored(self, exchange: Exchange, asked: Asked, answered: Answered) -> None:
        """Hear that the answer to a question is kept; the caller has had its answer and does not wait."""


KIN: Final[StateKey[Kinship]] = StateKey("cache.kin")
