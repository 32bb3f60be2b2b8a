import asyncio

import pytest

from llmproxy.body import Body
from llmproxy.caching.seats import Answer, Cabin, Landed, Seat, discard
from llmproxy.messages import Reply


async def fetch() -> Reply:
    raise AssertionError


def tire(seat: Seat) -> None:
    seat.answer(None)


@pytest.fixture
def cabin() -> Cabin:
    return Cabin()


async def test_a_caller_is_told_once() -> None:
    seat = Seat()
    seat.answer(None)
    seat.answer(ValueError())

    assert await seat.waiter is None


async def test_what_is_meant_for_a_caller_that_has_left_is_given_up() -> None:
    seat, given_up = Seat(), asyncio.Event()
    seat.waiter.cancel()
    seat.answer(Landed(Reply(200, None, Body(abandon=given_up.set)), "joined"))

    assert given_up.is_set()


async def test_a_whole_reply_needs_no_giving_up() -> None:
    discard(Reply(200, None, b"whole"))


async def test_followers_are_promoted_in_the_order_they_came(cabin: Cabin) -> None:
    seats = [Seat(fetch=fetch) for _ in range(3)]
    for seat in seats:
        cabin.follow(seat, tire)
    seats[0].waiter.cancel()
    promoted = [cabin.promote(), cabin.promote()]

    assert promoted == seats[1:]
    assert cabin.leader is seats[2]


async def test_another_workers_seat_does_not_lead(cabin: Cabin) -> None:
    cabin.follow(Seat(), tire)

    assert cabin.promote() is None
    assert not cabin.empty


async def test_a_follower_tires_after_its_limit_unless_it_leads(cabin: Cabin) -> None:
    seats = [Seat(fetch=fetch, limit=0.01) for _ in range(2)]
    for seat in seats:
        cabin.follow(seat, tire)
    cabin.promote()
    await asyncio.sleep(0.03)

    assert [seat.waiter.done() for seat in seats] == [False, True]


async def test_a_leader_that_steps_back_is_the_first_follower(cabin: Cabin) -> None:
    leader, follower = Seat(fetch=fetch, limit=60), Seat(fetch=fetch)
    cabin.leader = leader
    cabin.follow(follower, tire)
    cabin.step_back(tire)
    cabin.step_back(tire)
    order = list(cabin.followers)
    leader.settle()
    leader.settle()

    assert order == [leader, follower]
    assert cabin.leader is None


async def test_who_was_told_no_longer_waits(cabin: Cabin) -> None:
    leader, follower, gone = Seat(), Seat(), Seat()
    cabin.leader = leader
    for seat in (follower, gone):
        cabin.follow(seat, tire)
    gone.waiter.cancel()
    asked: list[Seat] = []

    def answer(seat: Seat) -> Answer:
        asked.append(seat)
        return None

    cabin.tell_leader(None)
    cabin.tell_followers(answer)

    assert cabin.empty
    assert asked == [follower]
    assert leader.waiter.done()


async def test_who_is_removed_no_longer_waits(cabin: Cabin) -> None:
    leader, follower = Seat(), Seat()
    cabin.leader = leader
    cabin.follow(follower, tire)
    for seat in (leader, follower, follower):
        cabin.remove(seat)

    assert cabin.empty


async def test_the_answer_of_a_leader_who_has_left_is_given_up(cabin: Cabin) -> None:
    given_up = asyncio.Event()
    cabin.tell_leader(Landed(Reply(200, None, Body(abandon=given_up.set)), "led"))

    assert given_up.is_set()
