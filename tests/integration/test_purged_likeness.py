"""What a gateway answers in other words: never what was purged, never in another form than was asked for.

Its upstream gives each prompt back, so every answer tells whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest

from llmproxy.testing import RawClient, RawReply, RunningGateway, running_gateway
from llmproxy_semantic.thresholds import MEASURED

STORED = "How do I reset my router?"
#: In one form with what is stored, and alike.
OTHERWISE = {"canonical": "hi, how do I reset my router? thanks", "semantic": "How can I reset my router?"}
#: A stream that does not tell its usage is no answer to who wants none.
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
HEAD = b"POST %b HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"


class Blind:
    """An embedder for which all questions lie at one place."""

    id, dims = f"{MEASURED}blind", 64

    async def vector(self, text: str, within: float) -> Any:
        return np.full(self.dims, 1 / 8, np.float32)

    def embed_later(self, text: str, then: Callable[[Any], None]) -> None:
        then(np.full(self.dims, 1 / 8, np.float32))


@asynccontextmanager
async def blind(*_: object) -> AsyncIterator[Blind]:
    yield Blind()


def config(**cache: Any) -> dict[str, Any]:
    kept = {"ttl": "5m", "sampled": True, "invalidation": "tags", "tags": ["howto"], **cache}
    return {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:ADMIN}"},
        "stores": {"answers": "memory://"},
        "upstreams": {"demo": {"base_url": "http://demo.invalid", "dialect": "demo"}},
        "plugins": {"semantic": {"policy": "strict"}, "cache": {"store": "answers"}},
        "routes": [
            {"name": "faq", "upstream": "demo", "plugins": [{"semantic": {"within": "5s"}}, {"cache": kept}]}
        ],
    }


class Asking:
    """A gateway, and who asks it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway

    async def ask(self, text: str, *, path: str = "/v1/chat/completions", **more: Any) -> RawReply:
        headers = b"".join(b"%b: %b\r\n" % pair for pair in more.pop("headers", ()))
        turns = [{"role": "user", "content": text}]
        body = orjson.dumps({"model": "demo/echo", "temperature": 0, "messages": turns, **more})
        async with RawClient(self._gateway.url, timeout=10.0) as client:
            reply = await client.exchange(HEAD % (path.encode(), headers, len(body), body))
        assert reply.status == 200, reply.body
        await self._settle()
        return reply

    async def purge(self, **what: Any) -> None:
        body = orjson.dumps(what)
        token = b"Authorization: Bearer a-token-of-the-admin\r\n"
        async with RawClient(self._gateway.admin_url, timeout=10.0) as client:
            reply = await client.exchange(HEAD % (b"/cache/purge", token, len(body), body))
        assert reply.status == 200, reply.body

    async def _settle(self) -> None:
        """Wait until what was asked is kept and found."""
        names = ("flight-keep", "cache-store", "semantic:embed", "semantic:keep-row", "semantic:forget-row")
        while work := [task for task in asyncio.all_tasks() if task.get_name() in names]:
            await asyncio.wait(work)
        await asyncio.sleep(0)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr("llmproxy_semantic.plugin.open_embedding", blind)
    monkeypatch.setenv("ADMIN", "a-token-of-the-admin")

    @asynccontextmanager
    async def run(**cache: Any) -> AsyncIterator[Asking]:
        async with running_gateway(config(**cache)) as gateway:
            yield Asking(gateway)

    return run


def tier(reply: RawReply) -> str:
    status = reply.header("cache-status") or ""
    return status.partition('detail="')[2].partition('"')[0] if "; hit" in status else ""


PURGES: list[dict[str, Any]] = [
    {"tags": ["howto"]},
    {"tags": ["howto"], "soft": True},
    {"routes": ["faq"]},
    {"models": ["demo/echo"]},
    {"all": True},
    {"all": True, "soft": True},
]


@pytest.mark.parametrize("found", OTHERWISE)
@pytest.mark.parametrize("purged", PURGES, ids=str)
async def test_what_is_purged_is_answered_in_no_words(
    asking: Any, found: str, purged: dict[str, Any]
) -> None:
    async with asking() as gateway:
        await gateway.ask(STORED)
        before = await gateway.ask(OTHERWISE[found])
        await gateway.purge(**purged)
        after = await gateway.ask(OTHERWISE[found])

        assert tier(before) == found
        assert STORED.encode() in before.body
        assert tier(after) == ""
        assert OTHERWISE[found].encode() in after.body


@pytest.mark.parametrize("found", OTHERWISE)
async def test_what_has_ended_is_answered_in_no_words(asking: Any, found: str) -> None:
    async with asking(ttl="1s", stale_while_revalidate="1m") as gateway:
        await gateway.ask(STORED)
        before = await gateway.ask(OTHERWISE[found])
        await asyncio.sleep(1.1)

        assert (tier(before), tier(await gateway.ask(OTHERWISE[found]))) == (found, "")


async def test_a_refreshed_answer_is_the_one_that_other_words_find(asking: Any) -> None:
    async with asking() as gateway:
        await gateway.ask(STORED)
        loud = await gateway.ask(STORED.upper(), headers=[(b"x-llmproxy-cache", b"refresh")])
        found = await gateway.ask(OTHERWISE["canonical"])

        assert tier(loud) == ""
        assert tier(found) == "canonical"
        assert STORED.upper().encode() in found.body


@pytest.mark.parametrize("found", OTHERWISE)
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_stream_answers_who_wants_none_and_the_other_way(
    asking: Any, found: str, *, streamed: bool
) -> None:
    async with asking() as gateway:
        await gateway.ask(STORED, **(STREAM if streamed else {}))
        reply = await gateway.ask(OTHERWISE[found], **({} if streamed else STREAM))
        kind = reply.header("content-type") or ""

        assert tier(reply) == found
        assert kind.startswith("application/json" if streamed else "text/event-stream")
        assert reply.body.rstrip().endswith(b"}" if streamed else b"data: [DONE]")


@pytest.mark.parametrize("found", OTHERWISE)
@pytest.mark.parametrize("across", [True, False])
async def test_no_dialect_is_answered_in_anothers_words(asking: Any, found: str, *, across: bool) -> None:
    async with asking(across_dialects=across) as gateway:
        await gateway.ask(STORED, max_tokens=100)
        reply = await gateway.ask(OTHERWISE[found], path="/v1/messages", max_tokens=100)

        assert orjson.loads(reply.body)["type"] == "message"
        assert tier(reply) in ("", found)
