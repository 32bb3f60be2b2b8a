import asyncio

import pytest

from llmproxy.caching import saving
from llmproxy.caching.flight import OVER, WAITING, Flight
from llmproxy.caching.flights import Flights
from llmproxy.caching.saving import save
from llmproxy.messages import StoredReply

STORED = StoredReply(200, (), b"hello")


@pytest.fixture
def flight() -> Flight:
    return Flight(Flights(), b"k", b"k")


def landed(flight: Flight) -> bool:
    """Whether who came before may look again."""
    return flight.flights.landings.since(flight.place, 0.001)


def test_what_is_kept_at_once_takes_no_waiting(flight: Flight) -> None:
    kept: list[StoredReply] = []

    assert save(flight, kept.append, STORED) is None
    assert kept == [STORED]
    assert (flight.state, landed(flight)) == (OVER, True)


async def test_a_flight_goes_on_until_its_answer_is_kept(flight: Flight) -> None:
    keeping = asyncio.get_running_loop().create_future()
    waiting = save(flight, lambda _: keeping, STORED)
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    before = (flight.state, landed(flight))
    keeping.set_result(None)
    await task

    assert before == (WAITING, False)
    assert (flight.state, landed(flight)) == (OVER, True)


async def test_a_flight_does_not_wait_for_ever(flight: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "PATIENCE", 0.01)
    keeping = asyncio.get_running_loop().create_future()
    waiting = save(flight, lambda _: keeping, STORED)
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0.03)
    before = flight.state
    keeping.set_result(None)
    await task

    assert before == OVER


def test_a_keeper_that_raises_ends_the_flight(flight: Flight) -> None:
    with pytest.raises(ZeroDivisionError):
        save(flight, lambda _: 1 // 0, STORED)  # type: ignore[arg-type, return-value]

    assert (flight.state, landed(flight)) == (OVER, False)
