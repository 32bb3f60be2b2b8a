"""Which kept answer would do for a question: asked by the cache when it has none under the exact key."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Answered, Asked, CacheSpace, Exchange, Kin
from llmproxy_semantic.aliases import drop_alias, find_alias, put_alias
from llmproxy_semantic.canonical import canonicalise

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime
    from llmproxy_semantic.config import SemanticRoute
    from llmproxy_semantic.likeness import Likeness
    from llmproxy_semantic.verified import Verified

#: Questions that are asked often are asked in the same words, and in few.
_known = lru_cache(maxsize=1024)(canonicalise)
_FEW: Final = 1024


def _form(question: str) -> str:
    return _known(question) if len(question) <= _FEW else canonicalise(question)


class Matching:
    """Knows of one route's questions whose texts have one form, and with a `likeness` of those that are alike.

    With `verified` what is alike is served by what was seen of the route.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: SemanticRoute,
        likeness: Likeness | None = None,
        verified: Verified | None = None,
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._likeness = likeness
        self._verified = verified

    async def find(self, exchange: Exchange, asked: Asked, space: CacheSpace) -> Kin | None:
        """Return an answer to a question of the same form, else to one that is alike."""
        form = _form(asked.question)
        key = await find_alias(space, asked.partition, form)
        if key is not None:
            return Kin(key, "canonical")
        if self._likeness is None:
            return None
        form = self._likeness.form(asked.question, form)
        if self._verified is not None:
            return await self._verified.find(exchange, asked, form, space)
        settings = self._settings
        return await self._likeness.find(asked, form, space, within=settings.within, warmest=settings.warmest)

    def lost(self, asked: Asked, kin: Kin, space: CacheSpace) -> None:
        """Forget what led to an answer that may not be served."""
        if kin.tier == "semantic" and self._likeness is not None:
            self._likeness.lost(asked, kin, space)
            return
        work = drop_alias(space, asked.partition, _form(asked.question))
        self._runtime.spawn(work, name="forget-alias")

    async def stored(self, exchange: Exchange, asked: Asked, answered: Answered) -> None:
        """Have a question's form, and its likeness, lead to its answer."""
        form = _form(asked.question)
        await put_alias(asked.partition, form, answered)
        if self._likeness is None:
            return
        form = self._likeness.form(asked.question, form)
        if self._verified is not None:
            await self._verified.stored(exchange, asked, form, answered)
        else:
            self._likeness.stored(asked, form, answered, warmest=self._settings.warmest)
