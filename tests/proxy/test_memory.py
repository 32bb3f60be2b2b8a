import pytest
from structlog.testing import capture_logs

from llmproxy.exchange import Caller
from llmproxy.memory import KEPT, LONGEST, StoreMemory
from llmproxy.stores import StoreAway
from llmproxy.testing import make_exchange


class Store:
    """A dictionary that notes how long each value shall live."""

    def __init__(self):
        self.values = {}
        self.lives = set()

    async def get(self, key):
        return self.values.get(key)

    async def set(self, key, value, *, ttl):
        self.values[key] = value
        self.lives.add(ttl)

    async def delete(self, key):
        return self.values.pop(key, None) is not None


class Away:
    async def get(self, key):
        raise StoreAway("gone")

    async def set(self, key, value, *, ttl):
        raise StoreAway("gone")

    async def delete(self, key):
        raise StoreAway("gone")


def memory(store, *, tenant="t", route="r"):
    return StoreMemory(store, make_exchange(caller=Caller(tenant=tenant), route=route))


async def test_what_was_kept_is_there_until_it_is_dropped():
    kept = memory(Store())
    await kept.put("talk", "a", b"1")

    assert await kept.get("talk", "a") == b"1"
    assert await kept.get("talk", "b") is None
    assert await kept.drop("talk", "a")
    assert not await kept.drop("talk", "a")
    assert await kept.get("talk", "a") is None


async def test_values_do_not_stay_for_ever():
    store = Store()
    await memory(store).put("talk", "a", b"1")

    assert store.lives == {KEPT}


@pytest.mark.parametrize(
    ("other", "kind"), [({"tenant": "b"}, "talk"), ({"route": "s"}, "talk"), ({}, "signed")]
)
async def test_nobody_reads_what_is_another_tenants_routes_or_kinds(other, kind):
    store = Store()
    await memory(store, tenant="a").put("talk", "x", b"1")

    assert await memory(store, **{"tenant": "a", **other}).get(kind, "x") is None
    assert not await memory(store, **{"tenant": "a", **other}).drop(kind, "x")


async def test_what_is_too_long_is_not_kept():
    store = Store()
    await memory(store).put("talk", "a", bytes(LONGEST + 1))

    assert store.values == {}


async def test_a_store_that_is_away_has_kept_nothing_and_harms_nobody():
    kept = memory(Away())
    with capture_logs() as logs:
        await kept.put("talk", "a", b"1")

        assert await kept.get("talk", "a") is None
        assert not await kept.drop("talk", "a")

    assert {entry["event"] for entry in logs} == {"memory_away"}
