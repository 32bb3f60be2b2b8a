from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Mode, Rate, Verdict, Want, Window, sheltered


class Leaving(MemoryReservations):
    """Limits that are away when told to be."""

    away = False

    async def reserve(self, claim: Claim) -> Verdict:
        self.look()
        return await super().reserve(claim)

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        self.look()
        return await super().settle(claim, actual)

    def look(self) -> None:
        if self.away:
            raise StoreAway("gone")


def claim(name: int, mode: Mode) -> Claim:
    limits = (Lease(b"l", 8), Window(b"w", 8, 10**9 * SECOND), Rate(b"r", 8, 10**9 * SECOND, 8))
    return Claim(b"%d" % name, b"t", tuple(Want(limit, 1, mode) for limit in limits))


async def test_soft_limits_go_on_with_their_share_while_the_store_is_away() -> None:
    store, told = Leaving("memory://"), list[str]()
    kept = sheltered(store, 4, told.append)
    store.away = True
    granted = [(await kept.reserve(claim(number, "soft"))).granted for number in range(3)]

    assert granted == [True, True, False]
    assert await kept.settle(claim(0, "soft"), (1, 0, 1))
    assert kept.sheltered
    assert await kept.settle(claim(1, "soft"), (1, 0, 1))
    assert not kept.sheltered
    store.away = False
    assert (await kept.reserve(claim(5, "soft"))).standings[0].left == 7
    assert told == ["share"] * 3


async def test_hard_limits_are_closed_while_the_store_is_away() -> None:
    store, told = Leaving("memory://"), list[str]()
    kept = sheltered(store, 4, told.append)
    store.away = True

    with pytest.raises(StoreAway):
        await kept.reserve(claim(1, "hard"))
    assert told == ["closed"]


async def test_what_the_store_took_is_settled_and_renewed_there() -> None:
    store = Leaving("memory://")
    kept = sheltered(store, 4, lambda what: None)
    await kept.reserve(claim(1, "hard"))

    assert await kept.renew([claim(1, "hard")]) == 1
    assert await kept.settle(claim(1, "hard"), (1, 1, 1))
