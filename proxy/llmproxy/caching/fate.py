"""What becomes of one answer in a cache, for somebody who has asked for it to be kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.exchange import StateKey, Usage
from llmproxy.messages import StoredReply

if TYPE_CHECKING:
    from llmproxy.caching.entry import Entry
    from llmproxy.caching.space import CacheSpace
    from llmproxy.exchange import Exchange
    from llmproxy.messages import Reply

#: Seconds for which a pinned answer without a `ttl` is fresh: as long as anybody counts.
FOREVER: Final = 10 * 365 * 86400.0


class Pinned(NamedTuple):
    """An answer that an operator has given in place of the upstream's; fresh for `ttl` seconds, whatever a route says.

    It stands until then, or until it is purged: what callers say of freshness does not end it.
    """

    reply: StoredReply
    ttl: float = FOREVER
    #: What a model's answer says, to be told in the caller's dialect; the reply is for callers that speak none.
    text: str = ""

    def answer(self, exchange: Exchange) -> Reply:
        """Return the reply that the upstream would have given."""
        face = exchange.client_face
        if not self.text or face is None:
            return self.reply.replay()
        from llmproxy.canonical import Answer, Choice, Text  # noqa: PLC0415  # few answers are pinned

        choice = Choice(content=(Text(text=self.text),), finish="stop")
        model = exchange.model or ""
        return face.encode_answer(
            exchange, Answer(id="pinned", model=model, choices=(choice,), usage=Usage())
        )


class Fate:
    """A cache's word on one answer. Put it into the state of an exchange before that is run, under `FATE`.

    A cache that keeps the answer says `stored` when its store has it; one that does not says `refuse`.
    """

    __slots__ = ("_settled", "kept", "why")

    def __init__(self) -> None:
        self.kept = False
        #: Why it was not kept: a word of the cache's, no text.
        self.why = ""
        self._settled = asyncio.Event()

    async def stored(self, space: CacheSpace, key: bytes, entry: Entry, ttl: float, *, kept: bool) -> None:
        """Say whether the store has taken it; where each worker has its own, the others get it too."""
        if kept and space.handing is not None:
            kept = await space.handing.give(key, entry, ttl)
        self.kept = kept
        self.why = "" if kept else "store"
        self._settled.set()

    def refuse(self, why: str) -> None:
        """Say why the answer is not kept."""
        self.why = why
        self._settled.set()

    async def settled(self, within: float) -> None:
        """Wait until the cache has spoken, that many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._settled.wait()


FATE: Final[StateKey[Fate]] = StateKey("cache.fate")
