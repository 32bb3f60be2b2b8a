from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from llmproxy.plugin import StoreAway, reserving
from llmproxy.runtime import Gate, Runtime, Services
from llmproxy.testing import make_process
from llmproxy_quota import settling
from llmproxy_quota.settling import Settlements

CLAIM = reserving.Claim(b"1", b"t", (reserving.Want(reserving.Window(b"w", 9, 10), 5),))


class Kept:
    """Limits that are away so many times, then say whether they knew the claim."""

    def __init__(self, away: int, known: bool) -> None:
        self.away = away
        self.known = known
        self.heard: list[Sequence[int]] = []

    async def settle(self, claim: reserving.Claim, actual: Sequence[int]) -> bool:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise StoreAway("gone")
        self.heard.append(actual)
        return self.known


async def settled(kept: Kept, lease: float = 60.0, count: int = 1) -> int:
    """Settle, and return how many are lost."""
    runtime = Runtime("quota", make_process(), cast("Gate", None), Services())
    settlements = Settlements(cast("Any", kept), lease, runtime)
    for number in range(count):
        settlements.add(CLAIM, [number])
    await settlements.close()
    await runtime.close()
    return int(settlements.lost.value)


async def test_a_store_hears_what_a_claim_came_to() -> None:
    kept = Kept(away=0, known=True)

    assert await settled(kept) == 0
    assert kept.heard == [[0]]


async def test_it_hears_it_when_it_is_back() -> None:
    kept = Kept(away=2, known=True)

    assert await settled(kept) == 0
    assert kept.heard == [[0]]


async def test_what_it_heard_and_could_not_answer_is_not_lost() -> None:
    assert await settled(Kept(away=1, known=False)) == 0


@pytest.mark.parametrize(("away", "lease"), [(0, 60.0), (99, 0.01)])
async def test_what_has_ended_before_it_could_hear_is_told(away: int, lease: float) -> None:
    assert await settled(Kept(away, known=False), lease) == 1


async def test_no_more_than_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_MOST", 3)
    kept = Kept(away=0, known=True)

    assert await settled(kept, count=5) == 2
    assert len(kept.heard) == 3
