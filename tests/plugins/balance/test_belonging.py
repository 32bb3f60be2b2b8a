"""Requests go back to who made what they refer to, and to where their session is warm."""

import asyncio

import orjson
import pytest

from llmproxy.body import Body
from llmproxy.decode import decode_struct
from llmproxy.plugin import Attempt, Caller, Clock, Endpoint, Reply, Usage
from llmproxy.pools import compile_pools
from llmproxy.poolsettings import PoolConfig
from llmproxy.testing import make_exchange
from llmproxy_balance.belonging import Belonging
from llmproxy_balance.belongingsettings import AffinitySettings
from llmproxy_balance.origins import Origins

SESSIONS = AffinitySettings(by=("session",))


class Alone:
    async def publish(self, topic, payload):
        pass


class Prices:
    """What a token costs plain and cached, by upstream, in microdollars for a million."""

    def __init__(self, **prices):
        self.prices = prices

    def price(self, endpoint, usage: Usage, asked=None):
        plain, cached = self.prices.get(endpoint.upstream, (None, None))
        return plain if usage.input else cached

    async def load(self):
        pass


class Still(Clock):
    at = 0.0

    def __init__(self):
        self.now = lambda: self.at


@pytest.fixture
async def started():
    tasks = []
    yield lambda work, name: tasks.append(asyncio.ensure_future(work))
    await asyncio.gather(*tasks)


@pytest.fixture
def made(started):
    return lambda **prices: Belonging(Origins(Alone()), {}, Prices(**prices), Still(), started)


def pools(**trees):
    configs = {name: decode_struct(PoolConfig, tree, name) for name, tree in trees.items()}
    return compile_pools(configs, lambda pool, ref: None)


def asking(body=b"{}", tenant="t", **how):
    exchange = make_exchange(
        path="/v1/responses", body=body, caller=Caller(tenant), endpoints=[Endpoint("a")], **how
    )
    exchange.client_face = object()
    exchange._body = body if isinstance(body, bytes) else orjson.dumps(body)
    exchange.attempts.append(Attempt(1, Endpoint("a"), 0.0))
    return exchange


def session(name):
    return asking({"user": name})


async def chosen(belonging, exchange, pool, settings=SESSIONS):
    await belonging.prepare(exchange, pool, settings)
    return belonging.prefer(exchange, pool, pool.places)


async def answered(belonging, exchange, pool, place, body):
    reply = Reply(200, body=body)
    exchange.endpoint = place.endpoint
    belonging.read(exchange, reply)
    await asyncio.sleep(0.01)


async def test_a_session_comes_back(made):
    pool, belonging = pools(p=["a", "b", "c"])["p"], made()
    first = await chosen(belonging, session("ann"), pool)

    assert first in pool.places
    assert await chosen(belonging, session("ann"), pool) is first
    assert len({(await chosen(belonging, session(f"u{n}"), pool)).name for n in range(30)}) == 3


async def test_a_session_that_was_answered_elsewhere_stays_there(made):
    pool, belonging = pools(p=["a", "b"])["p"], made()
    exchange = session("ann")
    first = await chosen(belonging, exchange, pool)
    [other] = [place for place in pool.places if place is not first]
    belonging.served(exchange, other)

    assert await chosen(belonging, session("ann"), pool) is other


async def test_it_stays_in_the_pool_that_answered_too(made):
    made_pools, belonging = pools(p=[{"pool": "x"}, {"pool": "y"}], x=["a"], y=["b"]), made()
    pool = made_pools["p"]
    exchange = session("ann")
    first = await chosen(belonging, exchange, pool)
    [other] = [place for place in pool.places if place is not first]
    belonging.served(exchange, other.pool.places[0])

    assert await chosen(belonging, session("ann"), pool) is other


async def test_nobody_is_held_where_a_cached_prompt_costs_as_much(made):
    pool = pools(p=["a/m", "b/m"])["p"]

    assert await chosen(made(a=(5, 5), b=(5, 5)), session("ann"), pool) is None
    assert await chosen(made(a=(5, 1), b=(5, 5)), session("ann"), pool) is not None
    assert await chosen(made(a=(5, 5), b=(None, None)), session("ann"), pool) is not None
    always = AffinitySettings(by=("session",), always=True)
    assert await chosen(made(a=(5, 5), b=(5, 5)), session("ann"), pool, always) is not None


async def test_what_an_answer_made_goes_back_to_its_maker_and_nowhere_else(made):
    pool, belonging = pools(p=["a", "b"])["p"], made()
    await answered(belonging, asking(), pool, pool.places[1], orjson.dumps({"id": "resp_12345678"}))
    exchange = asking({"previous_response_id": "resp_12345678"})

    assert await chosen(belonging, exchange, pool) is pool.places[1]
    assert (
        belonging.gate(exchange, pool.places[0]) == "what the request refers to is held by another upstream"
    )
    assert belonging.gate(exchange, pool.places[1]) == ""


async def test_signed_reasoning_had_better_go_back_and_may_go_elsewhere(made):
    pool, belonging = pools(p=["a", "b"])["p"], made()
    body = Body()
    exchange = asking()
    exchange.endpoint = pool.places[1].endpoint
    belonging.read(exchange, Reply(200, body=body))
    body.attach(Nobody())
    body.feed(b'data: {"delta":{"type":"signature_delta","signa')
    body.feed(b'ture":"0123456789abcdef"}}\n\n')
    await asyncio.sleep(0.01)
    exchange = asking({"messages": [{"content": [{"signature": "0123456789abcdef"}]}]})

    assert await chosen(belonging, exchange, pool) is pool.places[1]
    assert belonging.gate(exchange, pool.places[0]) == ""


async def test_it_comes_before_the_session(made):
    pool, belonging = pools(p=["a", "b"])["p"], made()
    at_home = await chosen(belonging, session("ann"), pool)
    [other] = [place for place in pool.places if place is not at_home]
    await answered(belonging, asking(), pool, other, orjson.dumps({"id": "resp_12345678"}))
    exchange = asking({"user": "ann", "previous_response_id": "resp_12345678"})

    assert await chosen(belonging, exchange, pool) is other


async def test_another_tenants_items_lead_nowhere(made):
    pool, belonging = pools(p=["a", "b"])["p"], made()
    await answered(belonging, asking(), pool, pool.places[1], orjson.dumps({"id": "resp_12345678"}))
    exchange = asking({"previous_response_id": "resp_12345678"}, tenant="other")

    assert await chosen(belonging, exchange, pool) is None
    assert belonging.gate(exchange, pool.places[0]) == ""


async def test_a_pool_of_pools_leads_there_too(made):
    made_pools, belonging = pools(p=[{"pool": "x"}, {"pool": "y"}], x=["a"], y=["b", "c"]), made()
    pool = made_pools["p"]
    await answered(
        belonging, asking(), pool, pool.places[1].pool.places[0], orjson.dumps({"id": "resp_12345678"})
    )
    exchange = asking({"previous_response_id": "resp_12345678"})

    assert await chosen(belonging, exchange, pool) is pool.places[1]
    assert belonging.gate(exchange, pool.places[0]) != ""


class Nobody:
    def feed(self, data):
        pass

    def end(self):
        pass

    def fail(self, error):
        pass
