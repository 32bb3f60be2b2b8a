"""A kept stream at the pace at which it came."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.replaying import LONGEST, MOST, BadPace, Pace, replay
from llmproxy.messages import StoredReply
from llmproxy.runtime import Clock


class Hand(Clock):
    """A clock that stands still but where somebody waits on it."""

    def __init__(self) -> None:
        self.time = 100.0
        self.waits: list[float] = []
        self.now = lambda: self.time  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.time += seconds
        await asyncio.sleep(0)


def noted(*pieces: tuple[float, bytes]) -> tuple[bytes, StoredReply]:
    clock = Hand()
    pace = Pace(clock.now)
    for delay, data in pieces:
        clock.time += delay
        pace.feed(data)
    pace.end()
    fields = [(b"Content-Type", b"text/event-stream"), (b"Content-Length", b"9")]
    return pace.pack(), StoredReply(200, fields, b"".join(data for _, data in pieces))


async def taken(reply) -> list[bytes]:
    return [piece async for piece in reply.body.pieces()]


async def test_pieces_leave_as_they_came():
    pace, stored = noted((3.0, b"a"), (0.5, b"bc"), (0.25, b"d"))
    clock = Hand()
    pieces = await taken(replay(stored, pace, clock=clock))

    assert pieces == [b"a", b"bc", b"d"]
    assert clock.waits == [0.5, 0.25]


async def test_twice_the_speed_is_half_the_wait():
    pace, stored = noted((0, b"a"), (0.5, b"b"))
    clock = Hand()
    await taken(replay(stored, pace, speed=2, clock=clock))

    assert clock.waits == [0.25]


async def test_what_came_within_a_millisecond_leaves_as_one_piece():
    pace, stored = noted((0, b"a"), (0, b"b"), (0.2, b"c"), (0.0001, b"d"))

    assert await taken(replay(stored, pace, clock=Hand())) == [b"ab", b"cd"]


async def test_a_provider_that_stalled_is_not_waited_for_as_long():
    pace, stored = noted((0, b"a"), (300, b"b"), (1, b"c"))
    clock = Hand()
    await taken(replay(stored, pace, clock=clock))

    assert clock.waits == [LONGEST, 1]


async def test_the_length_of_a_replay_is_not_told_beforehand():
    pace, stored = noted((0, b"a"))
    reply = replay(stored, pace, clock=Hand())

    assert "content-length" not in reply.headers
    assert reply.headers.get("content-type") == "text/event-stream"
    assert await taken(reply) == [b"a"]


async def test_another_form_leaves_event_by_event_as_far_as_the_first_had_come():
    pace, _ = noted((0, b"x" * 10), (1, b"x" * 10), (1, b"x" * 20))
    other = StoredReply(200, (), b"data: 1\n\n" * 4)
    clock = Hand()
    pieces = await taken(replay(other, pace, clock=clock))

    assert b"".join(pieces) == other.body
    assert clock.waits == [1, 1]


async def test_a_caller_who_leaves_ends_the_replay():
    pace, stored = noted((0, b"a"), (60, b"b"))
    clock = Clock()
    reply = replay(stored, pace, clock=clock)
    pieces = reply.body.pieces()

    assert await anext(pieces) == b"a"
    await pieces.aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert isinstance(reply.body.error, ConnectionAbortedError)


async def test_a_caller_who_takes_slowly_holds_the_replay():
    pace, stored = noted((0, b"a"), (0.01, b"b"), (0.01, b"c"))
    clock = Hand()
    reply = replay(stored, pace, clock=clock)
    pieces = reply.body.pieces()
    first = await anext(pieces)
    for _ in range(5):
        await asyncio.sleep(0)

    assert first == b"a"
    assert len(clock.waits) <= 2
    assert [piece async for piece in pieces] in ([b"b", b"c"], [b"bc"])


@given(st.lists(st.tuples(st.floats(0, 3), st.binary(min_size=1, max_size=300)), max_size=30))
def test_a_pace_adds_up_to_the_body(pieces):
    pace, stored = noted(*pieces)

    async def told() -> bytes:
        return b"".join(await taken(replay(stored, pace, clock=Hand())))

    assert asyncio.run(told()) == stored.body
    assert len(pace) <= 1 + 5 * max(1, len(pieces))


def test_however_many_pieces_come_a_bounded_number_is_noted():
    clock = Hand()
    pace = Pace(clock.now)
    for _ in range(5 * MOST):
        clock.time += 0.003
        pace.feed(b"piece")

    assert len(pace.pack()) <= 4 * MOST


@given(st.binary(max_size=40))
def test_whatever_else_a_store_gives_is_no_pace_or_is_fitted(data):
    stored = StoredReply(200, (), b"data: 1\n\ndata: 2\n\n")

    async def told() -> bytes:
        return b"".join(await taken(replay(stored, data, clock=Hand())))

    with suppress(BadPace):
        assert asyncio.run(told()) == stored.body


def test_a_pace_that_is_cut_is_refused():
    with pytest.raises(BadPace):
        replay(StoredReply(200, (), b"a"), b"\x01\x80", clock=Hand())
