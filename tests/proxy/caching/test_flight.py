import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.caching.flight import GATED, LANDED, OVER, WAITING, Flight
from llmproxy.caching.flights import Flights
from llmproxy.caching.seats import Landed, Seat
from llmproxy.errors import GatewayError, UpstreamError
from llmproxy.messages import Reply
from llmproxy.testing import make_exchange

BROKEN = UpstreamError("upstream_reset", "It broke.", phase="headers", sent=True)


async def never() -> Reply:
    await asyncio.sleep(60)
    raise AssertionError


def seated(*, shareable: bool = True) -> Seat:
    return Seat(make_exchange(), never, lambda _: shareable)


@pytest.fixture
def flight() -> Flight:
    return Flight(Flights(), b"k", b"k")


async def test_a_whole_answer_lands_and_is_over(flight: Flight) -> None:
    leader, follower = seated(), seated()
    flight.lead(leader)
    flight.join(follower)
    flight.headed(leader, Reply(200, None, b"hello"))

    assert [(await seat.waiter).role for seat in (leader, follower)] == ["led", "joined"]  # type: ignore[union-attr]
    assert flight.state == OVER


async def test_a_stream_is_gated_until_its_first_piece(flight: Flight) -> None:
    leader, follower, source = seated(), seated(), Body()
    flight.lead(leader)
    flight.join(follower)
    flight.headed(leader, Reply(200, None, source))
    before = (flight.state, leader.waiter.done(), follower.waiter.done())
    source.feed(b"piece")
    landed = (flight.state, follower.waiter.done())
    source.end()

    assert before == (GATED, True, False)
    assert landed == (LANDED, True)
    assert flight.state == OVER


async def test_a_stream_that_ends_without_a_piece_lands(flight: Flight) -> None:
    leader, follower, source = seated(), seated(), Body()
    flight.lead(leader)
    flight.join(follower)
    flight.headed(leader, Reply(204, None, source))
    source.end()
    landed = await follower.waiter

    assert isinstance(landed, Landed)
    assert isinstance(landed.reply.body, Body)
    assert await landed.reply.body.read(1) == b""


async def test_a_failure_makes_the_next_one_lead_and_the_second_is_told(flight: Flight) -> None:
    leader, second, third = seated(), seated(), seated()
    flight.lead(leader)
    flight.join(second)
    flight.join(third)
    flight.failed(BROKEN)
    between = (flight.state, flight.cabin.leader, flight.failures)
    flight.failed(BROKEN)
    told = await third.waiter

    assert between == (WAITING, second, 1)
    assert isinstance(told, UpstreamError)
    assert told is not BROKEN
    assert flight.state == OVER


async def test_a_leader_without_followers_tells_only_itself(flight: Flight) -> None:
    leader = seated()
    flight.lead(leader)
    flight.failed(GatewayError(429, "quota", "Too much."))

    assert isinstance(await leader.waiter, GatewayError)
    assert flight.state == OVER


async def test_what_happens_when_it_is_over_changes_nothing(flight: Flight) -> None:
    leader, given_up = seated(), asyncio.Event()
    flight.lead(leader)
    flight.let_go()
    flight.failed(BROKEN)
    flight.headed(leader, Reply(200, None, Body(abandon=given_up.set)))
    flight.close()

    assert (flight.state, flight.failures, given_up.is_set()) == (OVER, 0, True)
