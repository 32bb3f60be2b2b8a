"""Which kept answer would do for a question: asked by the cache when it has none under the exact key."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from llmproxy.plugin import Answered, Asked, CacheSpace, Exchange, Kin
from llmproxy_semantic.aliases import drop_alias, find_alias, put_alias
from llmproxy_semantic.canonical import canonicalise

if TYPE_CHECKING:
    from llmproxy.plugin import Runtime


#: Questions that are asked often are asked in the same words.
_form = lru_cache(maxsize=1024)(canonicalise)


class Matching:
    """Knows of questions whose texts have one form."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def find(self, exchange: Exchange, asked: Asked, space: CacheSpace) -> Kin | None:
        """Return an answer to a question of the same form."""
        key = await find_alias(space, asked.partition, _form(asked.question))
        return None if key is None else Kin(key, "canonical")

    def lost(self, asked: Asked, kin: Kin, space: CacheSpace) -> None:
        """Forget what led to an answer that may not be served."""
        work = drop_alias(space, asked.partition, _form(asked.question))
        self._runtime.spawn(work, name="forget-alias")

    async def stored(self, exchange: Exchange, asked: Asked, answered: Answered) -> None:
        """Have a question's form lead to its answer."""
        await put_alias(asked.partition, _form(asked.question), answered)
