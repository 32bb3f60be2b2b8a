"""Persisted documents: which operation a digest stands for, as it was told once (Apollo's automatic persisted queries).

Anybody may tell: the digest is computed here. A document is kept for all workers beside the answers, for ever, as no
purge can make it untrue.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from llmproxy.caches import CacheStatus
from llmproxy.plugin import CacheSpace, Entry, store_key
from llmproxy_httpcache.graphql import BadDocument, read_document
from llmproxy_httpcache.querying import lay_key

if TYPE_CHECKING:
    from llmproxy_httpcache.plan import Plan

#: Documents that a worker remembers to have told; seconds that one is kept; bytes of the longest.
_MOST: Final = 1024
_KEPT: Final = 30 * 86400.0
_LONGEST: Final = 64 * 1024


class Documents:
    """The persisted documents of one space."""

    def __init__(self, space: CacheSpace) -> None:
        self._space = space
        self._told: set[str] = set()

    async def settle(self, plan: Plan) -> None:
        """Learn the document of a request that has both it and its digest; find out what a digest alone stands for."""
        query = plan.query
        if query is None or not query.hash:
            return
        if query.text:
            await self._learn(query.hash, query.text)
        elif query.kind == "hashed":
            await self._find_out(plan)

    async def _learn(self, digest: str, text: str) -> None:
        if digest in self._told or len(text) > _LONGEST:
            return
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told.add(digest)
        entry = Entry(0, b"", text.encode(), mark=self._space.now())
        await self._space.put(_key(digest), entry, _KEPT)

    async def _find_out(self, plan: Plan) -> None:
        query = plan.query
        assert query is not None
        kind = await self._kind(query.hash, query.name, plan.rules.bounds.depth)
        if kind == "query":
            plan.query = query._replace(kind="query")
            plan.status = CacheStatus("uri-miss")
            lay_key(plan)
        elif kind is not None:
            plan.query = query._replace(kind="unsafe" if kind == "mutation" else "safe")

    async def _kind(self, digest: str, name: str | None, depth: int) -> str | None:
        found = await self._space.get(_key(digest))
        if found is None or sha256(found.entry.body).hexdigest() != digest:
            return None
        try:
            return read_document(bytes(found.entry.body).decode(), depth).kind_of(name)
        except (BadDocument, UnicodeDecodeError):
            return None


def _key(digest: str) -> bytes:
    return store_key("public", "graphql documents", digest)
