from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from llmproxy.plugin import (
    RESERVATIONS,
    Caller,
    CallNext,
    Exchange,
    NoConfig,
    Plugin,
    Reply,
    StoreAway,
    UpstreamRequest,
    hookimpl,
)
from llmproxy.runtime import Process
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.tasks import spawn
from llmproxy.testing import (
    FakeUpstream,
    PluginContract,
    Served,
    Serving,
    make_exchange,
    make_process,
    running_route,
)
from llmproxy_quota import QuotaPlugin

from .asking import MONEY, ask, names

STORES = {"stores": {"counters": {"url": "memory://"}}}
REQUESTS = {"name": "calls", "counts": "requests", "at_most": 2, "window": "month"}
TOKENS = {"name": "words", "counts": "tokens", "at_most": 10_000, "window": "month"}


class TestContract(PluginContract):
    plugin_class = QuotaPlugin
    config: ClassVar[dict[str, Any]] = {"store": "counters", "limits": [REQUESTS | {"at_most": 1000}]}
    more: ClassVar[dict[str, Any]] = STORES


class Twice(Plugin[NoConfig]):
    """Stands above an upstream and makes two attempts."""

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        await call_next(exchange)
        return await call_next(exchange)


class Never(Plugin[NoConfig]):
    """Stands below and lets nothing leave."""

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    upstream: FakeUpstream | None, *limits: dict[str, Any], process: Process | None = None, **more: Any
) -> AsyncIterator[Serving]:
    twice = {"twice": {"use": Twice}} if more.pop("twice", False) else {}
    if "other" in more:
        twice["other"] = more.pop("other")
    prices = more.pop("prices", {"upstream/*": {"input": 1, "output": 10}})
    table = {"use": QuotaPlugin, "store": "counters", "limits": list(limits), **more}
    config = {
        **STORES,
        "plugins": {"openai": {"use": "openai"}},
        "models": {"gpt": "upstream/gpt"},
        "prices": prices,
    }
    async with running_route(
        {"quota": table, **twice}, upstream=upstream, dialect="openai", config=config, process=process
    ) as started:
        yield started


def left(served: Served) -> int:
    """Return what the first limit in the header has left."""
    return int((served.reply.headers.get("ratelimit") or "").partition("r=")[2].partition(";")[0])


def used(served: Served, limit: str) -> int:
    """Return what was taken of a limit for the last attempt."""
    reservation = list(served.exchange.state[RESERVATIONS].values())[-1]
    return next(taken.amount for taken in reservation.taken if taken.limit == limit)


async def test_requests_beyond_a_limit_are_refused_in_the_callers_dialect(api: FakeUpstream) -> None:
    async with serving(api, REQUESTS) as route:
        first, second, third = [await route.serve(ask()) for _ in range(3)]
        other = await route.serve(ask("other"))

    assert [first.reply.status, second.reply.status, other.reply.status] == [200, 200, 200]
    assert first.reply.headers.get("ratelimit-policy") == '"calls";q=2;w=2592000'
    assert (left(first), left(second)) == (1, 0)
    assert (third.reply.status, third.json()["error"]["code"]) == (429, "rate_limited")
    assert int(third.reply.headers.get("retry-after") or 0) > 0
    assert left(third) == 0
    assert len(api.requests) == 3


async def test_a_place_in_flight_is_given_back() -> None:
    slow = FakeUpstream().raw(0.2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", then="keep")
    limit = {"name": "at-once", "counts": "in_flight", "at_most": 1}
    async with slow, serving(slow, limit) as route:
        first = spawn(route.serve(ask()), name="first")
        await asyncio.sleep(0.05)
        second = await route.serve(ask())
        await first
        third = await route.serve(ask())

    assert second.reply.status == 429
    assert third.reply.status != 429


async def test_callers_who_repeat_a_request_id_get_no_more_than_their_limits() -> None:
    limits = [
        REQUESTS | {"at_most": 9},
        {"name": "at-once", "counts": "in_flight", "at_most": 6},
        TOKENS | {"at_most": 5 * 1700},
    ]
    slow = FakeUpstream().raw(0.2, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", then="keep")
    async with slow, serving(slow, *limits, output=500) as route:
        same = [spawn(route.serve(ask(name="the-same")), name="same") for _ in range(100)]
        served = [await each for each in same]

    assert len(slow.requests) == 5
    assert sum(each.reply.status == 429 for each in served) == 95


async def test_two_plugins_of_one_store_count_the_same_call_each() -> None:
    other = {"use": QuotaPlugin, "store": "counters", "limits": [TOKENS | {"at_most": 10}]}
    async with FakeUpstream() as upstream, serving(upstream, TOKENS, other=other) as route:
        served = await route.serve(ask())

    assert (served.reply.status, upstream.requests) == (429, [])


async def test_tokens_are_bounded_before_and_settled_after(api: FakeUpstream) -> None:
    async with serving(api, TOKENS, output=500) as route:
        served = [await route.serve(ask()) for _ in range(3)]
        big = await route.serve(ask(max_tokens=20_000))
        fits = await route.serve(ask(max_completion_tokens=8000))

    assert [each.reply.status for each in served] == [200, 200, 200]
    assert used(served[0], "words") > 1500
    assert api.requests[0].json()["max_completion_tokens"] == 500
    assert (big.reply.status, big.reply.headers.get("retry-after")) == (429, None)
    assert "alone" in big.json()["error"]["message"]
    assert fits.reply.status == 200  # three calls came to 45 tokens, not to what they had taken


async def test_money_refuses_with_402(api: FakeUpstream) -> None:
    async with serving(api, MONEY | {"at_most": 0.0022}, output=50) as route:
        first, second = await route.serve(ask()), await route.serve(ask(max_tokens=90))
        third = await route.serve(ask(max_tokens=200))

    assert [first.reply.status, second.reply.status] == [200, 200]
    assert (third.reply.status, third.json()["error"]["code"]) == (402, "budget_spent")
    assert first.reply.headers.get("ratelimit") is None


SAVING = MONEY | {"at_most": 0.01, "near": 0.1, "then": {"model": "cheap"}}


@asynccontextmanager
async def two_models(
    upstream: FakeUpstream, limit: dict[str, Any], process: Process | None = None
) -> AsyncIterator[Serving]:
    """Serve a dear model and a cheap one."""
    table = {"use": QuotaPlugin, "store": "counters", "limits": [limit], "output": 50, "context": 0}
    config = {
        **STORES,
        "plugins": {"openai": {"use": "openai"}},
        "models": {"gpt": "upstream/gpt", "cheap": "upstream/small"},
        "prices": {
            "upstream/gpt": {"input": 1, "output": 100},
            "upstream/small": {"input": 0.1, "output": 1},
        },
    }
    async with running_route(
        {"quota": table}, upstream=upstream, dialect="openai", config=config, process=process
    ) as started:
        yield started


def forget(route: Serving) -> None:
    """Have the limits looked at again, as a second later."""
    plugin = next(each for each in route.generation.plugins if isinstance(each, QuotaPlugin))
    plugin._saver._near.clear()


def asked_models(api: FakeUpstream) -> list[str]:
    return [each.json()["model"] for each in api.requests]


async def test_a_cheaper_model_answers_while_a_budget_nears_its_end(api: FakeUpstream) -> None:
    process = make_process()
    async with two_models(api, SAVING, process) as route:
        for _ in range(2):  # 510 microdollars each
            await route.serve(ask())
        forget(route)
        saved = await route.serve(
            make_exchange(
                body={"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]},
                caller=Caller("acme"),
                headers={"x-llmproxy-explain": "budget"},
            )
        )
        unasked = await route.serve(ask())
        bound = await route.serve(ask(previous_response_id="resp_1"))
        cheap = await route.serve(ask(model="cheap"))
        other = await route.serve(ask("other"))

    assert asked_models(api) == ["gpt", "gpt", "small", "small", "gpt", "small", "gpt"]
    assert saved.reply.headers.get("x-llmproxy-budget") == '"budget";model="cheap"'
    assert unasked.reply.headers.get("x-llmproxy-budget") is None
    assert {each.reply.status for each in (saved, unasked, bound, cheap, other)} == {200}
    limits = process.metrics.counter("llmproxy_quota_limits_total", "", ("limit", "result"))
    assert limits.labels("budget", "near").value == 2


async def test_a_model_that_the_caller_may_not_ask_saves_nothing(api: FakeUpstream) -> None:
    async with two_models(api, SAVING | {"near": 0}) as route:
        await route.serve(ask())
        forget(route)
        exchange = ask()
        exchange.may_ask = lambda model: model == "gpt"
        await route.serve(exchange)

    assert asked_models(api) == ["gpt", "gpt"]


async def test_what_has_no_price_is_refused_where_money_is_limited(api: FakeUpstream) -> None:
    async with serving(api, MONEY, prices={}) as route:
        refused = await route.serve(ask())
    async with serving(api, MONEY, prices={}, unpriced="zero") as route:
        taken = await route.serve(ask())

    assert (refused.reply.status, refused.json()["error"]["code"]) == (403, "price_unknown")
    assert taken.reply.status == 200


async def test_what_failed_before_it_was_sent_costs_nothing_and_errors_neither(api: FakeUpstream) -> None:
    limit = TOKENS | {"at_most": 2500}
    async with serving(None, limit, output=500) as route:
        away = [(await route.serve(ask())).reply.status for _ in range(5)]
    async with (
        FakeUpstream().reply(500, json={"error": {"message": "no"}}) as broken,
        serving(broken, limit, output=500) as route,
    ):
        failed = [(await route.serve(ask())).reply.status for _ in range(5)]

    assert 429 not in away
    assert 429 not in failed


async def test_who_leaves_before_anything_was_sent_has_used_nothing(api: FakeUpstream) -> None:
    async with serving(api, TOKENS | {"at_most": 2500}, output=500, other={"use": Never}) as route:
        for _ in range(3):
            asking = spawn(route.serve(ask()), name="asking")
            await asyncio.sleep(0.05)
            refused = asking.done()
            asking.cancel()
            await asyncio.wait([asking])

            assert not refused
    assert api.requests == []


async def test_an_answer_that_broke_off_is_settled_at_its_ceiling() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    broken = FakeUpstream().raw(head, then="close")
    async with broken, serving(broken, TOKENS | {"at_most": 2500}, output=500) as route:
        await route.serve(ask())
        second = await route.serve(ask())

    assert second.reply.status == 429


async def test_each_attempt_takes_its_own(api: FakeUpstream) -> None:
    async with serving(api, TOKENS | {"at_most": 1700}, output=500, twice=True) as route:
        served = await route.serve(ask())

    assert served.reply.status == 200
    held = served.exchange.state[RESERVATIONS]
    assert [(number, each.id[-2:]) for number, each in held.items()] == [(1, "-1"), (2, "-2")]
    assert len(api.requests) == 2


async def test_a_shadow_refuses_nothing_and_is_counted(api: FakeUpstream) -> None:
    process = make_process()
    async with serving(api, REQUESTS | {"at_most": 0, "mode": "shadow"}, process=process) as route:
        served = await route.serve(ask())

    assert served.reply.status == 200
    assert served.reply.headers.get("ratelimit") is None
    text = process.metrics.exposition([process.metrics.snapshot()])
    assert 'llmproxy_quota_limits_total{limit="calls",result="over"} 1' in text


async def test_limits_of_models_know_the_model(api: FakeUpstream) -> None:
    limit = REQUESTS | {"scope": "model", "match": "gp*", "at_most": 1}
    async with serving(api, limit) as route:
        first, second = await route.serve(ask()), await route.serve(ask())

    assert (first.reply.status, second.reply.status) == (200, 429)


async def test_all_tenants_may_share_a_limit(api: FakeUpstream) -> None:
    async with serving(api, REQUESTS | {"scope": "route", "across": True, "at_most": 1}) as route:
        first, second = await route.serve(ask("a")), await route.serve(ask("b"))

    assert (first.reply.status, second.reply.status) == (200, 429)


async def test_while_the_store_is_away_hard_limits_are_closed_and_soft_ones_open(
    api: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = MemoryReservations.reserve

    async def away(self: MemoryReservations, claim: Any) -> Any:
        if self._name != "a share of limits":
            raise StoreAway("gone")
        return await taken(self, claim)

    monkeypatch.setattr(MemoryReservations, "reserve", away)
    async with serving(api, REQUESTS) as route:
        hard = await route.serve(ask())
    async with serving(api, REQUESTS | {"mode": "soft", "at_most": 8}) as route:
        soft = [(await route.serve(ask())).reply.status for _ in range(3)]

    assert (hard.reply.status, hard.json()["error"]["code"]) == (503, "limits_unavailable")
    assert soft == [200, 200, 429]


class Remembering(Plugin[NoConfig]):
    """Stands above as a cache does, and answers from what it was told."""

    @hookimpl
    async def cache_lookup(self, exchange: Exchange) -> Reply | None:
        return Reply.text("kept") if exchange.request.headers.has(b"x-kept") else None


async def test_a_hit_takes_no_tokens_and_no_money_but_counts_as_a_request(api: FakeUpstream) -> None:
    tables = {
        "remembering": {"use": Remembering},
        "quota": {"use": QuotaPlugin, "store": "counters", "limits": [REQUESTS, TOKENS | {"at_most": 10}]},
    }
    more = {**STORES, "plugins": {"openai": {"use": "openai"}}, "models": {"gpt": "upstream/gpt"}}
    async with running_route(tables, upstream=api, dialect="openai", config=more) as route:
        hits = []
        for _ in range(3):
            exchange = make_exchange(
                body={"model": "gpt"}, headers={"x-kept": "1"}, name=f"exchange-{next(names)}"
            )
            hits.append(await route.serve(exchange))

    assert [hit.reply.status for hit in hits] == [200, 200, 429]
    assert hits[0].exchange.state.get(RESERVATIONS) is None
    assert api.requests == []
