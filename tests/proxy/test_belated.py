"""What is told of later is accounted for once."""

import pytest

from llmproxy.belated import BATCH, TOLD, Belated, Spent, belated
from llmproxy.exchange import Attempt, Caller, Endpoint, Usage
from llmproxy.secondhand import Secondhand
from llmproxy.stores import StoreAway
from llmproxy.stores.memory import MemoryStore
from llmproxy.testing import make_exchange

TEXT = Spent("m", Usage(3, output=4))


@pytest.fixture
def store():
    return MemoryStore()


def told(store, name="batch_1", spent=(TEXT,), upstream="main", tenant="shop"):
    exchange = make_exchange(caller=Caller(tenant))
    exchange.attempts.append(Attempt(1, Endpoint(upstream), 0.0))

    async def open_memory():
        if isinstance(store, Exception):
            raise store
        return store

    exchange.route.open_memory = open_memory
    exchange.state[TOLD] = Belated(name, spent, BATCH)
    return exchange


async def test_all_who_ask_about_one_exchange_are_told_the_same(store):
    exchange = told(store)

    assert await belated(exchange) == await belated(exchange)
    assert await belated(exchange) == (
        Secondhand("belated", Endpoint("main", "m"), TEXT.usage, BATCH, "batch_1"),
    )
    assert (await belated(exchange))[0].tokens == 7


async def test_nobody_is_told_of_it_again(store):
    assert await belated(told(store))
    assert await belated(told(store)) == ()
    assert await belated(told(store, "batch_2"))
    assert await belated(told(store, upstream="other"))
    assert await belated(told(store, tenant="other"))


async def test_each_model_is_told_of(store):
    exchange = told(store, spent=(TEXT, Spent("", Usage(1))))

    assert [found.endpoint for found in await belated(exchange)] == [
        Endpoint("main", "m"),
        Endpoint("main"),
    ]


async def test_mostly_there_is_nothing(store):
    exchange = make_exchange()

    assert await belated(exchange) == ()
    exchange.state[TOLD] = Belated("batch_1", (TEXT,))
    assert await belated(exchange) == ()


async def test_without_a_memory_the_next_one_is_told(store):
    assert await belated(told(StoreAway())) == ()
    assert await belated(told(store))
