"""The rows of one partition of the index: int8 vectors, the signs of their numbers, and what is kept with each.

A vector of 384 numbers takes 384 bytes and one scale; similarities are off by less than 0.002. Up to `EXACT` rows all
are compared. Of more, the `LIKELY` ones are whose signs differ least from those asked for, counted in whole words, word
by word over all rows; only those are compared. That finds the nearest of 100,000 rows in under half a millisecond of
one core, needs nothing to be built, and a row can go at once: the last takes its place.

No method may run while another does; all run on the event loop. BLAS is not used, as it may start threads of its own,
and wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of one block, and rows up to which all are compared.
BLOCK: Final = 32768
EXACT: Final = 512

#: Rows that are compared of more.
LIKELY: Final = 128

_WORD: Final = 64
_PREFIX: Final = 255
#: What Python and numpy need for a shard and for a row, beside the numbers and the bytes.
SHARD_COST: Final = 1400
_ROW_COST: Final = 33 + 8


class Row(NamedTuple):
    """An answer whose question is near: its exact key, the cosine of the two vectors, the question's packed features."""

    key: bytes
    similarity: float
    features: bytes


class BadVector(ValueError):
    """A vector that nothing can be compared with."""


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector of length one in the same direction.

    Raises:
        BadVector: it has no direction.
    """
    plain = np.asarray(vector, np.float32)
    with np.errstate(all="ignore"):
        length = float(np.sqrt(np.einsum("i,i->", plain, plain))) if plain.ndim == 1 else 0.0
    if not 0.0 < length < np.inf:
        raise BadVector("a vector needs a direction")
    return plain / np.float32(length)


def coarse(vector: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return a vector as small whole numbers, its direction but for less than half a thousandth."""
    row: NDArray[np.int8] = np.rint(vector * (127 / np.abs(vector).max())).astype(np.int8)
    return row


class _Block:
    """So many rows, as columns of numbers."""

    __slots__ = ("ends", "rows", "scales", "signs", "tags")

    def __init__(self, size: int, dims: int) -> None:
        self.rows: NDArray[np.int8] = np.empty((size, dims), np.int8)
        self.scales: NDArray[np.float32] = np.empty(size, np.float32)
        self.signs: NDArray[np.uint64] = np.empty((-(-dims // _WORD), size), np.uint64)
        self.tags: NDArray[np.int64] = np.empty(size, np.int64)
        self.ends: NDArray[np.float64] = np.empty(size, np.float64)

    def grown(self) -> _Block:
        """Return a block of twice the size with the same rows."""
        size, dims = self.rows.shape
        larger = _Block(2 * size, dims)
        larger.rows[:size] = self.rows
        larger.scales[:size] = self.scales
        larger.signs[:, :size] = self.signs
        larger.tags[:size] = self.tags
        larger.ends[:size] = self.ends
        return larger

    def write(self, at: int, vector: NDArray[np.float32], tag: int, until: float) -> None:
        """Put a vector of length one into a row."""
        row = coarse(vector)
        whole = row.astype(np.float32)
        self.rows[at] = row
        self.scales[at] = 1.0 / np.sqrt(np.einsum("i,i->", whole, whole))
        self.signs[:, at] = signs_of(vector)
        self.tags[at] = tag
        self.ends[at] = until

    def move(self, at: int, other: _Block, source: int) -> None:
        """Put another block's row into a row of this one."""
        self.rows[at] = other.rows[source]
        self.scales[at] = other.scales[source]
        self.signs[:, at] = other.signs[:, source]
        self.tags[at] = other.tags[source]
        self.ends[at] = other.ends[source]

    def distances(self, signs: NDArray[np.uint64], count: int) -> NDArray[np.uint16]:
        """Return by how many signs each of the first rows differs."""
        total = np.zeros(count, np.uint16)
        different = np.empty(count, np.uint64)
        bits = np.empty(count, np.uint8)
        for stored, asked in zip(self.signs, signs, strict=True):
            np.bitwise_xor(stored[:count], asked, out=different)
            np.bitwise_count(different, out=bits)
            np.add(total, bits, out=total)
        return total

    def similarities(self, vector: NDArray[np.float32], at: Any) -> NDArray[np.float32]:
        """Return the cosines of some rows with a vector of length one."""
        found: NDArray[np.float32] = np.einsum("ij,j->i", self.rows[at].astype(np.float32), vector)
        found *= self.scales[at]
        return found


def signs_of(vector: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the signs of a vector's numbers as bits of whole words."""
    packed = np.packbits(vector > 0)
    words = np.zeros(-(-vector.size // _WORD), np.uint64)
    words.view(np.uint8)[: packed.size] = packed
    return words


class Shard:
    """The rows of one partition; `held` is how many bytes they take."""

    __slots__ = ("_blocks", "_dims", "_hand", "_partition", "_records", "_row_cost", "held")

    def __init__(self, partition: bytes, dims: int) -> None:
        self._partition = partition
        self._dims = dims
        self._blocks = [_Block(1, dims)]
        #: What is left of each row's key without what the partition's has too, and its features.
        self._records: list[bytes] = []
        self._hand = 0
        self._row_cost = dims + 8 * -(-dims // _WORD) + 4 + 8 + 8 + _ROW_COST
        self.held = SHARD_COST + len(partition)

    def __len__(self) -> int:
        return len(self._records)

    def add(self, key: bytes, vector: NDArray[np.float32], features: bytes, until: float, most: int) -> None:
        """Keep a row, in place of the one under the same key; in place of some other beyond `most` rows.

        Raises:
            BadVector: it cannot be compared with the others.
        """
        vector = unit(vector)
        if vector.size != self._dims:
            raise BadVector(f"a vector has {vector.size} numbers, the others of its partition {self._dims}")
        record = self._packed(key, features)
        at = self._find(key)
        if at is None and len(self._records) >= most:
            self._hand = at = (self._hand + 1) % len(self._records)
        if at is None:
            at = self._append(record)
        else:
            self.held += len(record) - len(self._records[at])
            self._records[at] = record
        block, row = divmod(at, BLOCK)
        self._blocks[block].write(row, vector, hash(key), until)

    def remove(self, key: bytes) -> bool:
        """Forget a row; False if there is none."""
        at = self._find(key)
        if at is None:
            return False
        last = len(self._records) - 1
        (block, row), (end, source) = divmod(at, BLOCK), divmod(last, BLOCK)
        self.held -= self._row_cost + len(self._records[at])
        self._blocks[block].move(row, self._blocks[end], source)
        self._records[at] = self._records[last]
        self._records.pop()
        if source == 0 and end:
            self._blocks.pop()
        return True

    def nearest(self, vector: NDArray[np.float32], most: int, now: float) -> tuple[list[Row], list[bytes]]:
        """Return the rows that are nearest, the nearest first, and the keys of those as near that have ended.

        Raises:
            BadVector: it cannot be compared with them.
        """
        vector = unit(vector)
        if vector.size != self._dims:
            raise BadVector(f"a vector has {vector.size} numbers, those of its partition {self._dims}")
        count = len(self._records)
        places = np.arange(count) if count <= EXACT else self._likely(vector, max(LIKELY, most))
        found = self._similarities(vector, places)
        rows: list[Row] = []
        ended: list[bytes] = []
        for order in np.argsort(-found, kind="stable"):
            at = int(places[order])
            if self._blocks[at // BLOCK].ends[at % BLOCK] <= now:
                ended.append(self._unpacked(self._records[at])[0])
            elif len(rows) < most:
                rows.append(self._row(at, float(found[order])))
            else:
                break
        return rows, ended

    def _append(self, record: bytes) -> int:
        at = len(self._records)
        block, row = divmod(at, BLOCK)
        if block == len(self._blocks):
            self._blocks.append(_Block(BLOCK, self._dims))
        elif row == len(self._blocks[block].tags):
            self._blocks[block] = self._blocks[block].grown()
        self._records.append(record)
        self.held += self._row_cost + len(record)
        return at

    def _find(self, key: bytes) -> int | None:
        tag = hash(key)
        for number, block in enumerate(self._blocks):
            count = len(self._records) - number * BLOCK
            for row in np.flatnonzero(block.tags[:count] == tag):
                at = number * BLOCK + int(row)
                if self._unpacked(self._records[at])[0] == key:
                    return at
        return None

    def _likely(self, vector: NDArray[np.float32], most: int) -> NDArray[np.intp]:
        """Return where the rows are whose signs differ least; more where several differ as much."""
        signs = signs_of(vector)
        count = len(self._records)
        parts = [
            block.distances(signs, min(BLOCK, count - at * BLOCK)) for at, block in enumerate(self._blocks)
        ]
        distances = np.concatenate(parts)
        if most >= count:
            return np.arange(count)
        bound = np.partition(distances, most - 1)[most - 1]
        closer = np.flatnonzero(distances < bound)
        # Where very many differ as much, not all of those can be compared.
        as_far = np.flatnonzero(distances == bound)[:most]
        return np.sort(np.concatenate((closer, as_far)))

    def _similarities(self, vector: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.float32]:
        if len(self._blocks) == 1:
            return self._blocks[0].similarities(vector, places)
        ends = np.searchsorted(places, np.arange(1, len(self._blocks)) * BLOCK)
        parts = zip(self._blocks, np.split(places % BLOCK, ends), strict=True)
        return np.concatenate([block.similarities(vector, at) for block, at in parts])

    def _row(self, at: int, similarity: float) -> Row:
        key, features = self._unpacked(self._records[at])
        return Row(key, min(similarity, 1.0), features)

    def _packed(self, key: bytes, features: bytes) -> bytes:
        front = _common(key, self._partition)
        back = _common(key[front:][::-1], self._partition[front:][::-1])
        own = key[front : len(key) - back]
        return b"%c%c%b%b%b" % (front, back, len(own).to_bytes(2, "little"), own, features)

    def _unpacked(self, record: bytes) -> tuple[bytes, bytes]:
        front, back, size = record[0], record[1], int.from_bytes(record[2:4], "little")
        ending = self._partition[len(self._partition) - back :]
        return self._partition[:front] + record[4 : 4 + size] + ending, record[4 + size :]


def _common(one: bytes, other: bytes) -> int:
    """Return how long the beginning is that two have in common."""
    most = min(len(one), len(other), _PREFIX)
    return next((at for at in range(most) if one[at] != other[at]), most)
