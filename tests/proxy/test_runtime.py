import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from llmproxy.body import HOLD_LIMIT, Body
from llmproxy.bus import Bus
from llmproxy.caching.purges import Purge
from llmproxy.caching.tags import tag_slots
from llmproxy.errors import GatewayError, StartError
from llmproxy.messages import Headers, Reply
from llmproxy.metrics import Metrics
from llmproxy.runtime import ChildRequest, Clock, Process, Runtime, Services
from llmproxy.stores.memory import MemoryStore


class Gate:
    """A generation that answers each child with what it was told to, and keeps what it was asked."""

    def __init__(self, reply=None):
        self.reply = reply if reply is not None else Reply(200, body=b"child")
        self.calls = []
        self.embedders = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def open_store(self, name):
        return f"store {name}"

    async def call(self, request, parent):
        self.calls.append((request, parent))
        await self.may_answer.wait()
        return self.reply


def make_process(**given):
    return Process(Metrics(), Bus(None, 0), **given)


def make_runtime(name="plugin", *, process=None, gate=None, services=None, **given):
    return Runtime(name, process or make_process(), gate or Gate(), services or Services(), **given)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def opened():
    yield object()


async def test_keys_of_plugins_differ_by_type():
    runtime = make_runtime()

    async with runtime.shared(1, opened) as first, runtime.shared(True, opened) as second:
        assert first is not second


class Prices:
    """A service."""


def test_a_service_is_required_by_its_type():
    services, prices = Services(), Prices()
    make_runtime("above", services=services).provide(Prices, prices)

    assert make_runtime("below", services=services).require(Prices) is prices


def test_a_service_that_nobody_provides_is_told_with_the_plugin_that_needs_it():
    with pytest.raises(StartError) as caught:
        make_runtime("budget").require(Prices)
    assert str(caught.value) == "plugin 'budget' needs 'Prices', which no plugin listed above it provides"


def test_a_service_has_one_provider():
    services = Services()
    make_runtime("one", services=services).provide(Prices, Prices())

    with pytest.raises(StartError) as caught:
        make_runtime("two", services=services).provide(Prices, Prices())
    assert str(caught.value) == "plugin 'two': 'Prices' is provided by plugin 'one' already"


async def embed(texts):
    return [[0.0]] * len(texts)


def test_an_embedder_is_found_by_its_name():
    gate = Gate()
    gate.embedders["small"] = embed

    assert make_runtime(gate=gate).embedder("small") is embed


@pytest.mark.parametrize(("known", "told"), [((), "none"), (("b", "a"), "a, b")])
def test_an_unknown_embedder_is_told_with_the_known_ones(known, told):
    gate = Gate()
    gate.embedders.update(dict.fromkeys(known, embed))

    with pytest.raises(StartError) as caught:
        make_runtime(gate=gate).embedder("small")
    assert str(caught.value) == f"plugin 'plugin': no embedder 'small' is registered (known: {told})"


async def test_a_store_is_opened_by_the_generation():
    assert await make_runtime().store("main") == "store main"


async def test_a_purge_reaches_every_space_that_is_held_and_no_other():
    class Opened(Gate):
        async def open_store(self, name):
            return MemoryStore(name)

    gate = Opened()
    runtime = make_runtime(gate=gate)
    async with runtime.cache_space("one") as one, runtime.cache_space("two") as two:
        before = [space.now() for space in (one, two)]
        done = await runtime.purge(Purge("tag", ("a",)))
        slots = list(tag_slots("tag", "a"))

        assert done.stores.keys() == {"one", "two"}
        assert not one.good(before[0], slots)
        assert not two.good(before[1], slots)
    with pytest.raises(GatewayError, match="No store is used"):
        await runtime.purge(Purge("all"))


async def test_background_work_ends_with_the_generation():
    runtime, ended = make_runtime("p"), []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = runtime.spawn(work(), name="poll")
    await asyncio.sleep(0)
    await runtime.close()

    assert task.get_name() == "p:poll"
    assert task.cancelled()
    assert ended == [True]


async def test_a_runtime_without_work_closes_at_once():
    await make_runtime().close()


@pytest.mark.parametrize(("slot", "runs"), [(0, True), (1, False)])
async def test_work_once_a_host_runs_in_one_worker(slot, runs):
    ran = []

    async def work():
        ran.append(slot)

    task = make_runtime(process=make_process(slot=slot)).spawn(work(), name="n", once_per_host=True)
    await settle()

    assert (task is not None) is bool(ran) is runs


REQUEST = ChildRequest("POST", "/v1/x", Headers.of({"Authorization": "Bearer secret"}), b"secret")


async def test_a_child_exchange_is_the_generations_to_run():
    gate, parent = Gate(), object()
    reply = await make_runtime(gate=gate).call(REQUEST, parent)

    assert reply is gate.reply
    assert gate.calls == [(REQUEST, parent)]


async def test_a_detached_child_outlives_its_caller_and_is_read_to_its_end():
    read = []

    async def pieces():
        yield b"a" * (HOLD_LIMIT + 1)
        read.append(True)

    gate = Gate(Reply(200, body=Body.pumped(pieces())))
    gate.may_answer.clear()
    reply = await make_runtime(gate=gate).call(REQUEST, None, detached=True)
    await settle()

    assert reply is None
    assert gate.calls == [(REQUEST, None)]
    assert read == []

    gate.may_answer.set()
    await settle()

    assert read == [True]


async def test_a_detached_child_with_a_whole_reply_is_done_at_once():
    gate = Gate()
    await make_runtime(gate=gate).call(REQUEST, detached=True)
    await settle()

    assert gate.calls == [(REQUEST, None)]


def test_a_child_request_shows_no_credential_and_no_body():
    assert "secret" not in repr(REQUEST)


async def test_a_reload_is_asked_for_where_the_process_can():
    async def reload():
        return "generation 2"

    assert await make_runtime(process=make_process(reload=reload)).request_reload() == "generation 2"
    with pytest.raises(RuntimeError, match="no configuration source"):
        await make_runtime().request_reload()


def test_a_runtime_hands_out_what_the_process_owns():
    process = make_process()
    runtime = make_runtime(process=process, listeners=["127.0.0.1:80"])

    assert (runtime.metrics, runtime.bus, runtime.sink, runtime.clock) == (
        process.metrics,
        process.bus,
        process.sink,
        process.clock,
    )
    assert (runtime.name, runtime.listeners) == ("plugin", ("127.0.0.1:80",))


async def test_the_clock_goes_forward():
    clock = Clock()
    before = clock.now()
    await clock.sleep(0)

    assert clock.now() >= before
    assert abs(clock.wall() - time.time()) < 60


async def test_an_upstream_that_there_is_not_cannot_be_asked():
    gate = Gate()
    gate.members = SimpleNamespace(upstream=lambda endpoint: None)

    with pytest.raises(LookupError, match="no upstream 'other'"):
        await make_runtime(gate=gate).ask("other", "/embeddings", b"{}", within=1.0)
