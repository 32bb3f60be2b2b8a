from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmproxy.plugin import Body
from llmproxy.tasks import spawn
from llmproxy_idempotency.relay import Relay


class Source:
    """An upstream's body, with its switches written down, and what the relay told of the end."""

    def __init__(self, limit: int = 100) -> None:
        self.switched: list[str] = []
        self.told: list[tuple[bytes | None, BaseException | None]] = []
        self.may_conclude = asyncio.Event()
        self.may_conclude.set()
        self.body = Body(
            *[lambda word=word: self.switched.append(word) for word in ("pause", "resume", "abandon")]
        )
        self.relay = Relay(self.body, limit, self._ended, lambda work: spawn(work, name="test"))

    async def _ended(self, whole: bytes | None, error: BaseException | None) -> None:
        await self.may_conclude.wait()
        self.told.append((whole, error))


class Caller:
    def __init__(self) -> None:
        self.got = b""
        self.end_seen: Any = None

    def feed(self, data: bytes) -> None:
        self.got += data

    def end(self) -> None:
        self.end_seen = True

    def fail(self, error: BaseException) -> None:
        self.end_seen = error


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_passes_on_and_records() -> None:
    source, caller = Source(), Caller()
    source.body.feed(b"one ")
    source.relay.out.attach(caller)
    source.body.feed(b"two")
    source.body.end()
    await settle()

    assert caller.got == b"one two"
    assert caller.end_seen is True
    assert source.told == [(b"one two", None)]


async def test_the_caller_learns_of_the_end_when_it_is_written_down() -> None:
    source, caller = Source(), Caller()
    source.may_conclude.clear()
    source.relay.out.attach(caller)
    source.body.feed(b"all")
    source.body.end()
    await settle()
    assert caller.end_seen is None

    source.may_conclude.set()
    await settle()
    assert caller.end_seen is True


async def test_what_came_before_it_is_passed_on_too() -> None:
    body, told, caller = Body(), [], Caller()
    body.feed(b"early")
    body.end()

    async def ended(whole: bytes | None, error: BaseException | None) -> None:
        told.append(whole)

    Relay(body, 100, ended, lambda work: spawn(work, name="test")).out.attach(caller)
    await settle()

    assert (caller.got, caller.end_seen, told) == (b"early", True, [b"early"])


async def test_a_break_is_told_to_both() -> None:
    source, caller = Source(), Caller()
    fault = ConnectionResetError("gone")
    source.relay.out.attach(caller)
    source.body.feed(b"half")
    source.body.fail(fault)
    await settle()

    assert source.told == [(None, fault)]
    assert caller.end_seen is fault


async def test_a_caller_that_leaves_changes_nothing() -> None:
    source, caller = Source(), Caller()
    source.relay.out.attach(caller)
    source.body.feed(b"one ")
    source.relay.out.pause(caller)
    source.relay.out.detach(caller)
    source.body.feed(b"two")
    source.body.end()
    await settle()

    assert source.switched == ["pause", "resume"]
    assert caller.got == b"one "
    assert source.told == [(b"one two", None)]


async def test_a_caller_that_never_came_changes_nothing() -> None:
    source = Source(limit=1 << 20)
    source.body.feed(b"x" * 100_000)
    assert source.switched == ["pause"]
    source.relay.leave_unless_wanted()
    source.body.feed(b"y")
    source.body.end()
    await settle()

    assert source.switched == ["pause", "resume"]
    assert source.told == [(b"x" * 100_000 + b"y", None)]


async def test_what_is_too_long_is_passed_on_and_not_recorded() -> None:
    source, caller = Source(limit=3), Caller()
    source.relay.out.attach(caller)
    source.body.feed(b"four")
    source.body.end()
    await settle()

    assert (caller.got, source.told) == (b"four", [(None, None)])


async def test_given_up_it_closes_the_upstream() -> None:
    source = Source()
    source.relay.leave()
    source.relay.give_up()

    assert source.switched == ["abandon"]


@pytest.mark.parametrize("error", [None, ConnectionError("cut")])
async def test_a_record_that_fails_still_lets_the_caller_go(error: Exception | None) -> None:
    body, caller = Body(), Caller()

    async def ended(whole: bytes | None, error: BaseException | None) -> None:
        raise KeyError("a fault")

    relay = Relay(body, 9, ended, lambda work: spawn(work, name="test"))
    relay.out.attach(caller)
    if error is None:
        body.end()
    else:
        body.fail(error)
    await settle()

    assert caller.end_seen is (error or True)
