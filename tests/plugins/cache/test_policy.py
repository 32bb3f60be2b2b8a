"""Who shares, and what a caller may wish for."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    answering,
    bench,
    completion,
    status,
)


@pytest.mark.parametrize(
    ("scope", "same", "other"),
    [
        ("key", {"key": "a"}, {"key": "b"}),
        ("team", {"team": "red"}, {"team": "blue"}),
        ("end-user", {"body": {**ASK, "user": "ann"}}, {"body": {**ASK, "user": "bob"}}),
        ("tenant", {"key": "a"}, {"tenant": "u"}),
    ],
)
async def test_a_scope_says_who_shares(scope: str, same: dict[str, Any], other: dict[str, Any]) -> None:
    async with bench(answering(completion()), **KEEP, scope=scope) as b:
        await b.ask(**same)

        assert "hit" in status(await b.ask(**same))
        assert "fwd=miss" in status(await b.ask(**other))


async def test_strangers_share_where_the_route_says_so() -> None:
    async with bench(answering(completion()), **KEEP, scope="public") as b:
        await b.ask(tenant="one")

        assert "hit" in status(await b.ask(tenant="two"))


async def test_nobody_shares_what_names_nobody() -> None:
    async with bench(answering(completion()), **KEEP, scope="end-user") as b:
        await b.ask()

        assert status(await b.ask()) == 'llmproxy; fwd=bypass; fwd-status=200; detail="no-end-user"'
        assert b.calls == 2


async def test_a_wish_for_longer_is_bounded_by_the_route() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask(x_llmproxy_cache="ttl=1d")
        b.clock.passed = 301

        assert "fwd=stale" in status(await b.ask())
    async with bench(answering(completion()), **KEEP, max_ttl="1h") as b:
        await b.ask(x_llmproxy_cache="ttl=1d")
        b.clock.passed = 3599

        assert "hit" in status(await b.ask())


async def test_a_wish_for_fewer_sharers_holds_and_one_for_more_does_not() -> None:
    async with bench(answering(completion()), **KEEP) as b:
        await b.ask(key="a", x_llmproxy_cache="scope=key")

        assert "miss" in status(await b.ask(key="b", x_llmproxy_cache="scope=key"))
        assert "hit" in status(await b.ask(key="a", x_llmproxy_cache="ttl=1m; scope=key"))
        await b.ask(tenant="one", x_llmproxy_cache="scope=public")
        assert "miss" in status(await b.ask(tenant="two", x_llmproxy_cache="scope=public"))
