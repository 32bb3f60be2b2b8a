from __future__ import annotations

import pytest

from llmproxy.plugin import Caller, GatewayError, Plugin, hookimpl
from llmproxy.testing import FakeUpstream

from .stage import ask, merged, serving


class Identifying(Plugin):
    @hookimpl
    async def pre_route(self, exchange):
        exchange.caller = exchange.caller if exchange.parent else Caller("shop", "web")
        exchange.spent = frozenset({b"authorization"})


async def test_calls_carry_what_the_route_says_and_no_more() -> None:
    call = {
        "target": "/search",
        "method": "POST",
        "forward": ["x-lang", "authorization", "x-absent"],
        "headers": {"X-Tenant": "{caller/tenant}"},
        "body": {"q": "{body/words/0}", "user": "{headers/X-User}", "n": 3},
    }
    headers = {"x-lang": "de", "x-user": "u", "authorization": "Bearer key", "cookie": "c=1"}
    route = merged("/search-all", ["identifying"], calls={"found": call})
    async with (
        FakeUpstream().reply(json={}) as api,
        serving(api, route, plugins={"identifying": {"use": Identifying}}) as running,
    ):
        served = await ask(running, "/search-all", "POST", headers=headers, body={"words": ["cat", "dog"]})
        request = api.requests[0]

        assert served.reply.status == 200
        assert request.json() == {"q": "cat", "user": "u", "n": 3}
        assert (request.header("x-lang"), request.header("x-tenant")) == ("de", "shop")
        assert request.header("cookie") is None
        assert request.header("authorization") is None
        assert served.reply.headers.get("vary") == "authorization, x-absent, x-lang, x-user"


async def test_a_call_has_a_timeout_of_its_own() -> None:
    slow = {"target": "/slow", "timeout": "30ms", "on_failure": "null"}
    route = merged(calls={"slow": slow, "quick": "/quick"})
    async with (
        FakeUpstream().stall(path="/slow").reply(json=1, path="/quick") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.json() == {
            "slow": None,
            "quick": 1,
            "failed": {"slow": {"reason": "timeout", "status": 504}},
        }


async def test_a_status_may_be_relayed_with_its_answer() -> None:
    user = {"target": "/users/7", "relay": [404]}
    route = merged(calls={"user": user, "slow": "/slow"})
    async with (
        FakeUpstream()
        .reply(404, json={"no": "such user"}, path="/users/7", headers=[("Set-Cookie", "a=1")])
        .stall(path="/slow") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert (served.reply.status, served.json()) == (404, {"no": "such user"})
        assert "set-cookie" not in served.reply.headers
        assert served.reply.headers.get("content-type") == "application/json"


async def test_other_statuses_may_be_good() -> None:
    route = merged(calls={"user": {"target": "/users/7", "statuses": [404]}})
    async with FakeUpstream().reply(404, json={"no": 1}) as api, serving(api, route) as running:
        served = await ask(running)

        assert served.json() == {"user": {"no": 1}}


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        (FakeUpstream().reply(body=b"<html>"), "not_json"),
        (FakeUpstream().reply(body=b'"%b"' % (b"x" * 2000)), "too_large"),
        (FakeUpstream().reply(json={"a": 1}, gzip=True), "encoded"),
        (FakeUpstream().reset(after_bytes=300), "refused"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_failure(upstream: FakeUpstream, reason: str) -> None:
    route = merged(calls={"a": {"target": "/a", "on_failure": "null"}})
    async with upstream as api, serving(api, route, max_reply="1KiB") as running:
        served = await ask(running)

        assert served.json()["a"] is None
        assert served.json()["failed"]["a"]["reason"] == reason


@pytest.mark.parametrize("user", ["..", ".", "%2e%2e"])
async def test_a_value_cannot_lead_to_another_path(user: str) -> None:
    route = merged("/home", calls={"a": "/users/{query/user}/x"})
    async with FakeUpstream().reply(json=1) as api, serving(api, route) as running:
        served = await ask(running, f"/home?user={user}")

        assert served.reply.status == 400
        assert api.requests == []


async def test_a_catch_all_stands_as_it_was_written() -> None:
    route = merged("/all/{rest...}", calls={"a": "/{params/rest}?x={query/x}"})
    async with FakeUpstream().reply(json=1) as api, serving(api, route) as running:
        await ask(running, "/all/a/b%20c?x=%26y%3D1")

        assert [each.target for each in api.requests] == ["/a/b%20c?x=%26y%3D1"]


async def test_a_header_cannot_be_broken_in_two() -> None:
    call = {"target": "/a", "headers": {"X-Note": "{body/note}"}}
    route = merged("/note", calls={"a": call})
    async with FakeUpstream().reply(json=1) as api, serving(api, route) as running:
        served = await ask(running, "/note", "POST", body={"note": "a\r\nX-Evil: 1"})

        assert served.reply.status == 400
        assert api.requests == []


async def test_a_refusal_of_the_child_is_a_failure_of_the_call() -> None:
    class Refusing(Plugin):
        @hookimpl
        async def pre_route(self, exchange):
            if exchange.parent is not None:
                raise GatewayError(403, "no", "No.")

    route = merged(calls={"a": {"target": "/a", "on_failure": "null"}})
    plugins = {"refusing": {"use": Refusing}}
    async with serving(None, route, plugins=plugins, config={"pipeline": ["refusing"]}) as running:
        served = await ask(running)

        assert served.json()["failed"] == {"a": {"reason": "status", "status": 403}}
