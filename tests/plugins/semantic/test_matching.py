"""What the cache is told of a question, straight from who knows."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from llmproxy.bus import Bus
from llmproxy.caching.openspace import open_watched
from llmproxy.metrics import Metrics
from llmproxy.plugin import Answered, Asked, CacheSpace, Entry, Kin, Runtime
from llmproxy.stores import open_store
from llmproxy.tasks import spawn
from llmproxy.testing import make_exchange
from llmproxy_semantic.config import SemanticRoute
from llmproxy_semantic.matching import Matching, _known


class Running:
    """What a runtime is to the matching."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        self.tasks.append(spawn(work, name=name))


@pytest.fixture
async def space():
    async with open_watched("main", open_store("memory://"), Metrics(), Bus(None, 0)) as opened:
        yield opened


def asked(question: str, partition: bytes = b"p") -> Asked:
    return Asked(partition, question, {}, 0.0, settled=True)


def answered(space: CacheSpace) -> Answered:
    return Answered(space, b"exact", Entry(200, b"", b"{}", mark=space.now(), slots=(), stored=1), 60.0)


async def test_an_answer_is_found_by_any_words_of_its_questions_form(space: CacheSpace) -> None:
    matching = Matching(cast("Runtime", Running()), SemanticRoute())
    await matching.stored(make_exchange(), asked("What's DNS?"), answered(space))

    assert await matching.find(make_exchange(), asked("what is dns"), space) == Kin(b"exact", "canonical")
    assert await matching.find(make_exchange(), asked("what is dns", b"q"), space) is None
    assert await matching.find(make_exchange(), asked("what is tls"), space) is None


async def test_what_led_to_an_answer_that_is_gone_is_forgotten(space: CacheSpace) -> None:
    running = Running()
    matching = Matching(cast("Runtime", running), SemanticRoute())
    await matching.stored(make_exchange(), asked("What's DNS?"), answered(space))
    matching.lost(asked("what is dns"), Kin(b"exact", "canonical"), space)
    await asyncio.gather(*running.tasks)

    assert await matching.find(make_exchange(), asked("what is dns"), space) is None


async def test_only_short_questions_are_remembered(space: CacheSpace) -> None:
    matching = Matching(cast("Runtime", Running()), SemanticRoute())
    _known.cache_clear()
    for question in ("What is DNS?", "What is DNS? " * 500):
        await matching.find(make_exchange(), asked(question), space)

    assert _known.cache_info().currsize == 1
