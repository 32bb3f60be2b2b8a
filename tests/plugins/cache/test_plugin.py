"""The cache in a real pipeline, before a scripted upstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    STORES,
    answering,
    bench,
    body,
    completion,
    status,
)

import llmproxy_cache
from llmproxy.plugin import profile_table
from llmproxy.testing import PluginContract
from llmproxy_cache import CachePlugin


class TestContract(PluginContract):
    plugin_class = CachePlugin
    config: ClassVar[dict[str, Any]] = {"store": "answers"}
    route: ClassVar[dict[str, Any]] = {"profile": "faq"}
    more: ClassVar[dict[str, Any]] = STORES


async def test_the_second_of_two_equal_questions_is_a_hit() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        first, second = await b.ask(), await b.ask({**ASK, "stream": False, "user": "x"})

        assert b.calls == 1
        assert status(first) == "llmproxy; fwd=miss; fwd-status=200"
        assert status(second) == "llmproxy; hit; ttl=300"
        assert body(second) == body(first)
        assert second.reply.headers.get("age") == "0"
        assert second.exchange.outcome.cache == "hit"


async def test_two_tenants_make_two_calls() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask(tenant="one")
        other = await b.ask(tenant="two")

        assert b.calls == 2
        assert "miss" in status(other)


async def test_nothing_is_kept_by_default() -> None:
    async with bench(answering(completion())) as b:
        await b.ask()
        second = await b.ask()

        assert b.calls == 2
        assert status(second) == 'llmproxy; fwd=bypass; fwd-status=200; detail="stateless"'
        assert second.reply.headers.get("cache-control") == "private, no-store"


async def test_an_unknown_call_goes_past_the_cache() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        assert 'detail="unknown-call"' in status(await b.ask(path="/v1/batches"))
        assert 'detail="method"' in status(await b.ask(b"", path="/v1/files", method="GET"))


def test_the_readme_shows_the_profiles_as_they_are() -> None:
    readme = Path(llmproxy_cache.__file__).with_name("README.md").read_text(encoding="utf-8")

    assert profile_table() in readme
