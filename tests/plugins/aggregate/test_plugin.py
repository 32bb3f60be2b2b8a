from __future__ import annotations

from typing import Any, ClassVar

import pytest

from llmproxy.errors import ConfigErrors, StartError
from llmproxy.plugin import Caller, Plugin, hookimpl
from llmproxy.testing import FakeUpstream, PluginContract, make_exchange
from llmproxy_aggregate import AggregatePlugin

from .stage import ask, merged, serving


class TestContract(PluginContract):
    plugin_class = AggregatePlugin
    route: ClassVar[dict[str, Any]] = {"internal": True}


class Identifying(Plugin):
    @hookimpl
    async def pre_route(self, exchange):
        exchange.caller = exchange.caller if exchange.parent else Caller("shop", "web")
        exchange.spent = frozenset({b"authorization"})


class Seeing(Plugin):
    seen: list

    @hookimpl
    async def post_response(self, exchange):
        self.seen.append(exchange)


async def test_an_answer_is_made_of_several_calls() -> None:
    route = merged(
        calls={"user": "/users/{params/user}", "orders": "/orders?of={params/user}&most={query/most|10}"},
        answer={"name": "{user/name}", "ids": "{orders/items/*/id}", "hello": "Hello {user/name}"},
    )
    async with (
        FakeUpstream()
        .reply(json={"name": "Ada", "secret": 1}, path="/users/7")
        .reply(json={"items": [{"id": 1}, {"id": 2}]}, path="/orders") as api,
        serving(api, route) as running,
    ):
        served = await ask(running)

        assert served.json() == {"name": "Ada", "ids": [1, 2], "hello": "Hello Ada"}
        assert served.reply.status == 200
        assert "Cache-Control" not in served.reply.headers
        assert {each.target for each in api.requests} == {"/users/7", "/orders?of=7&most=10"}


async def test_children_are_their_parents_callers_and_have_names_of_their_own() -> None:
    Seeing.seen = []
    route = merged(calls={"a": "/a", "b": "/b"})
    plugins = {"identifying": {"use": Identifying}, "seeing": {"use": Seeing}}
    async with (
        FakeUpstream().reply(json=1) as api,
        serving(api, route, plugins=plugins, config={"pipeline": ["identifying", "seeing"]}) as running,
    ):
        await ask(running, client="203.0.113.9")
        children = [each for each in Seeing.seen if each.parent is not None]

        assert {each.caller.tenant for each in children} == {"shop"}
        assert {each.id for each in children} == {"exchange-1.0", "exchange-1.1"}
        assert {each.request.client for each in children} == {"203.0.113.9"}
        assert all(each.deadline == each.parent.deadline > 0 for each in children)


async def test_an_internal_route_is_nobody_elses() -> None:
    inner = {
        "name": "inner",
        "match": {"path": "/inner/*"},
        "upstream": "upstream",
        "plugins": [{"aggregate": "internal"}],
    }
    route = merged(calls={"a": "/inner/a"})
    async with FakeUpstream().reply(json=1) as api, serving(api, route, inner) as running:
        served = await ask(running)
        direct = await ask(running, "/inner/a")

        assert served.json() == {"a": 1}
        assert (direct.reply.status, direct.json()["code"]) == (404, "unknown_route")


async def test_calls_are_counted_by_how_they_went() -> None:
    route = merged(calls={"a": "/a", "b": {"target": "/b", "on_failure": "null"}})
    async with (
        FakeUpstream().reply(json=1, path="/a").reply(500, json=1, path="/b") as api,
        serving(api, route) as running,
    ):
        await ask(running)
        metrics = running.generation.process.metrics
        text = metrics.exposition([metrics.snapshot()])

        where = 'llmproxy_aggregate_calls_total{plugin="aggregate",route="merged /home/{user}",'
        assert f'{where}call="a",outcome="ok"}} 1' in text
        assert f'{where}call="b",outcome="status"}} 1' in text


async def test_a_route_that_is_answered_leads_nowhere_else() -> None:
    route = {**merged(calls={"a": "/a"}), "upstream": "upstream"}
    with pytest.raises(StartError, match="plugin 'aggregate' answers it"):
        async with serving(None, route):
            pass


async def test_what_is_called_is_foreseen() -> None:
    route = merged(calls={"c": "/c/{a}/{b}", "a": "/a", "b": "/b"})
    async with serving(None, route) as running:
        pipeline = running.generation.router.match(
            "GET", "g", "/home/7", lambda name: None, ""
        ).route.pipeline
        exchange = make_exchange("GET", "/home/7")
        exchange.route = pipeline.route

        assert pipeline.plugins[0].foresee(exchange, b"") == [("calls", "a and b, then c")]


async def test_a_route_without_calls_is_told_at_start() -> None:
    with pytest.raises(ConfigErrors, match=r"calls: empty"):
        async with serving(None, merged()):
            pass
