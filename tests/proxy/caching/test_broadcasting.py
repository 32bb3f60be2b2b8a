import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.caching.broadcasting import Broadcast
from llmproxy.caching.flight import GATED, LANDED, OVER, WAITING, Flight
from llmproxy.caching.flights import Flights
from llmproxy.caching.seats import Seat
from llmproxy.caching.sharing import Shared
from llmproxy.messages import StoredReply
from llmproxy.testing import make_exchange

HEAD = StoredReply(200, [(b"etag", b"1")], b"")


class Aired:
    """A flight whose answer is on the air."""

    def __init__(self, limit: int = 100, leader: Seat | None = None) -> None:
        self.kept: list[StoredReply] = []
        self.given_up = 0
        self.source = Body(abandon=self.give_up)
        self.flight = Flight(Flights(limit=limit), b"k", b"k")
        tape = Broadcast(self.flight, self.source, HEAD, leader, self.kept.append).tape
        self.flight.shared = Shared(HEAD, tape, leader)
        self.flight.state = GATED
        self.reader = tape.reader()
        tape.record()

    def give_up(self) -> None:
        self.given_up += 1


@pytest.fixture
async def aired() -> Aired:
    return Aired()


async def saved() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_whole_stream_is_kept_with_its_head(aired: Aired) -> None:
    aired.source.feed(b"one")
    began = aired.flight.state
    aired.source.end()
    await saved()

    assert (began, aired.flight.state) == (LANDED, OVER)
    assert [(reply.status, reply.headers, reply.body) for reply in aired.kept] == [
        (200, HEAD.headers, b"one")
    ]


@pytest.mark.parametrize("piece", [b"", b"one"])
async def test_a_broken_stream_is_never_kept(aired: Aired, piece: bytes) -> None:
    aired.source.feed(piece)
    aired.source.fail(ConnectionError("cut"))
    await saved()

    assert (aired.kept, aired.flight.state) == ([], OVER)


async def test_a_stream_that_breaks_before_output_is_somebody_elses_to_try(aired: Aired) -> None:
    async def never() -> None:
        await asyncio.sleep(60)

    follower = Seat(make_exchange(), never)  # type: ignore[arg-type]
    aired.flight.join(follower)
    aired.source.fail(ConnectionError("cut"))

    assert (aired.flight.state, aired.flight.cabin.leader) == (WAITING, follower)
    aired.flight.abandon()


async def test_one_that_is_too_large_is_over_for_those_who_come(aired: Aired) -> None:
    aired.source.feed(b"x" * 101)
    aired.source.end()
    await saved()

    assert (aired.kept, aired.flight.state) == ([], OVER)
    assert await aired.reader.read(1000) == b"x" * 101


async def test_one_that_its_provider_ended_with_an_error_is_not_kept() -> None:
    exchange = make_exchange()
    aired = Aired(leader=Seat(exchange))
    aired.source.feed(b"event: error")
    exchange.outcome.error = "overloaded"
    aired.source.end()
    await saved()

    assert (aired.kept, aired.flight.state) == ([], OVER)


async def test_it_is_given_up_when_nobody_reads_it_or_waits_for_it(aired: Aired) -> None:
    aired.flight.cabin.follow(waiting := Seat(), lambda _: None)
    aired.reader.abandon()
    before = aired.given_up
    aired.flight.cabin.remove(waiting)
    aired.flight.stay_if_wanted()

    assert (before, aired.given_up) == (0, 1)
    assert aired.flight.state == OVER
