import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from llmproxy.bus import Peer
from llmproxy.caching.flights import Flights
from llmproxy.caching.landings import Landings
from llmproxy.caching.seats import Landed
from llmproxy.caching.tailing import Fault, Frame, GoAlone, Head, LookAgain, WorkerGone, encode
from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.testing import make_exchange

OTHER = Peer(1, 4242)
HEAD = Head(200, (), False, True, b"", False, "", None)


class Host:
    """Claims that go as the test says: each word of `script` is what one look finds."""

    def __init__(self, *script: Frame | bool) -> None:
        self.script = list(script)
        self.landings = Landings()
        self.body: list[bytes] = []
        self.released = 0

    def answer(self, name: str, tail: Any) -> Any:
        return lambda: None

    def claim(self, place: int) -> bool:
        return not self.script or (isinstance(self.script[0], bool) and self.script.pop(0) is True)

    def release(self, place: int) -> None:
        self.released += 1

    def holder(self, place: int) -> Peer | None:
        return OTHER if self.script and not isinstance(self.script[0], bool) else None

    async def follow(self, peer: Peer, name: str, key: bytes) -> AsyncGenerator[bytes, None]:
        told = self.script.pop(0)
        assert not isinstance(told, bool)
        yield encode(told)
        for piece in self.body:
            if piece == b"gone":
                raise WorkerGone
            yield b"\0" + piece


async def run(host: Host, count: int = 2) -> list[Landed | BaseException]:
    """Let so many callers run; return what each got, and how often the upstream was asked."""
    flights = Flights("test", host)  # type: ignore[arg-type]

    async def fetch() -> Reply:
        return Reply(200, None, b"own")

    calls = [
        asyncio.ensure_future(flights.run(b"k", make_exchange(), fetch, shareable=lambda _: True))
        for _ in range(count)
    ]
    await asyncio.wait(calls)
    return [call.exception() or call.result() for call in calls]


def told(answers: list[Landed | BaseException]) -> list[tuple[str, bytes]]:
    return [(each.role, each.reply.body) for each in answers if isinstance(each, Landed)]  # type: ignore[misc]


async def test_with_the_claim_the_call_is_made_here_and_the_claim_given_back() -> None:
    host = Host(True)

    assert told(await run(host)) == [("led", b"own"), ("joined", b"own")]
    assert host.released == 1


async def test_another_workers_answer_is_everybodys_here() -> None:
    host = Host(HEAD)
    host.body = [b"the", b"irs"]

    assert told(await run(host)) == [("joined", b"theirs")] * 2
    assert host.released == 0


async def test_another_workers_failure_is_everybodys_here() -> None:
    errors = await run(Host(Fault("GatewayError", 504, "late", "Too late.")), 3)

    assert [str(error) for error in errors] == ["Too late."] * 3
    assert len({id(error) for error in errors}) == 3
    assert all(isinstance(error, GatewayError) for error in errors)


async def test_what_another_worker_may_not_share_is_fetched_by_each() -> None:
    assert told(await run(Host(GoAlone()))) == [("alone", b"own")] * 2


@pytest.mark.parametrize("again", [LookAgain(), LookAgain(1)])
async def test_a_flight_that_is_over_there_takes_off_here(again: LookAgain) -> None:
    host = Host(again, LookAgain(), True)

    assert told(await run(host)) == [("led", b"own"), ("joined", b"own")]
    assert host.released == 1


async def test_a_worker_that_goes_in_the_middle_of_a_whole_answer_is_one_that_has_not_answered() -> None:
    host = Host(HEAD, True)
    host.body = [b"half", b"gone"]

    assert told(await run(host)) == [("led", b"own"), ("joined", b"own")]


async def test_a_claim_that_is_not_to_be_had_from_nobody_is_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llmproxy.caching.piloting._PATIENCE", (0.0, 0.0))
    host = Host(*[False] * 10)

    assert told(await run(host)) == [("led", b"own"), ("joined", b"own")]
    assert host.released == 0
