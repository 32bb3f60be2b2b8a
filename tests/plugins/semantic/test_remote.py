from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, cast

import numpy as np
import orjson
import pytest

from llmproxy.body import BodyTooLarge
from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.plugin import Runtime
from llmproxy.tasks import spawn
from llmproxy_semantic import remote
from llmproxy_semantic.canonical import NAME
from llmproxy_semantic.embedder import Unavailable
from llmproxy_semantic.embedding import MOST_ASKED, EmbeddingFault, Full, Purpose
from llmproxy_semantic.remote import Remote


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class Running:
    """What a runtime is to an upstream's embedder: gives the replies it was given, the last one for ever."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.clock = FakeClock()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        return spawn(work, name=name)

    async def ask(self, upstream: str, target: str, body: bytes, *, within: float) -> Reply:
        self.asked.append((upstream, target, orjson.loads(body)))
        await self.may_answer.wait()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def answer(*numbers: float) -> Reply:
    data = [{"object": "embedding", "index": 0, "embedding": numbers}]
    return Reply(200, body=orjson.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": 3}}))


def embedder(running: Running) -> Remote:
    return Remote("openai", "small", cast("Runtime", running))


async def vector(of: Remote, text: str = "what is dns", purpose: Purpose = "lookup") -> Any:
    return await of.vector(text, purpose, lambda vector: None)


async def test_a_vector_is_asked_of_the_upstream_and_made_of_unit_length() -> None:
    running = Running(answer(3.0, 0.0, 4.0))
    opened = embedder(running)
    before = opened.dims
    got = await vector(opened)

    assert got.tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert got.dtype == np.float32
    assert (before, opened.dims, opened.id) == (0, 3, f"openai/small/{NAME}")
    asked = {"model": "small", "input": "what is dns", "encoding_format": "float"}
    assert running.asked == [("openai", "/embeddings", asked)]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(500, body=b""), "500"),
        (Reply(200, body=b"<html>"), "no embedding"),
        (Reply(200, body=b'{"data":[]}'), "no embedding"),
        (Reply(200, body=b'{"data":[{"embedding":[]}]}'), "no embedding"),
        (Reply(200, body=b'{"data":[{"embedding":"AAAA"}]}'), "no embedding"),
        (answer(0.0, 0.0), "no embedding"),
        (answer(1e308, 1e308), "no embedding"),
        (GatewayError(504, "upstream_timeout", "late"), "upstream_timeout"),
        (BodyTooLarge(), "too large"),
    ],
)
async def test_what_is_no_embedding_is_a_fault(reply: Reply | Exception, why: str) -> None:
    with pytest.raises(EmbeddingFault, match=why):
        await vector(embedder(Running(reply)))


async def test_an_upstream_that_there_is_not_is_told() -> None:
    with pytest.raises(Unavailable, match="no upstream 'openai'"):
        await vector(embedder(Running(LookupError("there is no upstream 'openai'"))))


async def test_vectors_of_another_length_than_before_are_refused() -> None:
    opened = embedder(Running(answer(1.0, 0.0), answer(1.0, 0.0, 0.0)))
    await vector(opened)

    with pytest.raises(EmbeddingFault, match="had 2 numbers, and have 3"):
        await vector(opened)


async def test_who_fails_is_not_asked_for_a_while_that_grows() -> None:
    running = Running(Reply(500), Reply(500), answer(1.0))
    opened = embedder(running)
    asked = []
    for now in (0.0, 0.4, 0.6, 1.5, 1.7):
        running.clock.time = now
        with suppress(EmbeddingFault):
            await vector(opened)
        asked.append(len(running.asked))

    assert asked == [1, 1, 2, 2, 3]


async def test_who_stops_waiting_has_its_vector_handed_over() -> None:
    running = Running(answer(1.0))
    running.may_answer.clear()
    opened, late = embedder(running), []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await opened.vector("a", "lookup", late.append)
    running.may_answer.set()
    while not late:
        await asyncio.sleep(0)

    assert late[0].tolist() == [1.0]


async def test_too_many_questions_are_refused_and_stored_texts_wait_for_each_other() -> None:
    running = Running(answer(1.0))
    running.may_answer.clear()
    opened = embedder(running)
    await opened.ready()
    stored = [asyncio.ensure_future(vector(opened, str(number), "store")) for number in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    at_once = len(running.asked)
    asked = [asyncio.ensure_future(vector(opened, str(number))) for number in range(MOST_ASKED)]
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await vector(opened)
    running.may_answer.set()
    await asyncio.gather(*stored, *asked)

    assert at_once == 2
    assert len(running.asked) == 5 + MOST_ASKED
    assert await vector(opened) is not None


async def test_who_asks_the_same_at_once_waits_for_the_same() -> None:
    running = Running(answer(1.0))
    opened = embedder(running)
    vectors = await asyncio.gather(*(vector(opened) for _ in range(3)))

    assert all(vector.tolist() == [1.0] for vector in vectors)
    assert len(running.asked) == 1


async def test_numpy_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(remote, "import_module", missing)

    with pytest.raises(Unavailable, match=r"llmproxy-gateway\[semantic\]"):
        await embedder(Running(answer(1.0))).ready()
