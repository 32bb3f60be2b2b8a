from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmproxy.testing import FakeUpstream

from .stage import ask, merged, serving


async def test_a_call_waits_for_the_answer_that_it_needs() -> None:
    route = merged(
        calls={"orders": "/orders/{user/account}", "user": "/users/{params/user}"},
        answer={"orders": "{orders}"},
    )
    async with (
        FakeUpstream()
        .reply(json={"account": "a/b ?"}, path="/users/7")
        .reply(json=[1], path="/orders/a%2Fb%20%3F") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.json() == {"orders": [1]}
        assert [each.target for each in api.requests] == ["/users/7", "/orders/a%2Fb%20%3F"]


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (500, (), (502, "call_failed", None)),
        (404, (), (502, "call_failed", None)),
        (429, (("Retry-After", "3"),), (503, "call_failed", "3")),
        (504, (), (504, "call_timeout", None)),
    ],
)
async def test_a_call_that_must_not_fail_fails_the_answer(status: int, headers: Any, told: Any) -> None:
    route = merged(calls={"a": "/a"})
    async with (
        FakeUpstream().reply(status, json={"why": "hidden"}, headers=headers) as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert (served.reply.status, served.json()["code"], served.reply.headers.get("retry-after")) == told
        assert "'a'" in served.json()["detail"]
        assert b"hidden" not in served.body


async def test_a_failure_ends_the_calls_that_still_run() -> None:
    route = merged(calls={"slow": "/slow", "bad": "/bad"})
    async with (
        FakeUpstream().stall(path="/slow").reply(500, json={}, path="/bad") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.reply.status == 502
        async with asyncio.timeout(5):
            while api.open_connections > 1:
                await asyncio.sleep(0.01)


async def test_a_caller_who_leaves_ends_all_calls() -> None:
    route = merged(calls={"a": "/a", "b": "/b"})
    async with FakeUpstream().stall() as api, serving(api, route) as running:
        asking = asyncio.ensure_future(ask(running))
        await api.received(2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(5):
            while api.open_connections:
                await asyncio.sleep(0.01)


async def test_what_an_answer_lacks_fails_the_call_that_needs_it() -> None:
    route = merged(
        calls={"a": "/a", "b": {"target": "/b/{a/id}", "on_failure": "omit"}},
        answer={"b": "{b}", "c": "{a/c}"},
    )
    async with FakeUpstream().reply(json={}) as api, serving(api, route) as running:
        served = await ask(running)

        assert served.json() == {"c": None, "failed": {"b": {"reason": "missing"}}}
