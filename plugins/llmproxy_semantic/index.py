"""Rows by partition, of this process: what is nearest is searched in one partition alone. Bounded in bytes.

All of it runs on the event loop: a search takes under a millisecond among 100,000 rows, which is less than it costs to
hand it to a thread that another search may keep busy, and nothing has to be locked.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from llmproxy_semantic.shard import BadVector, Row, Shard, unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BadVector", "Index", "Row"]

#: Bytes of all rows, and rows of one partition, in which a search takes a millisecond.
LIMIT: Final = 256 * 1024 * 1024
MOST_ROWS: Final = 150_000


class Index:
    """The rows of all partitions; those of the partitions that were asked for longest ago go first."""

    def __init__(self, limit: int = LIMIT, most_rows: int = MOST_ROWS) -> None:
        #: What is told of a partition that goes for others.
        self.on_drop: Callable[[bytes], object] | None = None
        self._shards: OrderedDict[bytes, Shard] = OrderedDict()
        self._limit = limit
        self._most = most_rows
        #: How many bytes it takes, and how many partitions went for others.
        self.held = 0
        self.dropped = 0

    def __len__(self) -> int:
        return sum(map(len, self._shards.values()))

    def __contains__(self, partition: bytes) -> bool:
        return partition in self._shards

    def add(
        self,
        partition: bytes,
        key: bytes,
        vector: NDArray[np.float32],
        features: bytes,
        until: float = math.inf,
    ) -> None:
        """Keep a row until that time, in place of an earlier one under the same key.

        Raises:
            BadVector: it cannot be compared with the others of its partition.
        """
        shard = self._shards.get(partition)
        if shard is None:
            shard = Shard(partition, unit(vector).size)
        before = shard.held if len(shard) else 0
        most = self._most if shard.held < self._limit else max(1, len(shard))
        shard.add(key, vector, features, until, most)
        self._shards[partition] = shard
        self._shards.move_to_end(partition)
        self.held += shard.held - before
        while self.held > self._limit and len(self._shards) > 1:
            gone, oldest = self._shards.popitem(last=False)
            self.held -= oldest.held
            self.dropped += 1
            if self.on_drop is not None:
                self.on_drop(gone)

    def remove(self, partition: bytes, key: bytes) -> bool:
        """Forget a row; False if there is none."""
        shard = self._shards.get(partition)
        if shard is None:
            return False
        before = shard.held
        gone = shard.remove(key)
        self.held += shard.held - before
        if not len(shard):
            self.forget(partition)
        return gone

    def forget(self, partition: bytes) -> None:
        """Forget all rows of a partition."""
        shard = self._shards.pop(partition, None)
        if shard is not None:
            self.held -= shard.held

    def nearest(
        self, partition: bytes, vector: NDArray[np.float32], most: int, now: float = 0.0
    ) -> list[Row]:
        """Return the rows of a partition that are nearest and do not end until now, the nearest first.

        Those that have ended and are as near are forgotten.

        Raises:
            BadVector: it cannot be compared with them.
        """
        shard = self._shards.get(partition)
        if shard is None:
            return []
        self._shards.move_to_end(partition)
        found, ended = shard.nearest(vector, most, now)
        for key in ended:
            self.remove(partition, key)
        return found
