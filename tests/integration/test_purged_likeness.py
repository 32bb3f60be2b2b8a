"""What a gateway answers in other words: never what was purged, never in another form than was asked for.

Its upstream gives each prompt back, so every answer tells whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from tests.blind import blind

from llmproxy.testing import running_gateway

from .otherwise import ADMIN, OTHERWISE, STORED, Asking, tier

#: A stream that does not tell its usage is no answer to who wants none.
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


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


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr("llmproxy_semantic.plugin.open_embedding", blind)
    monkeypatch.setenv("ADMIN", ADMIN)

    @asynccontextmanager
    async def run(**cache: Any) -> AsyncIterator[Asking]:
        async with running_gateway(config(**cache)) as gateway:
            yield Asking(gateway)

    return run


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
