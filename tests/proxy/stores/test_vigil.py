from __future__ import annotations

import asyncio

from llmproxy.stores import StoreAway
from llmproxy.stores.vigil import Vigil


class Server:
    """Something that is there or not, and counts who asks."""

    def __init__(self) -> None:
        self.there = False
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        if not self.there:
            raise StoreAway("gone")


async def test_one_failure_closes_it_for_all_until_it_has_answered_in_the_background() -> None:
    server = Server()
    vigil = Vigil(server.ask, 0.05, 0.1)
    assert vigil.admits()
    vigil.failed()
    vigil.failed()
    await asyncio.sleep(0.01)

    assert not vigil.admits()
    assert server.asked == 1
    server.there = True
    async with asyncio.timeout(5):
        while vigil.away:
            await asyncio.sleep(0.01)
    assert vigil.admits()
    await vigil.close()


async def test_an_answer_that_comes_late_does_not_open_it() -> None:
    vigil = Vigil(Server().ask, 0.05, 60)
    vigil.failed()
    vigil.succeeded()
    vigil.abandoned()

    assert not vigil.admits()
    await vigil.close()


async def test_it_goes_away_again_after_it_was_back() -> None:
    server = Server()
    server.there = True
    vigil = Vigil(server.ask, 0.0, 60)
    for _ in range(3):
        vigil.failed()
        assert vigil.away
        await asyncio.sleep(0.01)
        assert not vigil.away

    assert server.asked == 3
    await vigil.close()


async def test_while_others_are_answered_one_failure_only_makes_it_ask() -> None:
    server = Server()
    server.there = True
    vigil = Vigil(server.ask, 60, 60)
    vigil.succeeded()
    vigil.failed()

    assert vigil.admits()
    await asyncio.sleep(0.01)
    assert (vigil.admits(), server.asked) == (True, 1)
    server.there = False
    vigil.failed()
    await asyncio.sleep(0.01)
    assert not vigil.admits()
    await vigil.close()
