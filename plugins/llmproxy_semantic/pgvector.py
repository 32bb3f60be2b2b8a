"""Rows kept and searched by a Postgres with pgvector, which any number of gateways share.

A search compares all rows of one partition, exactly: no graph of all partitions' rows would find those of one. What is
gone, purged or stale is told by the cache when it looks the answer up, and then forgotten; what has ended is not found,
and deleted some time. Source: pgvector's README (type `vector`, operator `<=>`: one less the cosine). Its extension
stands in the schema `public`, where most have it.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy_semantic.shard import Row, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmproxy.plugin import Answered, CacheSpace, Postgres, Runtime

#: Where the table stands if the URL does not say.
SCHEMA: Final = "llmproxy_semantic"

#: What makes the table; a step that was in a release is never changed.
STEPS: Final = (
    "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public",
    """
    CREATE TABLE rows(
        partition bytea, key bytea, features bytea NOT NULL, vector public.vector NOT NULL,
        until double precision NOT NULL, PRIMARY KEY (partition, key)
    );
    CREATE INDEX rows_until ON rows(until);
    """,
)

_NEAR: Final = """
    SELECT key, 1 - (vector OPERATOR(public.<=>) $2::text::public.vector), features
    FROM rows WHERE partition = $1 AND until > $3
    ORDER BY vector OPERATOR(public.<=>) $2::text::public.vector LIMIT $4
"""
_ADD: Final = """
    INSERT INTO rows VALUES ($1, $2, $3, $4::text::public.vector, $5) ON CONFLICT (partition, key)
    DO UPDATE SET features = excluded.features, vector = excluded.vector, until = excluded.until
"""
_LOST: Final = "DELETE FROM rows WHERE partition = $1 AND key = $2"
_ENDED: Final = """
    DELETE FROM rows WHERE (partition, key) IN (SELECT partition, key FROM rows WHERE until <= $1 LIMIT 500)
"""
#: Rows that are added between two looks for ended ones.
_TIDY: Final = 100


class PgVectors:
    """The rows of one embedder, whose vectors are compared with no other's; `embedder` is its id."""

    def __init__(self, runtime: Runtime, postgres: Postgres, embedder: str) -> None:
        self._wall = runtime.clock.wall
        self._postgres = postgres
        self._salt = blake2b(embedder.encode(), digest_size=16).digest()
        self._built = False
        self._added = 0

    async def may_find(self, space: CacheSpace, partition: bytes) -> bool:  # asking costs as much
        """Tell that a partition may have rows: only the search knows."""
        return True

    async def near(
        self, space: CacheSpace, partition: bytes, vector: NDArray[np.float32], most: int
    ) -> list[Row]:
        """Return the rows of a partition that are nearest, the nearest first."""
        try:
            work = ("fetch", _NEAR, self._name(space, partition), _text(vector), self._wall(), most)
            return [Row(key, similarity, features) for key, similarity, features in await self._do(*work)]
        except Exception as fault:
            space.faults.add("row", fault)
            return []

    async def add(
        self, answered: Answered, partition: bytes, vector: NDArray[np.float32], features: bytes
    ) -> None:
        """Have the answer to a question be found by its vector, by all who share the database."""
        now, name = self._wall(), self._name(answered.space, partition)
        try:
            row = (name, answered.key, features, _text(vector), now + answered.ttl)
            await self._do("execute", _ADD, *row)
            self._added += 1
            if self._added % _TIDY == 0:
                await self._do("execute", _ENDED, now)
        except Exception as fault:
            answered.space.faults.add("row", fault)

    async def lost(self, space: CacheSpace, partition: bytes, key: bytes) -> None:
        """Forget a row whose answer is gone."""
        try:
            await self._do("execute", _LOST, self._name(space, partition), key)
        except Exception as fault:
            space.faults.add("row", fault)

    async def _do(self, kind: str, statement: str, *values: object) -> Any:
        if not self._built:
            await self._postgres.build("semantic", STEPS)
            self._built = True
        return await self._postgres.run(partial(_run, kind, statement, values))

    def _name(self, space: CacheSpace, partition: bytes) -> bytes:
        """Return what a partition is called: another for another store, and for another embedder."""
        whole = b"%d:%b%b" % (len(space.name.encode()), space.name.encode(), partition)
        return blake2b(whole, key=self._salt, digest_size=32).digest()


async def _run(kind: str, statement: str, values: tuple[object, ...], connection: Any) -> Any:
    return await getattr(connection, kind)(statement, *values)


def _text(vector: NDArray[np.float32]) -> str:
    return orjson.dumps(unit(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()
