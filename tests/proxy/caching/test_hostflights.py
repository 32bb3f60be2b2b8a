import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.bus import Bus
from llmproxy.caching.hostflights import HostFlights
from llmproxy.runtime import Process, Runtime, Services
from llmproxy.testing import make_process

from .toy_worker import ToyWorker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="claims are laid out as Linux does")

PLACE = 0x123456789ABCDEF
FOLDER = Path(__file__).parent


class Child:
    """A toy worker in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, directory: Path, slot: int) -> "Child":
        program = [sys.executable, str(FOLDER / "toy_worker.py"), str(directory), str(slot)]
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        child = cls(process)
        assert await child.do("pid") == process.pid
        return child

    async def do(self, word: str, **what: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps({"word": word, **what}) + b"\n")
        return orjson.loads(await self.process.stdout.readline())

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def close(self) -> None:
        if self.process.returncode is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            await self.process.wait()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ToyWorker]:
    worker = ToyWorker(tmp_path, 0)
    await worker.start()
    yield worker
    await worker.close()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Child]]]:
    async with AsyncExitStack() as stack:
        slots = iter(range(1, 10))

        async def another() -> Child:
            child = await Child.start(tmp_path, next(slots))
            stack.push_async_callback(child.close)
            return child

        yield another


@pytest.fixture
async def there(here: ToyWorker, start: Callable[[], Awaitable[Child]]) -> Child:
    return await start()


async def until(worker: ToyWorker | Child, **wanted: Any) -> None:
    """Wait until a worker's state is so."""
    while {name: (await worker.do("state"))[name] for name in wanted} != wanted:
        await asyncio.sleep(0.005)


# The claims.


async def test_a_place_belongs_to_one_worker(here: ToyWorker, there: Child) -> None:
    first = await here.do("claim", place=PLACE)
    other = [await there.do("claim", place=place) for place in (PLACE, PLACE + 1)]
    holders = [await there.do("holder", place=PLACE), await here.do("holder", place=PLACE + 1)]
    await here.do("release", place=PLACE)
    after = [await there.do("holder", place=PLACE), await there.do("claim", place=PLACE)]

    assert first
    assert other == [False, True]
    assert holders == [os.getpid(), there.process.pid]
    assert after == [None, True]


async def test_a_worker_that_has_a_place_does_not_get_it_again(here: ToyWorker) -> None:
    claims = [await here.do("claim", place=PLACE) for _ in range(2)]

    assert claims == [True, False]
    assert await here.do("holder", place=PLACE) is None


async def test_the_claims_of_a_worker_that_dies_are_free(here: ToyWorker, there: Child) -> None:
    taken = await there.do("claim", place=PLACE)
    before = await here.do("claim", place=PLACE)
    await there.kill()

    assert (taken, before) == (True, False)
    assert await here.do("claim", place=PLACE)


async def test_where_there_are_no_locks_each_worker_does_without(here: ToyWorker, tmp_path: Path) -> None:
    (tmp_path / "flights" / f"{PLACE % 64:02}").mkdir()
    claims = [await here.do("claim", place=PLACE) for _ in range(2)]
    await here.do("release", place=PLACE)

    assert claims == [True, True]
    assert await here.do("holder", place=PLACE) is None


# Flights between workers.


async def test_callers_of_two_workers_make_one_call(here: ToyWorker, there: Child) -> None:
    await here.do("call", count=3)
    await until(here, calls=1)
    await there.do("call", count=3)
    await until(here, following=3)
    await here.do("answer")

    assert await here.do("told") == [[role, "1 5 hello", "mine"] for role in ("led", "joined", "joined")]
    assert await there.do("told") == [["joined", "1 5 hello", "mine"]] * 3
    assert (await there.do("state"))["calls"] == 0
    assert (await here.do("state"))["kept"] == ["hello"]
    assert (await there.do("state"))["kept"] == []


async def test_a_stream_is_replayed_and_tailed_in_another_worker(here: ToyWorker, there: Child) -> None:
    await here.do("call")
    await until(here, calls=1)
    await here.do("stream")
    await here.do("feed", text="one ")
    await there.do("call", count=2)
    await until(there, flying=1)
    await until(here, reading=2)
    await here.do("feed", text="two ")
    await there.do("call")
    await here.do("feed", size=3 << 20)
    await here.do("end")

    answer = "1 3145736 one two " + 12 * "\0"
    assert await here.do("told") == [["led", answer, "mine"]]
    assert await there.do("told") == [["joined", answer, "mine"]] * 3


async def test_a_large_whole_answer_arrives_whole(here: ToyWorker, there: Child) -> None:
    await here.do("call")
    await until(here, calls=1)
    await there.do("call")
    await until(here, following=1)
    await here.do("answer", text="", size=20 << 20)

    assert (await there.do("told"))[0][1].startswith("1 20971520 ")


async def test_the_leaving_of_the_leaders_caller_harms_no_other_worker(here: ToyWorker, there: Child) -> None:
    await here.do("call")
    await until(here, calls=1)
    await there.do("call")
    await until(here, following=1)
    await here.do("leave")
    await here.do("answer")

    assert await there.do("told") == [["joined", "1 5 hello", "mine"]]


async def test_the_call_is_given_up_when_the_last_one_of_all_workers_leaves(
    here: ToyWorker, there: Child
) -> None:
    await here.do("call")
    await until(here, calls=1)
    await there.do("call", count=2)
    await until(here, following=1)
    await here.do("leave")
    before = (await here.do("state"))["cancelled"]
    await there.do("leave")
    await until(here, cancelled=1, flying=0)

    assert before == 0


async def test_a_stream_is_given_up_when_the_last_one_of_all_workers_leaves(
    here: ToyWorker, there: Child
) -> None:
    await here.do("call")
    await until(here, calls=1)
    await here.do("stream")
    await here.do("feed", text="one")
    await there.do("call")
    await until(here, reading=2)
    await here.do("leave")
    before = (await here.do("state"))["given_up"]
    await there.do("leave")
    await until(here, given_up=1, flying=0)

    assert before == 0


async def test_a_follower_takes_over_from_a_worker_that_is_killed(here: ToyWorker, there: Child) -> None:
    await there.do("call")
    await until(there, calls=1)
    await here.do("call", count=2)
    await until(there, following=1)
    before = (await here.do("state"))["calls"]
    await there.kill()
    await until(here, calls=1)
    await here.do("answer")

    assert before == 0
    assert await here.do("told") == [["led", "1 5 hello", "mine"], ["joined", "1 5 hello", "mine"]]


async def test_a_follower_takes_over_a_stream_without_output(here: ToyWorker, there: Child) -> None:
    await there.do("call")
    await until(there, calls=1)
    await there.do("stream")
    await here.do("call", count=2)
    await until(there, following=1)
    await there.kill()
    await until(here, calls=1)
    await here.do("answer")

    assert [told[0] for told in await here.do("told")] == ["led", "joined"]


async def test_after_output_the_death_of_a_worker_is_told(here: ToyWorker, there: Child) -> None:
    await there.do("call")
    await until(there, calls=1)
    await there.do("stream")
    await there.do("feed", text="half")
    await here.do("call")
    await until(there, reading=2)
    await there.kill()

    assert await here.do("told") == [["WorkerGone", "The worker that fetched this answer is gone.", 502]]


async def test_an_upstream_that_breaks_off_breaks_off_everywhere(here: ToyWorker, there: Child) -> None:
    await here.do("call")
    await until(here, calls=1)
    await here.do("stream")
    await here.do("feed", text="half")
    await there.do("call")
    await until(here, reading=2)
    await here.do("break")

    told = [["UpstreamError", "It broke.", 502]]
    assert await here.do("told") == told
    assert await there.do("told") == told


async def test_all_workers_are_let_go_when_the_head_forbids_sharing(here: ToyWorker, there: Child) -> None:
    await here.do("share", yes=False)
    await there.do("share", yes=False)
    await here.do("call")
    await until(here, calls=1)
    await there.do("call", count=3)
    await until(here, following=1)
    await here.do("answer")
    await until(there, calls=3)
    for call in range(3):
        await there.do("answer", call=call)
    await there.do("call")
    await until(there, calls=4)
    await there.do("answer")

    assert [told[0] for told in await there.do("told")] == ["alone"] * 4


async def test_another_worker_takes_over_what_a_leader_alone_there_could_not_do(
    here: ToyWorker, there: Child
) -> None:
    await here.do("call")
    await until(here, calls=1)
    await there.do("call", count=2)
    await until(here, following=1)
    await here.do("fail", own=True)
    await until(there, calls=1)
    await there.do("answer")

    assert await here.do("told") == [["GatewayError", "Too much.", 429]]
    assert [told[0] for told in await there.do("told")] == ["led", "joined"]


async def test_an_upstream_that_fails_is_tried_once_more_on_the_whole_host(
    here: ToyWorker, there: Child
) -> None:
    await here.do("call", count=2)
    await until(here, calls=1)
    await there.do("call", count=2)
    await until(here, following=2)
    await here.do("fail")
    await until(here, calls=2)
    await here.do("fail")

    told = [["UpstreamError", "It broke.", 502]] * 2
    assert await here.do("told") == told
    assert await there.do("told") == told
    assert (await there.do("state"))["calls"] == 0


async def test_the_second_try_may_be_another_workers_and_is_the_last(here: ToyWorker, there: Child) -> None:
    await here.do("call")
    await until(here, calls=1)
    await there.do("call", count=5)
    await until(here, following=1)
    await here.do("fail")
    await until(there, calls=1)
    await there.do("fail")

    assert await there.do("told") == [["UpstreamError", "It broke.", 502]] * 5
    assert (await there.do("state"))["calls"] == 1


async def test_other_variants_make_a_call_of_their_own(here: ToyWorker, there: Child) -> None:
    await here.do("call", language="en")
    await until(here, calls=1)
    await there.do("call", language="en")
    await there.do("call", language="de")
    await until(here, following=1)
    await here.do("answer")
    await until(there, calls=1)
    await there.do("answer", text="hallo")

    assert await there.do("told") == [["joined", "1 5 hello", "mine"], ["led", "1 5 hallo", "mine"]]


async def test_who_came_before_another_worker_kept_an_answer_looks_again(
    here: ToyWorker, there: Child
) -> None:
    await there.do("call")
    await until(there, calls=1)
    await there.do("answer")
    await there.do("told")
    await until(there, flying=0)
    await here.do("store", text="stored")
    await here.do("call", started=0.0)
    early = await here.do("told")
    await here.do("call")
    await until(here, calls=1)

    assert early == [["joined", "None 6 stored", "mine"]]


async def test_four_workers_make_one_call(here: ToyWorker, start: Callable[[], Awaitable[Child]]) -> None:
    children = [await start() for _ in range(3)]
    everybody: list[ToyWorker | Child] = [here, *children]
    leader = everybody[0]
    for worker in everybody:
        await worker.do("call", count=125)
        await until(leader, calls=1)
    await until(leader, following=124 + 3)
    await leader.do("stream")
    for number in range(50):
        await leader.do("feed", text=f"data: {number}\n\n")
    await leader.do("end")
    told = [each for worker in everybody for each in await worker.do("told")]

    assert [(await worker.do("state"))["calls"] for worker in everybody] == [1, 0, 0, 0]
    assert len(told) == 500
    assert len({text for _, text, _ in told}) == 1
    assert sorted(role for role, _, _ in told) == ["joined"] * 499 + ["led"]


async def test_flights_that_another_worker_does_not_have_are_led_here(here: ToyWorker, there: Child) -> None:
    """A worker that holds a claim for something that it does not know is not waited for."""
    place = here.flights.place_of(b"k")
    await there.do("claim", place=place)
    await here.do("call")
    await until(here, calls=1)
    await here.do("answer")

    assert await here.do("told") == [["led", "1 5 hello", "mine"]]


async def test_a_worker_alone_has_none() -> None:
    gate: Any = None
    runtime = Runtime("cache", make_process(), gate, Services())
    async with HostFlights.of(runtime) as host:
        assert host is None


async def test_a_process_has_one_for_all_that_ask(tmp_path: Path) -> None:
    gate: Any = None
    bus = Bus(tmp_path, 0)
    await bus.start()
    process = Process(make_process().metrics, bus)
    one, two = (Runtime(name, process, gate, Services()) for name in ("a", "b"))
    async with HostFlights.of(one) as first, HostFlights.of(two) as second:
        same = first is second and first is not None
    await bus.close()

    assert same
