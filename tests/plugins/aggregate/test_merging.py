from __future__ import annotations

from typing import Any

import pytest

from llmproxy.testing import FakeUpstream

from .stage import ask, merged, serving


async def test_without_a_template_each_answer_stands_under_its_calls_name() -> None:
    route = merged(calls={"a": {"target": "/a", "pick": ["/x"]}, "b": {"target": "/b", "form": "text"}})
    async with (
        FakeUpstream().reply(json={"x": 1, "y": 2}, path="/a").reply(body=b"plain", path="/b") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.json() == {"a": {"x": 1}, "b": "plain"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"on_failure": "null"}, {"user": {"name": "Ada"}, "orders": None}),
        ({"on_failure": "omit"}, {"user": {"name": "Ada"}}),
        ({"on_failure": "default", "default": []}, {"user": {"name": "Ada"}, "orders": []}),
    ],
)
async def test_a_call_that_may_fail_is_told_and_stood_in_for(policy: Any, expected: Any) -> None:
    route = merged(
        calls={"user": "/users/7", "orders": {"target": "/orders", **policy}},
        headers={
            "cache-control": "max-age=60",
            "CDN-Cache-Control": "max-age=60",
            "x-name": "{user/name}",
            "x-gone": "{orders/gone}",
        },
        partial_status=206,
    )
    async with (
        FakeUpstream()
        .reply(json={"name": "Ada"}, path="/users/7")
        .reply(503, json={}, path="/orders") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.json() == {**expected, "failed": {"orders": {"reason": "status", "status": 503}}}
        assert served.reply.status == 206
        assert served.reply.headers.get("x-llmproxy-incomplete") == "orders"
        assert served.reply.headers.get("cache-control") == "no-store"
        assert "cdn-cache-control" not in served.reply.headers
        assert served.reply.headers.get("x-name") == "Ada"
        assert "x-gone" not in served.reply.headers


async def test_a_merged_answer_is_bounded() -> None:
    route = merged(calls={"a": "/a", "b": "/b"})
    async with FakeUpstream().reply(json="x" * 600) as api, serving(api, route, max_answer="1KiB") as running:
        served = await ask(running)

        assert (served.reply.status, served.json()["code"]) == (502, "answer_too_large")


async def test_the_answer_lives_as_long_as_the_shortest_lived_of_its_parts() -> None:
    route = merged(calls={"a": "/a", "b": "/b"}, headers={"x-made": "of two"})
    async with (
        FakeUpstream()
        .reply(json=1, path="/a", headers=[("Cache-Control", "max-age=60")])
        .reply(json=1, path="/b", headers=[("Cache-Control", "max-age=90"), ("Age", "70")]) as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.reply.headers.get("cache-control") == "max-age=20"
        assert served.reply.headers.get("vary") == "accept-language"
        assert served.reply.headers.get("x-made") == "of two"
