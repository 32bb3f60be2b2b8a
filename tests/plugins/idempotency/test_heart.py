from __future__ import annotations

from typing import Any

import pytest

from llmproxy.plugin import Clock, StoreAway
from llmproxy.stores import open_store
from llmproxy_idempotency.heart import Heart


class Hands(Clock):
    """A clock that is set by hand."""

    time = 0.0

    def __init__(self) -> None:
        self.now = lambda: self.time  # type: ignore[method-assign, assignment]


async def test_a_worker_lives_while_it_beats_and_no_longer() -> None:
    store = open_store("memory://")
    one, two = Heart(store, 10, Clock()), Heart(store, 10, Clock())

    assert await one.lives(one.owner)  # it asks nobody about itself
    assert not await two.lives(one.owner)
    await one.beat()
    assert await two.lives(one.owner)
    await one.stop()
    assert not await two.lives(one.owner)


async def test_two_lives_of_one_process_have_two_names() -> None:
    store = open_store("memory://")

    assert Heart(store, 10, Clock()).owner != Heart(store, 10, Clock()).owner


async def test_a_lease_is_renewed_in_its_second_half() -> None:
    beats: list[bytes] = []

    class Counting:
        async def set(self, key: bytes, value: bytes, ttl: float) -> bool:
            beats.append(key)
            return True

    clock, counting = Hands(), Any
    counting = Counting()
    heart = Heart(counting, 10, clock)
    for now in (0.0, 4.0, 6.0, 7.0):
        clock.time = now
        await heart.ensure()

    assert len(beats) == 2


async def test_a_store_that_takes_no_lease_is_away() -> None:
    store = open_store("memory://?max_bytes=1B")

    with pytest.raises(StoreAway):
        await Heart(store, 10, Clock()).beat()
