"""Which entries a memory store keeps when its bytes run out: four policies, by libraries that are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import Final, Protocol

from cachetools import Cache, LFUCache
from moka_py import Moka

#: A value, and when it ends by the monotonic clock.
Entry = tuple[bytes, float]

#: How many entries went for which reason: `size`, `expired` or `replaced`.
Evictions = dict[str, int]


class Policy(Protocol):
    """Entries by key, at most a number of bytes; `overhead` of each comes on top of its key and value."""

    overhead: int

    @property
    def held(self) -> int:
        """The bytes accounted for."""

    def get(self, key: bytes) -> Entry | None:
        """Return the entry, ended or not, and count that it was asked for."""

    def put(self, key: bytes, entry: Entry) -> bool:
        """Keep the entry in place of any other of its key; False when there is no room for it."""

    def remove(self, key: bytes) -> None:
        """Forget the key."""

    def keys(self) -> Iterator[bytes]:
        """Yield the keys."""

    def __len__(self) -> int:
        """Return how many there are."""


class Order(Protocol):
    """What puts entries into the order in which they go."""

    def get(self, key: bytes) -> Entry | None: ...
    def peek(self, key: bytes) -> Entry | None: ...
    def popitem(self) -> tuple[bytes, Entry]: ...
    def pop(self, key: bytes, default: None) -> Entry | None: ...
    def __setitem__(self, key: bytes, entry: Entry) -> None: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __len__(self) -> int: ...


class Oldest(OrderedDict[bytes, Entry]):
    """First in, first out."""

    def peek(self, key: bytes) -> Entry | None:
        """Return the entry, and count nothing."""
        return OrderedDict.get(self, key)

    def popitem(self, last: bool = False) -> tuple[bytes, Entry]:
        return super().popitem(last)


class Recent(Oldest):
    """The least recently used goes first."""

    def get(self, key: bytes) -> Entry | None:  # type: ignore[override]  # no default: it would cost
        entry = OrderedDict.get(self, key)
        if entry is not None:
            self.move_to_end(key)
        return entry

    def __setitem__(self, key: bytes, entry: Entry) -> None:
        super().__setitem__(key, entry)
        self.move_to_end(key)


class Frequent(LFUCache[bytes, Entry]):
    """The least frequently used goes first, the oldest of those."""

    def __init__(self) -> None:
        super().__init__(1 << 62)

    def peek(self, key: bytes) -> Entry | None:
        return Cache.__getitem__(self, key) if key in self else None


class Ranked:
    """Entries in one order, whose first goes when room is needed."""

    def __init__(self, order: Order, limit: int, evictions: Evictions, overhead: int) -> None:
        self.overhead = overhead
        self._order = order
        self._limit = limit
        self._evictions = evictions
        self.held = 0
        self.get: Callable[[bytes], Entry | None] = order.get

    def put(self, key: bytes, entry: Entry) -> bool:
        size = self._size(key, entry)
        if size > self._limit:
            self.remove(key)
            return False
        while self.held - self._held_by(key) + size > self._limit:
            self.pop_first()
            self._evictions["size"] += 1
        self.add(key, entry)
        return True

    def add(self, key: bytes, entry: Entry) -> None:
        """Keep the entry, whether or not there is room."""
        taken = self._held_by(key)
        if taken:
            self._evictions["replaced"] += 1
        self._order[key] = entry
        self.held += self._size(key, entry) - taken

    def pop_first(self) -> tuple[bytes, Entry]:
        """Take out what goes first."""
        key, entry = self._order.popitem()
        self.held -= self._size(key, entry)
        return key, entry

    def remove(self, key: bytes) -> None:
        entry = self._order.pop(key, None)
        if entry is not None:
            self.held -= self._size(key, entry)

    def keys(self) -> Iterator[bytes]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, key: bytes) -> bool:
        return self._order.peek(key) is not None

    def _held_by(self, key: bytes) -> int:
        entry = self._order.peek(key)
        return 0 if entry is None else self._size(key, entry)

    def _size(self, key: bytes, entry: Entry) -> int:
        return len(key) + len(entry[0]) + self.overhead


class TinyLfu:
    """A window of what is new, then what was asked for often enough to take another's place (W-TinyLFU).

    Moka alone lets nothing in that was not asked for before, which is best for scans and worst for what is asked
    for soon after it was stored; three tenths of the bytes for the window lose little of the one and mend the
    other (the hit ratios: tests/proxy/stores/test_policies.py). The window keeps all that comes, so a key that
    was just added is always there.
    """

    def __init__(self, limit: int, evictions: Evictions) -> None:
        self.overhead = _SETTLED
        self._evictions = evictions
        self._window_limit = limit * _WINDOW // 100
        self._main_limit = limit - self._window_limit
        self._window = Ranked(Recent(), self._window_limit, evictions, self.overhead)
        self._main: Moka[bytes, Entry] = Moka(
            self._main_limit, eviction_listener=self._left, weigher=self._size
        )
        # What Moka holds: it cannot list its keys, and tells of evictions whenever it gets round to them.
        self._settled: dict[bytes, Entry] = {}
        self._main_held = 0

    @property
    def held(self) -> int:
        return self._window.held + self._main_held

    def get(self, key: bytes) -> Entry | None:
        # Moka is asked in any case: what the window answers counts for the place that comes after it.
        settled = self._main.get(key)
        return self._window.get(key) or settled

    def put(self, key: bytes, entry: Entry) -> bool:
        size = self._size(key, entry)
        if size > self._main_limit:
            self.remove(key)
            return False
        if key in self._settled or size > self._window_limit:
            self._window.remove(key)
            return self._settle(key, entry)
        self._window.add(key, entry)
        while self._window.held > self._window_limit:
            self._settle(*self._window.pop_first())
        return True

    def remove(self, key: bytes) -> None:
        self._window.remove(key)
        if key in self._settled:
            self._main.remove(key)

    def keys(self) -> Iterator[bytes]:
        yield from self._window.keys()
        yield from self._settled

    def __len__(self) -> int:
        return len(self._window) + len(self._settled)

    def _settle(self, key: bytes, entry: Entry) -> bool:
        """Offer the entry to Moka; whether it was taken."""
        self._settled[key] = entry
        self._main_held += self._size(key, entry)
        if entry[1] == inf:
            self._main.set(key, entry)
        else:
            self._main.set(key, entry, min(max(entry[1] - monotonic(), 1e-6), _LONGEST))
        for _ in range(_ROUNDS):
            self._main.run_pending_tasks()
            if self._main_held <= self._main_limit:
                break
        return self._settled.get(key) is entry

    def _left(self, key: bytes, entry: Entry, cause: str) -> None:
        self._main_held -= self._size(key, entry)
        if self._settled.get(key) is entry:
            del self._settled[key]
        if cause != "explicit":
            self._evictions[cause] += 1

    def _size(self, key: bytes, entry: Entry) -> int:
        return len(key) + len(entry[0]) + self.overhead


# What an entry takes beside the bytes of key and value, measured with the dicts at their emptiest after growth:
# two bytes headers, a tuple, a float, the slots and nodes of the order, what Moka notes.
_RANKED: Final = 352
_COUNTED: Final = 512
_SETTLED: Final = 640

_WINDOW: Final = 30  # hundredths of the bytes
_LONGEST: Final = 10 * 365 * 86400.0  # Moka ends the process over a lifetime of more than 1,000 years
_ROUNDS: Final = 10_000  # of Moka's housekeeping, which evicts some hundreds of entries at a time

POLICIES: Final[dict[str, Callable[[int, Evictions], Policy]]] = {
    "tinylfu": TinyLfu,
    "lru": lambda limit, evictions: Ranked(Recent(), limit, evictions, _RANKED),
    "lfu": lambda limit, evictions: Ranked(Frequent(), limit, evictions, _COUNTED),
    "fifo": lambda limit, evictions: Ranked(Oldest(), limit, evictions, _RANKED),
}
