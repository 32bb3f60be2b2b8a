"""Rows kept and searched by the server of the cache's store, where that is Redis 8 or later: its vector sets.

A partition is one set, an element one answer's exact key, with the question's features and its end as attributes. No
process keeps an index, nothing is read at the start, and a search is one round trip. What is gone, purged or stale is
told by the cache when it looks the answer up, and then forgotten; what has ended is forgotten when it is met, and a set
ends with the last of its rows. Where the store's values are sealed nothing is kept here: what is searched cannot be.
Commands: the Redis documentation of vector sets (VADD, VSIM with WITHATTRIBS, since 8.2).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmproxy.plugin import StoreAway, shared_server
from llmproxy_semantic.shard import BadVector, Row, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmproxy.plugin import Answered, CacheSpace, Runtime, SharedServer

#: Rows that are asked for beside those that are wanted, as some of them may have ended.
_MORE: Final = 8


class _Told(msgspec.Struct, frozen=True):
    """An element's attributes."""

    features: str
    until: float


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(_Told).decode


class VectorSets:
    """The rows of one embedder, whose vectors are compared with no other's; `embedder` is its id."""

    def __init__(self, runtime: Runtime, embedder: str) -> None:
        self._runtime = runtime
        self._salt = blake2b(embedder.encode(), digest_size=16).digest()

    async def may_find(self, space: CacheSpace, partition: bytes) -> bool:  # asking costs as much
        """Tell that a partition may have rows: only the search knows."""
        return True

    async def near(
        self, space: CacheSpace, partition: bytes, vector: NDArray[np.float32], most: int
    ) -> list[Row]:
        """Return the rows of a partition that are nearest, the nearest first."""
        try:
            server = _server(space)
            wanted = ("FP32", unit(vector).tobytes(), "WITHSCORES", "WITHATTRIBS", "COUNT", most + _MORE)
            place = self._set(server, partition)
            reply = await server.ask(server.client.execute_command, "VSIM", place, *wanted)
            found, ended = _rows(reply, self._runtime.clock.wall())
        except Exception as fault:
            space.faults.add("row", fault)
            return []
        if ended:
            self._runtime.spawn(self._forget(space, partition, *ended), name="forget-ended-rows")
        return found[:most]

    async def add(
        self, answered: Answered, partition: bytes, vector: NDArray[np.float32], features: bytes
    ) -> None:
        """Have the answer to a question be found by its vector, by all who share the server."""
        try:
            server = _server(answered.space)
            place, number = self._set(server, partition), unit(vector).tobytes()
            until = self._runtime.clock.wall() + answered.ttl
            told = _encode(_Told(b64encode(features).decode(), until))
            seconds = max(1, int(answered.ttl) + 1)
            pipe = server.client.pipeline(transaction=False)
            pipe.execute_command("VADD", place, "FP32", number, answered.key, "SETATTR", told)
            pipe.expire(place, seconds, nx=True)
            pipe.expire(place, seconds, gt=True)
            await server.ask(pipe.execute)
        except Exception as fault:
            answered.space.faults.add("row", fault)

    async def lost(self, space: CacheSpace, partition: bytes, key: bytes) -> None:
        """Forget a row whose answer is gone."""
        await self._forget(space, partition, key)

    async def _forget(self, space: CacheSpace, partition: bytes, *keys: bytes) -> None:
        try:
            server = _server(space)
            pipe = server.client.pipeline(transaction=False)
            for key in keys:
                pipe.execute_command("VREM", self._set(server, partition), key)
            await server.ask(pipe.execute)
        except Exception as fault:
            space.faults.add("row", fault)

    def _set(self, server: SharedServer, partition: bytes) -> bytes:
        return b"%b~%b%b" % (server.prefix, self._salt, partition)


def _server(space: CacheSpace) -> SharedServer:
    """Return the server that a space's store is on, if it may know what rows say."""
    store: object = space.tiers["far" if "far" in space.tiers else "near"]
    server = shared_server(store)
    if server is None:
        raise StoreAway(f"store {space.name} is on no Redis server, which could search")
    if server is not store:
        raise StoreAway(f"store {space.name} seals its values, which cannot be searched then")
    return server


def _rows(reply: Any, now: float) -> tuple[list[Row], list[bytes]]:
    """Return the rows of an answer, and the keys of those that have ended."""
    rows: list[Row] = []
    ended: list[bytes] = []
    for key, score, attributes in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
        try:
            told = _decode(attributes or b"")
            features = b64decode(told.features, validate=True)
        except ValueError as fault:
            raise BadVector("a vector set holds what is no row") from fault
        if told.until <= now:
            ended.append(bytes(key))
        else:
            # The server tells (1 + cosine) / 2.
            rows.append(Row(bytes(key), 2 * float(score) - 1, features))
    return rows, ended
