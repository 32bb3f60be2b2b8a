"""Generations: built whole or not at all, swapped under load, drained."""

import asyncio
from contextlib import asynccontextmanager
from sys import getrefcount
from typing import ClassVar

import pytest

from llmproxy.config import decode
from llmproxy.errors import GatewayError, StartError
from llmproxy.gateway import Gateway
from llmproxy.messages import ClientRequest, Headers
from llmproxy.plugin import ChildRequest, Plugin, Reply, hookimpl
from llmproxy.testing import (
    FakeUpstream,
    RawClient,
    make_exchange,
    make_process,
    running_gateway,
    running_route,
)
from llmproxy.testing.classes import with_names

GET = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n"


class Living(Plugin):
    """Note when each instance is entered and left; those called bad fail."""

    events: list

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime):
        if self.name.startswith("bad"):
            raise LookupError("no luck")
        self.events.append(f"+{self.name}")
        yield
        self.events.append(f"-{self.name}")

    @hookimpl
    async def pre_route(self, exchange):
        return Reply.text(self.name)


def tree(*names):
    Living.events = []
    return more(*names)


def more(*names):
    return {
        "plugins": {name: {"use": Living} for name in names},
        "pipeline": list(names),
        "routes": [{"name": "all"}],
    }


async def ask(gateway):
    async with RawClient(gateway.url) as client:
        return (await client.exchange(GET)).body


async def test_a_failed_start_unwinds_in_reverse_and_the_old_one_serves_on():
    async with running_gateway(tree("one")) as gateway:
        result = await gateway.reload(more("two", "three", "bad", "four"))
        answer = await ask(gateway)

    assert not result.ok
    assert result.reason == "plugin 'bad': lifespan failed: LookupError: no luck"
    assert answer == b"one"
    assert Living.events == ["+one", "+two", "+three", "-three", "-two", "-one"]


async def test_a_swap_starts_the_new_one_before_the_old_one_stops():
    async with running_gateway(tree("one")) as gateway:
        result = await gateway.reload(more("two"))
        answer = await ask(gateway)

    assert (result.ok, answer) == (True, b"two")
    assert Living.events == ["+one", "+two", "-one", "-two"]


async def test_an_exchange_keeps_the_generation_it_began_with():
    async with FakeUpstream().stream([b"data: 1\n\n"] * 6, delay=0.05) as api:
        old = {
            "plugins": {"old": {"use": Signing}},
            "pipeline": ["old"],
            "upstreams": {"api": {"base_url": api.url, "dialect": "http", "proxy": None}},
            "routes": [{"name": "all", "upstream": "api"}],
        }
        async with running_gateway(old) as gateway, RawClient(gateway.url) as client:
            await client.send(GET)
            await client.read_until(b"data: 1")
            before = gateway.gateway.current
            await gateway.reload(tree("new"))
            retiring = len(gateway.gateway.retiring)
            rest = await client.read_until(b"0\r\n\r\n")
            await asyncio.wait(gateway.gateway.retiring, timeout=3)
            answer = await client.exchange(GET)

    assert retiring == 1
    assert rest.count(b"data: 1") == 5
    assert (answer.body, before.active) == (b"new", 0)
    assert Signing.ended == ["old"]


class Signing(Plugin):
    """Note whose exchange ended."""

    def __init__(self, name, config):
        super().__init__(name, config)
        type(self).ended = []

    @hookimpl
    async def post_response(self, exchange):
        self.ended.append(self.name)


async def test_a_generation_that_will_not_drain_is_stopped_all_the_same():
    process = make_process()
    gateway = Gateway(process, drain_timeout=0.05)
    config = decode(with_names(tree("one")), environ={}, read_file=str)
    await gateway.build(config)
    gateway.commit()
    gateway.current.active += 1
    await gateway.build(config)
    gateway.commit()
    await asyncio.wait(gateway.retiring, timeout=2)
    await gateway.close(1)

    assert Living.events == ["+one", "+one", "-one", "-one"]


async def test_what_was_built_can_be_dropped():
    gateway = Gateway(make_process())
    await gateway.build(decode(with_names(tree("one")), environ={}, read_file=str))
    await gateway.abort()

    assert Living.events == ["+one", "-one"]
    assert not gateway.serving
    with pytest.raises(RuntimeError):
        gateway.commit()


async def test_a_lifespan_that_fails_at_its_end_keeps_nobody_from_theirs():
    class Failing(Plugin):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, runtime):
            yield
            raise LookupError

    config = tree("one")
    config["plugins"]["failing"] = {"use": Failing}
    async with running_gateway(config) as gateway:
        pass

    assert Living.events == ["+one", "-one"]
    assert b"lifespan_exit_failed" in b"".join(gateway.log)


class Contributing(Plugin):
    @hookimpl
    async def contribute_config(self, runtime):
        return {"routes": [{"name": "found", "match": {"path": "/found"}, "upstream": "upstream"}]}


async def test_contributions_are_merged_and_checked_like_the_file():
    async with (
        FakeUpstream().reply(json={"a": 1}) as api,
        running_route([Contributing], config={"routes": [{"name": "r"}]}, upstream=api) as serving,
    ):
        names = [route.name for route in serving.generation.config.routes]
    assert names == ["r", "found"]


async def test_a_contribution_that_is_wrong_refuses_the_start():
    config = {"routes": [{"name": "found"}]}
    with pytest.raises(StartError, match="plugin 'contributing': contribute_config"):
        async with running_route([Contributing], config=config):
            pass


class Calling(Plugin):
    """Answer with what a child exchange is answered."""

    @hookimpl
    async def contribute_config(self, runtime):
        self.runtime = runtime
        self.children = []
        type(self).instance = self

    @hookimpl
    async def pre_route(self, exchange):
        if exchange.parent is not None or exchange.request.path != "/parent":
            return None
        detached = exchange.request.query == "detached"
        child = ChildRequest("GET", "/child", Headers.of({"Host": "g"}))
        return await self.runtime.call(child, parent=exchange, detached=detached)

    @hookimpl
    async def post_response(self, exchange):
        self.children.append((exchange.request.path, exchange.parent is not None, exchange.outcome.result))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_child_runs_through_the_pipeline_as_its_parents(stream):
    async with FakeUpstream() as api:
        if stream:
            api.stream([b"data: 1\n\n"] * 3, delay=0.02)
        else:
            api.reply(json={"a": 1})
        async with running_route([Calling], upstream=api) as serving:
            served = await serving.serve(make_exchange("GET", "/parent"))
            await asyncio.sleep(0.02)
            active = serving.generation.active

    assert served.body == (b"data: 1\n\n" * 3 if stream else b'{"a":1}')
    assert Calling.instance.children.count(("/child", True, "ok")) == 1
    assert len(Calling.instance.children) == 2
    assert active == 0


async def test_a_child_asks_of_the_host_that_it_names():
    hosts = []

    class Seeing(Plugin):
        @hookimpl
        async def pre_route(self, exchange):
            hosts.append((exchange.request.scheme, exchange.request.host))

    async with (
        FakeUpstream().reply(json={}) as api,
        running_route([Seeing, Calling], upstream=api) as serving,
    ):
        await serving.serve(make_exchange("GET", "/parent"))

    assert hosts[1] == ("http", "g")


@pytest.mark.parametrize(
    ("parents", "own", "expected"),
    [(0.0, 0.0, 0.0), (9.0, 0.0, 9.0), (0.0, 7.0, 7.0), (9.0, 7.0, 7.0), (5.0, 7.0, 5.0)],
)
async def test_a_child_has_the_earlier_deadline_a_number_and_its_parents_address(parents, own, expected):
    async with running_route([]) as serving:
        parent = make_exchange("GET", "/parent", client="203.0.113.9")
        parent.deadline = parents
        children = [
            serving.generation.child(ChildRequest("GET", "/c", deadline=own), parent) for _ in range(2)
        ]

    assert [child.deadline for child in children] == [expected, expected]
    assert [child.id for child in children] == ["exchange-1.0", "exchange-1.1"]
    assert children[0].request.client == "203.0.113.9"


async def test_a_child_that_has_no_route_is_refused():
    config = {
        "routes": [
            {"name": "r", "match": {"path": "/parent"}, "upstream": "upstream", "plugins": ["calling"]}
        ]
    }
    async with running_route([Calling], config=config) as serving:
        served = await serving.serve(make_exchange("GET", "/parent"))

    assert (served.reply.status, served.json()["code"]) == (404, "unknown_route")


async def test_stores_are_shared_by_plugins_and_outlive_a_reload():
    class Storing(Plugin):
        stores: ClassVar[list] = []

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, runtime):
            self.stores.append(await runtime.store("main"))
            yield

    config = {
        "stores": {"main": "memory://"},
        "plugins": {"one": {"use": Storing}, "two": {"use": Storing}},
        "routes": [],
    }
    async with running_gateway(config) as gateway:
        await gateway.reload(config)

    assert len(Storing.stores) == 4
    assert len(set(map(id, Storing.stores))) == 1


async def test_a_store_that_nobody_configured_is_named():
    class Storing(Plugin):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, runtime):
            await runtime.store("nowhere")
            yield

    with pytest.raises(StartError, match="no store is called 'nowhere'"):
        async with running_route([Storing]):
            pass


@pytest.mark.parametrize(("length", "kept"), [(40, True), (10_000, False)])
async def test_the_route_of_a_long_target_is_not_remembered(length, kept):
    Living.events = []
    async with running_route([Living]) as serving:
        target = "/" + "x" * length
        request = ClientRequest("GET", target, Headers())
        holders = getrefcount(target)
        serving.generation.match(request)

        assert (getrefcount(target) > holders) is kept


async def test_errors_without_a_route_are_shaped_by_path_and_headers():
    Living.events = []
    async with running_route([Living], config={"plugins": {"openai": {}}}) as serving:
        error = GatewayError(404, "gone", "Not here.")
        shapes = [
            serving.generation.shape(error, "/v1/x"),
            serving.generation.shape(error, "/x", Headers.of({"OpenAI-Beta": "y"})),
            serving.generation.shape(error, "/x", Headers()),
        ]

    assert [b'"error"' in shape.body for shape in shapes] == [True, True, False]
