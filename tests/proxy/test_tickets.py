"""Whoever shows a ticket is the caller who was given it."""

from types import SimpleNamespace

import pytest

from llmproxy.exchange import Caller
from llmproxy.stores import StoreAway
from llmproxy.stores.memory import MemoryStore
from llmproxy.testing import make_exchange
from llmproxy.tickets import keep_ticket, ticket_holder

TICKET = "AJjja9Z6EghMkTd5in1efI"
CALLER = Caller("shop", "web", (("team", "search"),))


@pytest.fixture
def store():
    return MemoryStore()


def asking(store, ticket=None, caller=None, route="models"):
    exchange = make_exchange(caller=caller) if caller else make_exchange()
    exchange.route.name = route

    async def open_memory():
        return store

    exchange.route.open_memory = open_memory
    exchange.client_face = SimpleNamespace(ticket=lambda request: ticket)
    return exchange


async def test_who_shows_it_is_who_was_given_it(store):
    await keep_ticket(asking(store, caller=CALLER), TICKET)

    assert await ticket_holder(asking(store, TICKET)) == CALLER


@pytest.mark.parametrize("ticket", [None, "", "short", "x" * 2000, TICKET + "x"])
async def test_nothing_else_is_one(store, ticket):
    await keep_ticket(asking(store, caller=CALLER), TICKET)

    assert await ticket_holder(asking(store, ticket)) is None


@pytest.mark.parametrize("ticket", ["short", "x" * 2000])
async def test_what_may_be_guessed_is_not_kept(store, ticket):
    await keep_ticket(asking(store, caller=CALLER), ticket)

    assert store.extent().entries == 0


async def test_it_is_good_on_its_own_route_alone(store):
    await keep_ticket(asking(store, caller=CALLER), TICKET)

    assert await ticket_holder(asking(store, TICKET, route="other")) is None


async def test_a_dialect_without_tickets_has_none(store):
    exchange = asking(store)
    for face in (None, SimpleNamespace()):
        exchange.client_face = face

        assert await ticket_holder(exchange) is None


async def test_a_store_that_is_away_knows_none():
    class Away:
        async def set(self, *_, **__):
            raise StoreAway

        get = set

    await keep_ticket(asking(Away(), caller=CALLER), TICKET)

    assert await ticket_holder(asking(Away(), TICKET)) is None
