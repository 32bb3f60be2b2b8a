from typing import Any

import orjson
import pytest

from llmproxy.caching.board import Board, Purged
from llmproxy.caching.entry import Entry
from llmproxy.caching.purges import Purge, PurgeOrder
from llmproxy.caching.space import CacheSpace
from llmproxy.caching.spaces import Spaces
from llmproxy.caching.tags import entry_slots
from llmproxy.errors import GatewayError
from llmproxy.metrics import Metrics
from llmproxy.stores.memory import MemoryStore


def space(name: str) -> CacheSpace:
    return CacheSpace(name, MemoryStore(), Board(), Metrics())


async def filled(name: str) -> CacheSpace:
    made = space(name)
    for tag in ("a", "b"):
        slots = entry_slots(tenant="t", route="r", tags=[tag])
        await made.put(tag.encode(), Entry(200, b"", b"", mark=made.now(), slots=slots), 60)
    return made


def held(made: CacheSpace) -> str:
    """Say of which tags entries are found, with a star if they are stale."""
    found = {tag: made.peek(tag.encode()) for tag in ("a", "b")}
    return " ".join(tag + "*" * each.stale for tag, each in found.items() if each is not None)


async def test_an_order_is_done_in_every_store_that_is_held() -> None:
    one, other, spaces = await filled("one"), await filled("other"), Spaces()
    with spaces.hold("one", one), spaces.hold("other", other):
        done = await spaces.purge(PurgeOrder((Purge("tag", ("a",)), Purge("tag", ("b",), soft=True))))

    assert done.stores.keys() == {"one", "other"}
    assert done.everywhere
    assert held(one) == held(other) == "b*"


async def test_an_order_that_names_a_store_is_done_there_alone() -> None:
    one, other, spaces = await filled("one"), await filled("other"), Spaces()
    with spaces.hold("one", one), spaces.hold("other", other):
        done = await spaces.purge(PurgeOrder((Purge("all"),), "one"))

    assert done.stores.keys() == {"one"}
    assert (held(one), held(other)) == ("", "a b")


async def test_a_store_that_nobody_holds_is_none() -> None:
    one, spaces = space("one"), Spaces()
    with spaces.hold("one", one), spaces.hold("one", one):
        pass
    with pytest.raises(GatewayError, match="No store is used as a cache"):
        spaces.find()
    with spaces.hold("other", one), pytest.raises(GatewayError) as caught:
        await spaces.purge(PurgeOrder((Purge("all"),), "one"))

    assert caught.value.status == 404
    assert "used: other" in caught.value.message


async def test_what_one_store_could_not_tell_the_others_is_told() -> None:
    one, spaces = space("one"), Spaces()
    answers = iter([Purged(1, everywhere=False), Purged(2)])

    async def purge(*_: object, **__: object) -> Purged:
        return next(answers)

    patched: Any = one
    patched.purge = purge
    with spaces.hold("one", one):
        done = await spaces.purge(PurgeOrder((Purge("tag", ("a",)), Purge("tag", ("b",), soft=True))))

    assert done.stores == {"one": Purged(2, everywhere=False)}
    assert not done.everywhere
    assert done.reply().status == 503
    assert done._replace(stores={"one": Purged(2)}).reply().body == orjson.dumps(
        {"purged": True, "tags": 2, "stores": {"one": 2}}
    )
