"""Questions that mean the same, as somebody above the cache knows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    STORES,
    Bench,
    Hands,
    answering,
    body,
    completion,
    status,
)

from llmproxy.caches import tag_slots
from llmproxy.plugin import (
    KIN,
    Answered,
    Asked,
    CacheSpace,
    Exchange,
    Kin,
    NoConfig,
    Plugin,
    Reply,
    StoredReply,
    hookimpl,
)
from llmproxy.testing import FakeUpstream, make_process, running_route
from llmproxy_cache import CachePlugin


class Shouting(Plugin[NoConfig]):
    """Takes capitals for small letters."""

    known: dict[tuple[bytes, str], bytes]
    asked: list[Asked]
    lost_kin: list[bytes]
    space: CacheSpace
    fresh: StoredReply
    others: list[StoredReply | None]

    def __init__(self, name: str, config: NoConfig) -> None:
        super().__init__(name, config)
        self.known, self.asked, self.lost_kin = {}, [], []
        Shouting.last = self

    last: Shouting

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        exchange.state[KIN] = self
        return None

    async def find(self, exchange: Exchange, asked: Asked, space: CacheSpace) -> Kin | None:
        self.asked.append(asked)
        key = self.known.get((asked.partition, asked.question.lower()))
        return None if key is None else Kin(key, "canonical")

    def lost(self, asked: Asked, kin: Kin, space: CacheSpace) -> None:
        self.lost_kin.append(kin.key)
        del self.known[asked.partition, asked.question.lower()]

    async def stored(self, exchange: Exchange, asked: Asked, answered: Answered) -> None:
        self.space = answered.space
        assert answered.fresh is not None
        self.fresh = answered.fresh.reply
        self.others = [await answered.fresh.other(key) for key in self.known.values()]
        self.known[asked.partition, asked.question.lower()] = answered.key


@asynccontextmanager
async def shouting(*answers: Any, **route: Any) -> AsyncIterator[tuple[Bench, Shouting]]:
    upstream, clock = FakeUpstream(), Hands()
    answering(*answers)(upstream)
    async with (
        upstream,
        running_route(
            {"shouting": {"use": Shouting}, "cache": {"use": CachePlugin, "store": "answers"}},
            upstream=upstream,
            dialect="openai",
            options={"cache": {**KEEP, **route}},
            config=STORES,
            process=make_process(clock),
        ) as serving,
    ):
        yield Bench(serving, upstream, clock), Shouting.last


def saying(text: str, **more: Any) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": text}], **more}


async def test_a_question_of_the_same_meaning_is_answered_from_what_is_kept_and_says_how() -> None:
    async with shouting(completion("Paris")) as (b, _):
        await b.ask(saying("capital of france?"))
        served = await b.ask(saying("CAPITAL OF FRANCE?"))

        assert body(served)["choices"][0]["message"]["content"] == "Paris"
        assert 'hit; ttl=300; detail="canonical"' in status(served)
        assert served.exchange.outcome.cache == "hit"
        assert b.calls == 1


async def test_a_stream_gets_the_same_answer_as_events() -> None:
    async with shouting(completion("Paris")) as (b, _):
        await b.ask(saying("capital of france?"))
        served = await b.ask(saying("CAPITAL OF FRANCE?", stream=True))

        assert b"Paris" in bytes(served.reply.body)  # type: ignore[arg-type]
        assert b.calls == 1


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.0001},
        {"model": "gpt-4o"},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"seed": 5},
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "CAPITAL OF FRANCE?"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "CAPITAL OF FRANCE?"},
            ]
        },
    ],
    ids=lambda other: next(iter(other)) + str(len(other.get("messages", []))),
)
async def test_where_anything_else_differs_questions_are_not_even_compared(other: dict[str, Any]) -> None:
    async with shouting(completion("Paris"), completion("no"), sampled=True) as (b, knows):
        await b.ask(saying("capital of france?"))
        await b.ask({**saying("CAPITAL OF FRANCE?"), **other})

        assert b.calls == 2
        assert knows.asked[0].partition != knows.asked[1].partition


async def test_who_knows_may_compare_a_fresh_answer_with_one_that_would_have_been_served() -> None:
    async with shouting(completion("Paris"), completion("Rome"), completion("Oslo")) as (b, knows):
        await b.ask(saying("capital of france?"))
        await b.ask(saying("capital of italy?", stream=True))
        (other,) = knows.others

        assert b"Rome" in knows.fresh.body
        assert other is not None
        assert other.body.startswith(b"data: ")
        assert b"Paris" in other.body
        b.clock.passed = 301.0
        await b.ask(saying("capital of norway?"))
        assert knows.others == [None, None]


async def test_tenants_have_nothing_in_common() -> None:
    async with shouting(completion("Paris")) as (b, _):
        await b.ask(saying("capital of france?"))
        await b.ask(saying("CAPITAL OF FRANCE?"), tenant="other")

        assert b.calls == 2


async def test_what_was_purged_or_is_stale_is_not_served_and_is_told_as_lost() -> None:
    async with shouting(completion("Paris")) as (b, knows):
        await b.ask(saying("capital of france?"))
        await knows.space.purge(tag_slots("all", tenant="t"))
        await b.ask(saying("CAPITAL OF FRANCE?"))
        b.clock.passed = 301
        await b.ask(saying("Capital of France?"))

        assert b.calls == 3
        assert len(knows.lost_kin) == 2


async def test_callers_who_say_anything_to_the_cache_get_their_own_question_answered() -> None:
    async with shouting(completion("Paris")) as (b, _):
        await b.ask(saying("capital of france?"))
        await b.ask(saying("CAPITAL OF FRANCE?"), cache_control="max-age=100")

        assert b.calls == 2


async def test_a_conversation_that_ends_with_a_tools_result_has_no_question() -> None:
    async with shouting(completion("Paris")) as (b, knows):
        turns = [
            {"role": "user", "content": "f of 5?"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "25"},
        ]
        await b.ask({**ASK, "messages": turns})

        assert knows.asked == []
