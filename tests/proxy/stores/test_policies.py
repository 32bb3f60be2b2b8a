"""Hit ratios of the policies on made traces; what the default is chosen by."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from functools import cache
from heapq import heappop, heappush
from itertools import accumulate
from random import Random

import pytest

from llmproxy.stores.memory import MemoryStore

Trace = list[int]


def zipf(rng: Random, count: int = 60_000, of: int = 20_000) -> Trace:
    """A few keys are asked for often, most hardly ever."""
    bounds = list(accumulate(1 / rank**0.9 for rank in range(1, of + 1)))
    keys = list(range(of))
    rng.shuffle(keys)
    return [keys[bisect(bounds, rng.random() * bounds[-1])] for _ in range(count)]


def scans(rng: Random) -> Trace:
    """Zipf, with long runs of keys that are asked for once in between."""
    trace: Trace = []
    for number, key in enumerate(zipf(rng)):
        trace.append(key)
        if number % 10_000 == 5_000:
            trace += range(10**7 + number, 10**7 + number + 5_000)
    return trace


def loop(_: Random) -> Trace:
    """The same keys in turn, more than there is room for."""
    return list(range(1500)) * 30


def bursts(rng: Random) -> Trace:
    """Keys that are asked for a few times soon after they are new, and never again, between those of a Zipf trace."""
    due: list[tuple[float, int]] = []
    trace: Trace = []
    for turn in range(40_000):
        if due and due[0][0] <= turn:
            trace.append(heappop(due)[1])
            continue
        trace.append(10**8 + turn)
        for _ in range(rng.randrange(4)):
            heappush(due, (turn + rng.expovariate(1 / 400), 10**8 + turn))
    return [key for pair in zip(trace, zipf(rng, 40_000), strict=True) for key in pair]


@cache
def hits(make: Callable[[Random], Trace], policy: str, *, mixed: bool) -> float:
    """Return the share of a trace that a store of about a thousand entries answers."""
    trace = make(Random(20))
    overhead = MemoryStore(policy=policy)._entries.overhead
    sizes = {key: Random(key).choice((200, 1000, 8000, 65_000)) if mixed else 2000 for key in set(trace)}
    store = MemoryStore(max_bytes=1000 * (overhead + sum(sizes.values()) // len(sizes)), policy=policy)
    blob = bytes(65_000)
    found = 0
    for key in trace:
        name = b"%d" % key
        if store.get_nowait(name) is None:
            store.set_nowait(name, blob[: sizes[key]])
        else:
            found += 1
    return found / len(trace)


@pytest.mark.parametrize("mixed", [False, True], ids=["one-size", "sizes-mixed"])
@pytest.mark.parametrize("make", [zipf, scans, loop])
def test_the_default_is_at_least_as_good_as_the_least_recently_used(
    make: Callable[[Random], Trace], *, mixed: bool
) -> None:
    assert hits(make, "tinylfu", mixed=mixed) >= hits(make, "lru", mixed=mixed)
    assert hits(make, "lru", mixed=mixed) >= hits(make, "fifo", mixed=mixed)


def test_sizes_that_differ_make_the_default_much_the_better() -> None:
    assert hits(zipf, "tinylfu", mixed=True) > 1.2 * hits(zipf, "lru", mixed=True)


def test_bursts_of_new_keys_cost_the_default_little_and_the_least_frequently_used_much() -> None:
    recent = hits(bursts, "lru", mixed=False)

    assert hits(bursts, "tinylfu", mixed=False) > 0.8 * recent
    assert hits(bursts, "lfu", mixed=False) < 0.8 * recent
