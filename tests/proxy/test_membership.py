"""Discovered members through a real generation: who is asked, who is not any more, what stays."""

from contextlib import asynccontextmanager

import pytest

from llmproxy.errors import StartError
from llmproxy.exchange import Endpoint
from llmproxy.messages import Reply
from llmproxy.plugin import NoConfig, Plugin, Pool, PoolMember, Section, hookimpl
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, make_exchange, make_process, running_route


class Listing(Plugin[NoConfig]):
    """Lists whom a test says, and so has a list of its own."""

    lists_members = True
    held: "Listing"

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime):
        type(self).held = self
        self.list = runtime.members
        yield


class Turning(Plugin[NoConfig]):
    """Walks pools in the simplest way: goes round, and on where a place fails."""

    walks_pools = True

    def __init__(self, name, config):
        super().__init__(name, config)
        self.turn = 0

    @hookimpl
    async def around_upstream(self, exchange, call_next):
        places = exchange.endpoints.places
        if not places:
            return Reply(503)
        self.turn += 1
        exchange.endpoint = places[self.turn % len(places)].endpoint
        return await call_next(exchange)


TARGET = {"upstream": "upstream", "members": "listing"}


def at(*upstreams):
    return [PoolMember("127.0.0.1", upstream.port) for upstream in upstreams]


@asynccontextmanager
async def served(*targets, process=None, plugins=(Listing, Turning)):
    names = {"listing": plugins[0], **({"turning": plugins[1]} if len(plugins) > 1 else {})}
    route = {"name": "r", "match": {"path": "/*"}, "pool": "p", "plugins": [*names][1:]}
    config = {"pools": {"p": list(targets) or [TARGET]}, "routes": [route]}
    url = "http://backend.test:8080/base"
    async with running_route(names, upstream=url, config=config, process=process) as serving:
        yield serving


async def ask(serving, path="/x"):
    return (await serving.serve(make_exchange("GET", path))).reply


@pytest.fixture
async def pair():
    async with FakeUpstream().reply(body=b"a") as first, FakeUpstream().reply(body=b"b") as second:
        yield first, second


async def test_a_member_is_asked_as_the_upstream_that_it_stands_for(pair):
    async with served() as serving:
        Listing.held.list.set(at(pair[0]))
        reply = await ask(serving)

    assert reply.body == b"a"
    assert pair[0].requests[0].target == "/base/x"
    assert pair[0].requests[0].header("host") == "backend.test:8080"


async def test_requests_go_to_all_members_and_the_pool_stays_the_sequence_that_was_written(pair):
    async with served() as serving:
        Listing.held.list.set(at(*pair))
        bodies = {(await ask(serving)).body for _ in range(4)}
        pool = serving.generation.assembly.pools["p"]

    assert bodies == {b"a", b"b"}
    assert pool == (Endpoint("upstream", None, ""),)
    assert [place.name for place in pool.places] == [f"upstream@127.0.0.1:{each.port}" for each in pair]
    assert {place.label for place in pool.places} == {"upstream"}


async def test_who_left_is_asked_no_more_and_its_idle_connections_close(pair):
    async with served() as serving:
        Listing.held.list.set(at(*pair))
        for _ in range(4):
            await ask(serving)
        Listing.held.list.set(at(pair[1]))
        before = len(pair[0].requests)
        bodies = {(await ask(serving)).body for _ in range(4)}

    assert bodies == {b"b"}
    assert len(pair[0].requests) == before
    assert serving.generation.members._leaving == {}


async def test_before_the_first_list_callers_are_told_to_come_back():
    async with served(plugins=[Listing]) as serving:
        reply = await ask(serving)

    assert reply.status == 503
    assert reply.headers.get("retry-after") == "1"


async def test_without_anything_that_walks_pools_the_first_member_answers(pair):
    async with served(plugins=[Listing]) as serving:
        Listing.held.list.set(at(*pair))
        reply = await ask(serving)

    assert reply.body == b"a"


async def test_the_last_list_outlives_a_reload(pair):
    process = make_process()
    async with served(process=process):
        Listing.held.list.set(at(pair[0]))
    async with served(process=process) as serving:
        reply = await ask(serving)

    assert reply.body == b"a"


class Named(Section, frozen=True):
    service: str = "a"


async def test_other_settings_have_no_last_list_and_what_an_old_generation_hears_is_not_theirs(pair):
    process = make_process()
    kind = type("Configured", (Listing,), {"Config": Named})
    async with served(process=process, plugins=[kind]):
        kind.held.list.set(at(pair[0]))
        old = kind.held.list
        async with served(process=process, plugins=[{"use": kind, "service": "b"}]):
            first = kind.held.list.members
            kind.held.list.set(at(pair[1]))
            old.set(at(*pair))
        async with served(process=process, plugins=[{"use": kind, "service": "b"}]) as serving:
            reply = await ask(serving)

    assert first is None
    assert reply.body == b"b"


async def test_members_share_their_targets_weight():
    async with served({**TARGET, "weight": 3}) as serving:
        Listing.held.list.set([PoolMember("10.0.0.1", 1, 1.0), PoolMember("10.0.0.2", 1, 2.0)])
        weights = [place.weight for place in serving.generation.assembly.pools["p"].places]

    assert weights == [1.0, 2.0]


async def test_a_member_that_comes_back_is_the_same_place_again():
    async with served() as serving:
        pool, listed = serving.generation.assembly.pools["p"], Listing.held.list
        listed.set([PoolMember("10.0.0.1", 1), PoolMember("10.0.0.2", 1)])
        first = pool.places[0]
        listed.set([PoolMember("10.0.0.2", 1)])
        listed.set([PoolMember("10.0.0.1", 1), PoolMember("10.0.0.2", 1)])

    assert isinstance(pool, Pool)
    assert pool.places[0] is first


async def test_the_exchange_of_a_member_that_leaves_ends_as_it_would_have():
    async with FakeUpstream().stream([b"one", b"two"], delay=0.05) as slow, served() as serving:
        Listing.held.list.set(at(slow))
        exchange = make_exchange("GET", "/x")

        async def leave(upstream):
            await upstream.received(1)
            Listing.held.list.set([PoolMember("127.0.0.1", 1)])

        leaving = spawn(leave(slow), name="leaving")
        reply = (await serving.serve(exchange)).reply
        await leaving
        members = serving.generation.members

    assert reply.body == b"onetwo"
    assert exchange.attempts[0].complete
    assert members._leaving == {}


async def test_where_the_chosen_member_has_left_meanwhile_another_stands_in(pair):
    class Late(Turning):
        @hookimpl
        async def around_upstream(self, exchange, call_next):
            exchange.endpoint = Endpoint("upstream", None, "upstream@10.0.0.9:1")
            return await call_next(exchange)

    async with served(plugins=[Listing, Late]) as serving:
        Listing.held.list.set(at(pair[0]))
        exchange = make_exchange("GET", "/x")
        reply = (await serving.serve(exchange)).reply

    assert reply.body == b"a"
    assert exchange.attempts[0].endpoint.member == f"upstream@127.0.0.1:{pair[0].port}"


async def test_a_plugin_that_lists_no_members_cannot_be_named():
    class Other(Plugin[NoConfig]):
        pass

    with pytest.raises(StartError, match=r"pools.p.targets\[0\].members: plugin 'listing' lists no members"):
        async with served(plugins=[Other]):
            pass
