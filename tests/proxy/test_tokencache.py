"""A credential that expires, by a clock that stands still until it is told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import UpstreamError
from llmproxy.runtime import Clock
from llmproxy.tokencache import CredentialsAway, Granted, TokenCache


class Hands(Clock):
    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time


class Office:
    """Gives credentials that are numbered, or refuses while it is `closed`; answers when `door` is open."""

    def __init__(self, seconds=3600.0):
        self.seconds = seconds
        self.given = self.asked = self.together = 0
        self.closed = None
        self.same = False
        self.door = asyncio.Event()
        self.door.set()

    async def ask(self):
        self.asked += 1
        self.together += 1
        assert self.together == 1
        try:
            await self.door.wait()
        finally:
            self.together -= 1
        if self.closed is not None:
            raise self.closed
        self.given += not (self.same and self.given)
        return Granted(f"token-{self.given}", self.seconds)


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def office():
    return Office()


@pytest.fixture
def cache(office, clock):
    return TokenCache(office.ask, clock, whose="upstream 'x'")


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_credential_is_asked_for_once_by_all_who_come(cache, office):
    office.door.clear()
    waiting = [asyncio.ensure_future(cache.get()) for _ in range(20)]
    await settle()
    office.door.set()

    assert [await each for each in waiting] == ["token-1"] * 20
    assert office.asked == 1


async def test_who_leaves_does_not_end_the_asking_for_the_others(cache, office):
    office.door.clear()
    first, second = (asyncio.ensure_future(cache.get()) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    office.door.set()

    assert await second == "token-1"
    assert office.asked == 1


async def test_it_is_asked_for_anew_behind_the_backs_of_those_who_get_the_old_one(cache, office, clock):
    assert await cache.get() == "token-1"
    clock.time += 3600 - 301
    assert (cache.at_hand(), office.asked) == ("token-1", 1)

    clock.time += 2
    office.door.clear()
    assert [cache.at_hand() for _ in range(3)] == ["token-1"] * 3
    await settle()
    office.door.set()
    await settle()

    assert (cache.at_hand(), office.asked) == ("token-2", 2)


async def test_one_that_is_over_is_not_given(cache, office, clock):
    await cache.get()
    clock.time += 3591

    assert cache.at_hand() is None
    assert await cache.get() == "token-2"


async def test_one_without_end_is_asked_for_once(cache, office, clock):
    office.seconds = float("inf")
    await cache.get()
    clock.time += 1e9

    assert cache.at_hand() == "token-1"


async def test_while_asking_fails_the_old_one_is_given_as_long_as_it_lives(cache, office, clock):
    await cache.get()
    office.closed = CredentialsAway("the office is closed")
    clock.time += 3400
    for _ in range(50):
        assert await cache.get() == "token-1"
        await settle()
    assert office.asked == 2

    clock.time += 0.6
    await cache.get()
    await settle()
    assert office.asked == 3


async def test_where_there_is_none_callers_are_told_so_and_when_to_come_back(cache, office, clock):
    office.closed = CredentialsAway("the office is closed")
    for wait in (0.5, 1.0, 2.0):
        with pytest.raises(UpstreamError) as told:
            await cache.get()
        assert (told.value.status, told.value.code, told.value.sent) == (
            503,
            "credentials_unavailable",
            False,
        )
        with pytest.raises(UpstreamError):
            await cache.get()
        clock.time += wait
    assert office.asked == 3

    office.closed = None
    assert await cache.get() == "token-1"


async def test_the_wait_after_failures_grows_to_an_end(cache, office, clock):
    office.closed = OSError()
    for _ in range(40):
        with pytest.raises(UpstreamError) as told:
            await cache.get()
        clock.time += told.value.retry_after

    assert told.value.retry_after == 30.0


async def test_what_is_over_when_it_comes_is_none(cache, office):
    office.seconds = 0.0

    with pytest.raises(UpstreamError):
        await cache.get()
    assert office.asked == 1


async def test_an_office_that_does_not_answer_is_given_up(office, clock):
    cache = TokenCache(office.ask, clock, whose="x", within=0.01)
    office.door.clear()

    with pytest.raises(UpstreamError):
        await cache.get()


async def test_a_refused_one_is_renewed_once_for_all_it_was_refused_to(cache, office, clock):
    await cache.get()
    clock.time += 60

    assert await asyncio.gather(*(cache.renew() for _ in range(10))) == [True] * 10
    clock.time += 1
    assert await cache.renew()
    assert (await cache.get(), office.asked) == ("token-2", 2)


async def test_a_refusal_that_another_credential_would_not_help_is_told_once_a_second(cache, office, clock):
    office.same = True
    await cache.get()
    clock.time += 60

    assert not any([await cache.renew() for _ in range(10)])
    assert office.asked == 2
    clock.time += 1
    assert not await cache.renew()
    assert office.asked == 3


async def test_a_refusal_while_the_office_is_closed_leaves_the_old_one(cache, office, clock):
    await cache.get()
    office.closed = CredentialsAway("the office is closed")
    clock.time += 60

    assert not await cache.renew()
    assert await cache.get() == "token-1"


@given(st.floats(0.01, 1e6), st.floats(0.0, 2e6))
def test_whatever_its_life_it_is_never_given_at_its_end_or_after(seconds, later):
    clock = Hands()

    async def run():
        office = Office(seconds)
        cache = TokenCache(office.ask, clock, whose="x")
        assert await cache.get() == "token-1"
        clock.time += later
        given_again = cache.at_hand()
        assert given_again is None or later < seconds
        assert given_again is not None or later >= seconds * 0.9
        await settle()

    asyncio.run(run())


def test_neither_name_nor_error_shows_a_credential(cache):
    assert repr(cache) == "<TokenCache of upstream 'x'>"
