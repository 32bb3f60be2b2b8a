import asyncio
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.caching.flights import Flights
from llmproxy.caching.missmemory import MissMemory
from llmproxy.caching.seats import Landed, discard
from llmproxy.errors import GatewayError, ProviderError, UpstreamError
from llmproxy.exchange import Attempt, Endpoint, Exchange
from llmproxy.messages import Headers, Reply, StoredReply
from llmproxy.runtime import Runtime, Services
from llmproxy.testing import make_exchange, make_process

KEY = b"k"


def upstream_error(code: str = "upstream_reset") -> UpstreamError:
    return UpstreamError(code, "It broke.", phase="headers", sent=True)


class Upstream:
    """What callers fetch from: each call waits until the test answers it."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Reply]] = []
        self.cancelled = 0
        self.kept: list[StoredReply] = []
        self.keeping: asyncio.Future[None] | None = None
        self.abandoned = 0

    async def fetch(self) -> Reply:
        call = asyncio.get_running_loop().create_future()
        self.calls.append(call)
        try:
            return await call
        except asyncio.CancelledError:
            self.cancelled += 1
            if not call.cancelled() and call.exception() is None:
                discard(call.result())  # as a connection does
            raise

    def keep(self, reply: StoredReply) -> asyncio.Future[None] | None:
        self.kept.append(reply)
        return self.keeping

    def answer(
        self, body: bytes | Body = b"hello", status: int = 200, call: int = -1, **headers: str
    ) -> None:
        self.calls[call].set_result(Reply(status, Headers.of(headers), body))

    def fail(self, error: BaseException, call: int = -1) -> None:
        self.calls[call].set_exception(error)

    def stream(self) -> Body:
        """Answer with a stream that the test feeds."""

        def abandon() -> None:
            self.abandoned += 1
            body.fail(ConnectionAbortedError("given up"))

        body = Body(abandon=abandon)
        self.answer(body)
        return body


class Site:
    """Flights, an upstream, and callers."""

    def __init__(self, **how: Any) -> None:
        self.upstream = Upstream()
        self.flights = Flights(**how)
        self.shareable = True
        self.how: dict[str, Any] = {}

    def caller(self, key: bytes = KEY, exchange: Exchange | None = None, **how: Any) -> asyncio.Task[Landed]:
        return asyncio.ensure_future(
            self.flights.run(
                key,
                exchange or make_exchange(),
                self.upstream.fetch,
                **{"shareable": lambda _: self.shareable, "keep": self.upstream.keep, **self.how, **how},
            )
        )

    async def callers(self, count: int, **how: Any) -> list[asyncio.Task[Landed]]:
        tasks = [self.caller(**how) for _ in range(count)]
        await turn()
        return tasks


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(12):
        await asyncio.sleep(0)


async def body_of(landed: Landed) -> bytes:
    body = landed.reply.body
    return await body.read(1 << 30) if isinstance(body, Body) else body


async def ends_of(tasks: list[asyncio.Task[Landed]]) -> list[Any]:
    """Return each caller's body, or what it was raised."""
    await asyncio.wait(tasks)
    return [
        f"{type(task.exception()).__name__}: {task.exception()}"
        if task.exception()
        else (await body_of(task.result())).decode()
        for task in tasks
    ]


def roles(tasks: list[asyncio.Task[Landed]]) -> list[str]:
    return [task.result().role for task in tasks]


@pytest.fixture
def site() -> Site:
    return Site()


# One call for all.


async def test_callers_in_the_air_together_make_one_call(site: Site) -> None:
    tasks = await site.callers(500)
    site.upstream.answer(b"hello", etag="1")
    ends = await ends_of(tasks)

    assert len(site.upstream.calls) == 1
    assert ends == ["hello"] * 500
    assert roles(tasks) == ["led"] + ["joined"] * 499
    assert (site.flights.led, site.flights.joined, site.flights.alone) == (1, 499, 0)
    assert len(site.flights) == 0


async def test_what_one_caller_does_with_its_headers_the_others_do_not_see(site: Site) -> None:
    tasks = await site.callers(3)
    site.upstream.answer(etag="1")
    await asyncio.wait(tasks)
    for number, task in enumerate(tasks):
        task.result().reply.headers.set("age", str(number))

    assert [task.result().reply.headers.get("age") for task in tasks] == ["0", "1", "2"]
    assert site.upstream.kept[0].headers == ((b"etag", b"1"),)


async def test_other_keys_and_other_epochs_make_calls_of_their_own(site: Site) -> None:
    _ = [
        site.caller(),
        site.caller(b"other"),
        site.caller(epoch=1),
        site.caller(epoch=2),
        site.caller(epoch=2),
    ]
    await turn()

    assert len(site.upstream.calls) == 4


async def test_a_stream_is_replayed_and_then_tailed(site: Site) -> None:
    first = site.caller()
    await turn()
    source = site.upstream.stream()
    source.feed(b"one ")
    leader = asyncio.ensure_future(body_of(await first))
    await turn()
    source.feed(b"two ")
    late = asyncio.ensure_future(body_of(await site.caller()))
    await turn()
    source.feed(b"three")
    source.end()

    assert await leader == await late == b"one two three"
    assert site.upstream.kept[0].body == b"one two three"


async def test_who_comes_next_finds_it_stored(site: Site) -> None:
    site.upstream.keeping = asyncio.get_running_loop().create_future()
    tasks = await site.callers(2)
    site.upstream.answer()
    await asyncio.wait(tasks)
    while_kept = await site.caller()
    site.upstream.keeping.set_result(None)
    await turn()
    _ = site.caller()
    await turn()

    assert while_kept.role == "joined"
    assert len(site.upstream.calls) == 2


async def test_the_answer_of_a_store_that_hangs_is_not_joined_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmproxy.caching.saving.PATIENCE", 0.01)
    site.upstream.keeping = asyncio.get_running_loop().create_future()
    tasks = await site.callers(1)
    site.upstream.answer()
    await asyncio.wait(tasks)
    await asyncio.sleep(0.03)
    _ = site.caller()
    await turn()

    assert len(site.upstream.calls) == 2


async def test_a_stream_is_kept_before_its_flight_ends(site: Site) -> None:
    site.upstream.keeping = asyncio.get_running_loop().create_future()
    first = site.caller()
    await turn()
    source = site.upstream.stream()
    source.feed(b"whole")
    source.end()
    await turn()
    joined = await site.caller()
    site.upstream.keeping.set_result(None)
    await turn()

    assert await body_of(joined) == await body_of(await first) == b"whole"
    assert len(site.flights) == 0


async def test_a_stream_that_ended_with_its_providers_error_is_not_kept(site: Site) -> None:
    exchange = make_exchange()
    first = site.caller(exchange=exchange)
    await turn()
    source = site.upstream.stream()
    source.feed(b"event: error")
    exchange.outcome.error = "overloaded"
    source.end()
    await turn()

    assert await body_of(await first) == b"event: error"
    assert site.upstream.kept == []
    assert len(site.flights) == 0


async def test_a_store_that_raises_ends_the_flight_all_the_same(site: Site) -> None:
    def keep(reply: StoredReply) -> None:
        raise RuntimeError("disk")

    for body in (b"whole", None):
        task = site.caller(keep=keep)
        await turn()
        if body is None:
            source = site.upstream.stream()
            source.feed(b"streamed")
            source.end()
        else:
            site.upstream.answer(body)
        await turn()

        assert (await task).role == "led"
        assert len(site.flights) == 0


# Callers that leave.


async def test_the_leader_leaving_harms_nobody(site: Site) -> None:
    tasks = await site.callers(3)
    tasks[0].cancel()
    await turn()
    site.upstream.answer()
    ends = await ends_of(tasks[1:])

    assert ends == ["hello"] * 2
    assert (len(site.upstream.calls), site.upstream.cancelled) == (1, 0)
    assert len(site.upstream.kept) == 1


async def test_the_call_is_cancelled_when_the_last_one_leaves(site: Site) -> None:
    tasks = await site.callers(3)
    for task in tasks:
        assert site.upstream.cancelled == 0
        task.cancel()
        await turn()

    assert site.upstream.cancelled == 1
    assert len(site.flights) == 0


async def test_a_stream_is_given_up_when_its_last_reader_leaves(site: Site) -> None:
    tasks = await site.callers(2)
    source = site.upstream.stream()
    source.feed(b"piece")
    first, second = [(await task).reply.body for task in tasks]
    assert isinstance(first, Body)
    assert isinstance(second, Body)
    first.abandon()
    source.feed(b"more")
    before = site.upstream.abandoned
    second.abandon()

    assert (before, site.upstream.abandoned) == (0, 1)
    assert len(site.flights) == 0
    assert site.upstream.kept == []


async def test_a_leader_that_leaves_its_stream_before_output_leaves_it_to_the_followers(site: Site) -> None:
    tasks = await site.callers(2)
    source = site.upstream.stream()
    leading = (await tasks[0]).reply.body
    assert isinstance(leading, Body)
    leading.abandon()
    source.feed(b"output")
    source.end()

    assert await ends_of(tasks[1:]) == ["output"]
    assert site.upstream.abandoned == 0


async def test_a_stream_that_nobody_waits_for_any_more_is_given_up_before_output(site: Site) -> None:
    tasks = await site.callers(2)
    tasks[0].cancel()
    await turn()
    site.upstream.stream()
    await turn()
    before = site.upstream.abandoned
    tasks[1].cancel()
    await turn()

    assert (before, site.upstream.abandoned) == (0, 1)
    assert len(site.flights) == 0


async def test_a_stream_that_begins_as_the_last_one_leaves_is_given_up(site: Site) -> None:
    tasks = await site.callers(2)
    tasks[0].cancel()
    await turn()
    source = site.upstream.stream()
    await turn()
    tasks[1].cancel()
    source.feed(b"output")
    await turn()

    assert site.upstream.abandoned == 1
    assert len(site.flights) == 0


@pytest.mark.parametrize("turns", range(5))
async def test_a_caller_that_leaves_as_its_answer_comes_gives_it_up(site: Site, turns: int) -> None:
    tasks = await site.callers(1)
    site.upstream.stream()
    for _ in range(turns):
        await asyncio.sleep(0)
    tasks[0].cancel()
    await turn()

    assert not tasks[0].cancelled() or site.upstream.abandoned + site.upstream.cancelled == 1


async def test_an_answer_that_comes_after_all_have_left_is_given_up(site: Site) -> None:
    gate = asyncio.Event()
    left = Body(abandon=gate.set)

    async def stubborn() -> Reply:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return Reply(200, None, left)
        raise AssertionError

    task = asyncio.ensure_future(
        site.flights.run(KEY, make_exchange(), stubborn, shareable=lambda _: True, keep=None)
    )
    await turn()
    task.cancel()
    await turn()

    assert gate.is_set()


async def test_an_attempt_whose_call_is_given_up_is_given_up_too(site: Site) -> None:
    exchange = make_exchange()
    given_up = asyncio.Event()

    async def fetch() -> Reply:
        attempt = Attempt(1, Endpoint("up"), 0.0)
        attempt.body = Body(abandon=given_up.set)
        exchange.attempts.append(attempt)
        await asyncio.sleep(30)
        raise AssertionError

    task = asyncio.ensure_future(site.flights.run(KEY, exchange, fetch, shareable=lambda _: True))
    await turn()
    task.cancel()
    await turn()

    assert given_up.is_set()


# Leaders that fail.


@pytest.mark.parametrize("fault", [GatewayError(429, "quota", "Too much."), asyncio.CancelledError()])
async def test_a_leader_that_fails_for_its_own_reasons_hands_over(site: Site, fault: BaseException) -> None:
    tasks = await site.callers(4)
    for _ in range(3):
        site.upstream.fail(fault)
        await turn()
    site.upstream.answer()
    last = await tasks[3]

    assert len(site.upstream.calls) == 4
    assert [task.done() and (task.cancelled() or task.exception() is not None) for task in tasks[:3]] == [
        True
    ] * 3
    assert last.role == "led"
    assert site.flights.handed_over == 3


@pytest.mark.parametrize(
    "fault",
    [
        upstream_error(),
        ProviderError(401, "invalid_api_key", "No.", kind="authentication", param="key"),
        GatewayError(502, "plugin_failed", "It failed."),
        ValueError("a bug"),
    ],
)
async def test_an_upstream_that_fails_is_tried_once_more_for_all_not_for_each(
    site: Site, fault: Exception
) -> None:
    tasks = await site.callers(500)
    site.upstream.fail(fault)
    await turn()
    site.upstream.fail(fault)
    ends = await ends_of(tasks)
    errors = [task.exception() for task in tasks]

    assert len(site.upstream.calls) == 2
    assert ends == [f"{type(fault).__name__}: {fault}"] * 500
    assert len({id(error) for error in errors[1:]}) == 499
    assert all(vars(error or fault) == vars(fault) for error in errors)
    assert len(site.flights) == 0


async def test_the_second_try_serves_all_who_wait(site: Site) -> None:
    tasks = await site.callers(4)
    site.upstream.fail(upstream_error())
    await turn()
    site.upstream.answer()

    assert await ends_of(tasks) == ["UpstreamError: It broke."] + ["hello"] * 3
    assert roles(tasks[1:]) == ["led", "joined", "joined"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_reply_that_says_the_upstream_cannot_is_a_failure(
    site: Site, status: int, streamed: bool
) -> None:
    site.shareable = False
    tasks = await site.callers(5)
    for text in (b"first", b"second"):
        body: bytes | Body = text
        if streamed:
            body = Body()
            body.feed(text)
            body.end()
        site.upstream.answer(body, status)
        await turn()
    ends = await ends_of(tasks)

    assert len(site.upstream.calls) == 2
    assert ends == ["first"] + ["second"] * 4
    assert [task.result().reply.status for task in tasks] == [status] * 5
    assert (site.upstream.kept, KEY in site.flights.misses, len(site.flights)) == ([], False, 0)


async def test_a_shareable_error_is_an_answer_like_any_other(site: Site) -> None:
    tasks = await site.callers(5)
    site.upstream.answer(b"gone wrong", 500)

    assert await ends_of(tasks) == ["gone wrong"] * 5
    assert len(site.upstream.calls) == 1


async def test_a_stream_that_breaks_off_before_output_is_handed_over(site: Site) -> None:
    tasks = await site.callers(3)
    first = site.upstream.stream()
    await turn()
    first.fail(upstream_error())
    await turn()
    second = site.upstream.stream()
    second.feed(b"hello")
    second.end()

    with pytest.raises(UpstreamError):
        await body_of(await tasks[0])
    assert await ends_of(tasks[1:]) == ["hello"] * 2


async def test_a_stream_that_has_broken_off_already_raises(site: Site) -> None:
    tasks = await site.callers(2)
    for _ in range(2):
        body = Body()
        body.fail(upstream_error())
        site.upstream.answer(body)
        await turn()

    assert await ends_of(tasks) == ["UpstreamError: It broke."] * 2


async def test_a_stream_that_breaks_off_in_the_middle_fails_all_its_readers(site: Site) -> None:
    tasks = await site.callers(3)
    source = site.upstream.stream()
    source.feed(b"half")
    readers = [asyncio.ensure_future(body_of(await task)) for task in tasks]
    await turn()
    fault = upstream_error()
    source.fail(fault)
    await asyncio.wait(readers)

    assert [reader.exception() for reader in readers] == [fault] * 3
    assert site.upstream.kept == []
    assert len(site.flights) == 0


async def test_a_judgement_that_raises_is_the_failure_of_its_caller(site: Site) -> None:
    task = site.caller(shareable=lambda _: 1 // 0)
    await turn()
    body = site.upstream.stream()

    with pytest.raises(ZeroDivisionError):
        await task
    assert body.error is not None
    assert len(site.flights) == 0


# Answers that are nobody else's.


async def test_those_who_wait_are_let_go_at_once_when_the_head_forbids_sharing(site: Site) -> None:
    site.shareable = False
    tasks = await site.callers(6)
    before = len(site.upstream.calls)
    site.upstream.answer(b"0")
    await turn()
    in_parallel = len(site.upstream.calls)
    for number in range(1, 6):
        site.upstream.answer(b"%d" % number, call=number)

    assert (before, in_parallel) == (1, 6)
    assert sorted(await ends_of(tasks)) == list("012345")
    assert roles(tasks) == ["led"] + ["alone"] * 5
    assert site.upstream.kept == []


async def test_the_next_burst_does_not_wait_until_an_answer_can_be_shared_again(site: Site) -> None:
    site.shareable = False
    first = await site.callers(1)
    site.upstream.answer()
    await asyncio.wait(first)
    burst = await site.callers(3)
    at_once = len(site.upstream.calls)
    site.shareable = True
    for call in range(1, 4):
        site.upstream.answer(call=call)
    await asyncio.wait(burst)
    _ = await site.callers(3)

    assert at_once == 4
    assert len(site.upstream.calls) == 5
    assert len(site.upstream.kept) == 3


async def test_what_one_fetched_alone_is_kept_if_it_may_be(site: Site) -> None:
    site.flights.misses.add(KEY)
    task = site.caller()
    await turn()
    source = site.upstream.stream()
    source.feed(b"whole")
    source.end()
    data = await body_of(await task)
    await turn()

    assert (data, [reply.body for reply in site.upstream.kept]) == (b"whole", [b"whole"])
    assert KEY not in site.flights.misses


async def test_what_one_fetched_alone_and_nobody_can_judge_is_given_up(site: Site) -> None:
    site.flights.misses.add(KEY)
    task = site.caller(shareable=lambda _: 1 // 0)
    await turn()
    site.upstream.stream()

    with pytest.raises(ZeroDivisionError):
        await task
    assert site.upstream.abandoned == 1


async def test_a_leader_gets_an_unshareable_stream_untouched(site: Site) -> None:
    site.shareable = False
    tasks = await site.callers(1)
    source = site.upstream.stream()

    assert (await tasks[0]).reply.body is source


async def test_callers_of_another_variant_share_among_themselves(site: Site) -> None:
    def speaks(language: bytes) -> Callable[[Reply], bytes]:
        return lambda reply: language if reply.headers.get("vary") else b""

    tasks = [site.caller(variant=speaks(language)) for language in (b"en", b"de", b"en", b"de", b"de")]
    await turn()
    site.upstream.answer(b"hello", vary="accept-language")
    await turn()
    site.upstream.answer(b"hallo", vary="accept-language")

    assert await ends_of(tasks) == ["hello", "hallo", "hello", "hallo", "hallo"]
    assert len(site.upstream.calls) == 2


async def test_a_follower_that_cannot_tell_its_variant_is_told_why(site: Site) -> None:
    tasks = [site.caller(), site.caller(variant=lambda _: b"%d" % (1 // 0)), site.caller()]
    await turn()
    site.upstream.answer()

    assert await ends_of(tasks) == ["hello", "ZeroDivisionError: integer division or modulo by zero", "hello"]


async def test_a_follower_knows_where_its_answer_comes_from(site: Site) -> None:
    exchanges = [make_exchange(endpoints=[Endpoint("first")]) for _ in range(2)]
    tasks = [site.caller(exchange=exchange) for exchange in exchanges]
    await turn()
    exchanges[0].endpoint = Endpoint("second", "m")
    exchanges[0].usage_added = True
    site.upstream.answer()
    await asyncio.wait(tasks)

    assert exchanges[1].endpoint == Endpoint("second", "m")
    assert exchanges[1].usage_added


# Waiting, and looking again.


async def test_a_follower_that_has_waited_for_long_enough_goes_alone(site: Site) -> None:
    leader = site.caller()
    await turn()
    follower = site.caller(wait_limit=0.01)
    await asyncio.sleep(0.03)
    site.upstream.answer(b"alone", call=1)
    site.upstream.answer(b"led", call=0)

    assert await ends_of([leader, follower]) == ["led", "alone"]
    assert roles([leader, follower]) == ["led", "alone"]


async def test_a_caller_that_would_not_wait_does_not(site: Site) -> None:
    _ = await site.callers(1)
    _ = site.caller(wait_limit=0)
    await asyncio.sleep(0.01)

    assert len(site.upstream.calls) == 2


async def test_a_promoted_follower_has_all_the_time_its_call_takes(site: Site) -> None:
    leader = site.caller()
    await turn()
    follower = site.caller(wait_limit=0.01)
    await turn()
    site.upstream.fail(upstream_error())
    await asyncio.sleep(0.03)
    site.upstream.answer()

    assert len(site.upstream.calls) == 2
    assert (await follower).role == "led"
    with pytest.raises(UpstreamError):
        await leader


async def test_the_last_follower_that_tires_of_a_leader_who_left_gives_the_call_up(site: Site) -> None:
    leader = site.caller()
    await turn()
    follower = site.caller(wait_limit=0.01)
    await turn()
    leader.cancel()
    await asyncio.sleep(0.03)
    site.upstream.answer(call=1)

    assert (await follower).role == "alone"
    assert site.upstream.cancelled == 1


async def test_who_came_before_the_last_answer_was_kept_looks_again(site: Site) -> None:
    early, late = make_exchange(started=0.0), make_exchange(started=1e12)
    tasks = await site.callers(1)
    site.upstream.answer()
    await asyncio.wait(tasks)
    asked = []

    async def recheck() -> Reply:
        asked.append(1)
        return Reply(200, None, b"stored")

    found = site.caller(exchange=early, recheck=recheck)
    beside = site.caller(exchange=early, recheck=recheck)
    ends = await ends_of([found, beside])
    _ = site.caller(exchange=late, recheck=recheck)
    await turn()

    assert ends == ["stored", "stored"]
    assert roles([found, beside]) == ["joined", "joined"]
    assert (len(asked), len(site.upstream.calls)) == (1, 2)


async def test_who_finds_nothing_makes_the_call(site: Site) -> None:
    tasks = await site.callers(1)
    site.upstream.answer()
    await asyncio.wait(tasks)

    async def recheck() -> None:
        return None

    _ = site.caller(recheck=recheck)
    await turn()

    assert len(site.upstream.calls) == 2


# Bounds.


async def test_an_answer_too_large_is_shared_by_those_who_have_it_and_not_joined_or_kept() -> None:
    site = Site(limit=10)
    tasks = await site.callers(2)
    source = site.upstream.stream()
    source.feed(b"x" * 11)
    await turn()
    _ = site.caller()
    await turn()
    readers = [asyncio.ensure_future(body_of(await task)) for task in tasks]
    await turn()
    source.feed(b"y")
    source.end()

    assert [await reader for reader in readers] == [b"x" * 11 + b"y"] * 2
    assert len(site.upstream.calls) == 2
    assert site.upstream.kept == []


async def test_flights_that_are_closed_tell_all_who_wait() -> None:
    site = Site(misses=MissMemory(seconds=1))
    tasks = await site.callers(3)
    streaming = site.caller(b"streaming")
    await turn()
    source = site.upstream.stream()
    source.feed(b"half")
    body = (await streaming).reply.body
    assert isinstance(body, Body)
    live = asyncio.ensure_future(body.read(100))
    await turn()
    await site.flights.close()
    ends = await ends_of(tasks)
    await turn()

    assert ends == ["GatewayError: The gateway is stopping."] * 3
    assert site.upstream.cancelled == 1
    with pytest.raises(ConnectionAbortedError):
        await live


@pytest.fixture
async def runtimes() -> list[Runtime]:
    process: Any = make_process()
    gate: Any = None
    return [Runtime("cache", process, gate, Services()) for _ in range(2)]


async def test_those_of_one_name_are_one_for_all_generations(runtimes: list[Runtime]) -> None:
    old, new = runtimes
    async with Flights.of(old, "a") as first, Flights.of(new, "a") as second, Flights.of(new, "b") as other:
        same, another = first is second, other is first

    assert (same, another) == (True, False)


# Everything at once.


class Chaos:
    """Callers and an upstream that do whatever chance says."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.site = Site(limit=chance.choice([40, 1 << 20]), misses=MissMemory(chance.choice([0.0, 60.0])))
        self.callers: list[asyncio.Task[None]] = []
        self.streams: dict[Body, int] = {}

    async def call(self) -> None:
        """Take the answer, or leave it; what is whole must be what was sent."""
        private = self.chance.random() < 0.1
        try:
            landed = await self.site.flights.run(
                KEY,
                make_exchange(),
                self.site.upstream.fetch,
                shareable=lambda _: not private,
                keep=self.site.upstream.keep,
            )
        except GatewayError:
            return
        number = landed.reply.headers.get("number")
        try:
            data = await body_of(landed)
        except (GatewayError, ConnectionAbortedError):
            return
        assert re.fullmatch(rf"{number}:x*\$", data.decode())

    def act(self) -> None:
        waiting = [number for number, call in enumerate(self.site.upstream.calls) if not call.done()]
        match self.chance.choices(["call", "leave", "answer", "stream"], [4, 1, 3, 3])[0]:
            case "call":
                self.callers.append(asyncio.ensure_future(self.call()))
            case "leave" if self.callers:
                self.chance.choice(self.callers).cancel()
            case "answer" if waiting:
                self.answer(self.chance.choice(waiting))
            case "stream" if self.streams:
                self.go_on(self.chance.choice(list(self.streams)))

    def answer(self, number: int) -> None:
        upstream = self.site.upstream
        match self.chance.randrange(8):
            case 0:
                upstream.fail(upstream_error(), number)
            case 1:
                upstream.fail(GatewayError(429, "quota", "Too much."), number)
            case 2:
                upstream.answer(b"%d:$" % number, 503, number, number=str(number))
            case 3 | 4:
                upstream.answer(b"%d:x$" % number, 200, number, number=str(number))
            case _:
                body = Body(abandon=lambda: self.give_up(body))
                self.streams[body] = number
                upstream.answer(body, 200, number, number=str(number))

    def give_up(self, body: Body) -> None:
        self.streams.pop(body, None)
        body.fail(ConnectionAbortedError("given up"))

    def go_on(self, body: Body) -> None:
        if not body.size:
            body.feed(b"%d:" % self.streams[body])
        match self.chance.randrange(4):
            case 0:
                del self.streams[body]
                body.fail(upstream_error())
            case 1:
                self.finish(body)
            case _:
                body.feed(b"x" * self.chance.randrange(30))

    def finish(self, body: Body) -> None:
        if not body.size:
            body.feed(b"%d:" % self.streams[body])
        del self.streams[body]
        body.feed(b"$")
        body.end()

    async def settle(self) -> None:
        """Answer whatever is asked until all callers have gone."""
        while not all(caller.done() for caller in self.callers):
            for number, call in enumerate(self.site.upstream.calls):
                if not call.done():
                    self.site.upstream.answer(b"%d:$" % number, call=number, number=str(number))
            for body in list(self.streams):
                self.finish(body)
            await asyncio.sleep(0)
        await turn()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(5, 100))
async def test_whatever_happens_everybody_is_told_the_truth_and_nothing_is_left(
    seed: int, steps: int
) -> None:
    chance = random.Random(seed)
    chaos = Chaos(chance)
    for _ in range(steps):
        chaos.act()
        for _ in range(chance.choice([0, 0, 1, 3])):
            await asyncio.sleep(0)
    await chaos.settle()

    assert [caller.exception() for caller in chaos.callers if not caller.cancelled()].count(None) == sum(
        not caller.cancelled() for caller in chaos.callers
    )
    assert (len(chaos.site.flights), chaos.site.flights.spool.used, chaos.streams) == (0, 0, {})
    assert all(call.done() for call in chaos.site.upstream.calls)
    assert all(re.fullmatch(rb"\d+:x*\$", reply.body) for reply in chaos.site.upstream.kept)
