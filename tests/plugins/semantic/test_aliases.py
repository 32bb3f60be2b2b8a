"""What stands under a question's form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.bus import Bus
from llmproxy.caches import entry_slots, tag_slots
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, CacheSpace, Entry
from llmproxy.stores import open_store
from llmproxy_semantic.aliases import alias_key, drop_alias, find_alias, put_alias

KEY = b"t\0route\0exact"


def answer(space: CacheSpace, ttl: float = 60.0) -> Answered:
    slots = entry_slots(tenant="t", route="r", model="m", key=KEY, tags=("docs",))
    return Answered(space, KEY, Entry(200, b"", b"{}", mark=space.now(), slots=slots, stored=1), ttl)


@pytest.fixture
async def space():
    async with open_watched("main", open_store("memory://"), Metrics(), Bus(None, 0)) as opened:
        yield opened


async def test_a_form_leads_to_the_key_of_its_answer_in_its_partition_alone(space: CacheSpace) -> None:
    await put_alias(b"p", "what is dns", answer(space))

    assert await find_alias(space, b"p", "what is dns") == KEY
    assert await find_alias(space, b"q", "what is dns") is None
    assert await find_alias(space, b"p", "what is tls") is None


async def test_what_purges_an_answer_purges_what_leads_to_it(space: CacheSpace) -> None:
    await put_alias(b"p", "what is dns", answer(space))
    await space.purge(tag_slots("tag", "docs", tenant="t"))

    assert await find_alias(space, b"p", "what is dns") is None


async def test_what_is_stale_by_a_soft_purge_leads_nowhere(space: CacheSpace) -> None:
    await put_alias(b"p", "what is dns", answer(space))
    await space.purge(tag_slots("tag", "docs", tenant="t"), soft=True)

    assert await find_alias(space, b"p", "what is dns") is None


async def test_a_form_can_be_forgotten(space: CacheSpace) -> None:
    await put_alias(b"p", "what is dns", answer(space))
    await drop_alias(space, b"p", "what is dns")

    assert await find_alias(space, b"p", "what is dns") is None


async def test_an_answer_that_stands_where_an_alias_would_is_none(space: CacheSpace) -> None:
    answered = answer(space)
    await space.put(alias_key(b"p", "what is dns"), answered.entry, 60)

    assert await find_alias(space, b"p", "what is dns") is None


@given(st.binary(max_size=8), st.text(max_size=8), st.binary(max_size=8), st.text(max_size=8))
def test_two_partitions_or_forms_never_have_one_key(
    one: bytes, form: str, other: bytes, other_form: str
) -> None:
    same = alias_key(one, form) == alias_key(other, other_form)

    assert same == ((one, form) == (other, other_form))
