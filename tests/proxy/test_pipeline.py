"""One route's hooks in order: who answers, whose fault ends what, what is told of it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from llmproxy.errors import GatewayError
from llmproxy.http_api import HttpApi
from llmproxy.plugin import Plugin, Reply, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, make_process, run_route, running_route

from .toy_dialects import ToyPlugin


def plugin(**hooks):
    return type("Made", (Plugin,), {name: hookimpl(hook) for name, hook in hooks.items()})


def policy(kind, on_error):
    return {"made": {"use": kind, "on_error": on_error}}


async def breaking(self, exchange):
    raise LookupError("secret inside")


async def breaking_around(self, exchange, call_next):
    raise LookupError("secret inside")


async def breaking_late(self, exchange, call_next):
    await call_next(exchange)
    raise LookupError("secret inside")


async def breaking_on_request(self, exchange, request):
    raise LookupError("secret inside")


async def breaking_on_reply(self, exchange, reply):
    raise LookupError("secret inside")


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={"fresh": True}) as upstream:
        yield upstream


@pytest.mark.parametrize(
    ("hook", "fault", "closed", "default"),
    [
        ("pre_route", breaking, 500, 500),
        ("cache_lookup", breaking, 500, 200),
        ("around_upstream", breaking_around, 502, 502),
        ("transform_request", breaking_on_request, 502, 502),
        ("transform_response", breaking_on_reply, 502, 502),
    ],
)
async def test_a_fault_follows_the_plugins_policy(hook, fault, closed, default, api):
    kind = plugin(**{hook: fault})
    with capture_logs() as logs:
        shut = await run_route(policy(kind, "closed"), upstream=api)
        opened = await run_route(policy(kind, "open"), upstream=api)
        usual = await run_route([kind], upstream=api)

    assert (shut.reply.status, opened.reply.status, usual.reply.status) == (closed, 200, default)
    assert b"secret" not in shut.body
    assert {(entry["event"], entry["plugin"], entry["hook"]) for entry in logs} == {
        ("plugin_failed", "made", hook)
    }


async def test_a_layer_that_fails_open_after_its_attempt_makes_another(api):
    served = await run_route(policy(plugin(around_upstream=breaking_late), "open"), upstream=api)

    assert served.reply.status == 200
    assert [attempt.complete for attempt in served.exchange.attempts] == [True, True]


async def test_faults_are_counted_by_plugin_and_hook(api):
    process = make_process()
    async with running_route([plugin(post_response=breaking)], upstream=api, process=process) as serving:
        await serving.serve(make_exchange())

    text = process.metrics.exposition([process.metrics.snapshot()])
    assert 'llmproxy_plugin_faults_total{plugin="made",hook="post_response"} 1' in text


@pytest.mark.parametrize("hook", ["pre_route", "cache_lookup"])
async def test_a_refusal_passes_every_policy(hook, api):
    async def refuse(self, exchange):
        raise GatewayError(429, "too_many", "Slow down.", retry_after=3)

    with capture_logs() as logs:
        served = await run_route(policy(plugin(**{hook: refuse}), "open"), upstream=api)

    assert (served.reply.status, served.reply.headers.get("retry-after")) == (429, "3")
    assert (served.exchange.outcome.result, served.exchange.outcome.error) == ("refused", "too_many")
    assert (logs, api.requests) == ([], [])


@pytest.mark.parametrize("hook", ["cache_store", "post_response"])
async def test_a_fault_behind_the_answer_harms_nobody(hook, api):
    fault = breaking if hook == "post_response" else breaking_on_reply
    seen = []

    async def end(self, exchange):
        seen.append(hook)

    async def store(self, exchange, reply):
        seen.append(hook)

    good = plugin(**{hook: end if hook == "post_response" else store})
    served = await run_route({"good": {"use": good}, "bad": {"use": plugin(**{hook: fault})}}, upstream=api)

    assert served.reply.status == 200
    assert seen == [hook]


async def test_a_layer_that_returns_nothing_is_at_fault(api):
    async def nothing(self, exchange, call_next):
        return None

    with capture_logs() as logs:
        served = await run_route([plugin(around_upstream=nothing)], upstream=api)

    assert (served.reply.status, served.json()["code"]) == (502, "plugin_failed")
    assert logs[0]["hook"] == "around_upstream"


async def test_what_nobody_expected_is_told_without_its_inside(api, monkeypatch):
    def encode(self, exchange, endpoint, body):
        raise LookupError("secret inside")

    monkeypatch.setattr(HttpApi, "encode", encode)
    with capture_logs() as logs:
        served = await run_route([plugin()], upstream=api)

    assert (served.reply.status, served.json()["code"]) == (500, "internal_error")
    assert b"secret" not in served.body
    assert logs[0]["event"] == "exchange_failed"


async def test_a_reply_that_a_layer_forgets_is_given_up_before_post_response():
    ended = []

    async def forget(self, exchange, call_next):
        await call_next(exchange)
        return Reply.text("something else")

    async def note(self, exchange):
        ended.append([attempt.ended is not None for attempt in exchange.attempts])

    async with FakeUpstream().stream([b"data: 1\n\n"] * 50, delay=0.1) as upstream:
        served = await run_route([plugin(around_upstream=forget, post_response=note)], upstream=upstream)
        async with asyncio.timeout(2):
            while upstream.open_connections:
                await asyncio.sleep(0.01)

    assert served.body == b"something else"
    assert ended == [[True]]


async def test_a_model_route_without_a_model_says_so():
    served = await run_route([plugin()], make_exchange("GET", "/"), config={"routes": [{"name": "none"}]})

    assert (served.reply.status, served.json()["code"]) == (400, "model_required")


@pytest.fixture
def listing():
    """Make a route that serves two models."""
    served = {"models": {"fast": {"upstream": "upstream"}, "slow": {"upstream": "upstream"}}}
    return {
        "plugins": {"toy": {"use": ToyPlugin}},
        "routes": [{"name": "r", "match": {"path": "/toy/*"}, **served}],
    }


async def test_the_models_of_a_route_are_listed_by_the_gateway(api, listing):
    async with running_route({}, upstream=api, dialect="dots", config=listing) as serving:
        served = await serving.serve(make_exchange("GET", "/toy/models"))
        other = await serving.serve(make_exchange("GET", "/toy/else"))

    assert served.json() == ["fast", "slow"]
    assert served.exchange.outcome.result == "answered"
    assert other.reply.status == 400
    assert api.requests == []


async def test_a_route_with_a_list_asks_no_upstream_for_another(api, listing):
    route = {"name": "r", "match": {"path": "/toy/*"}, "upstream": "upstream"}
    listed = {**route, "models": {"any-*": {"upstream": "upstream"}}}
    async with running_route(
        {}, upstream=api, dialect="dots", config={**listing, "routes": [listed]}
    ) as serving:
        served = await serving.serve(make_exchange("GET", "/toy/models"))

    assert served.json() == []
    assert api.requests == []


async def only_fast(self, exchange):
    exchange.may_ask = lambda model: model == "fast"


async def test_a_caller_sees_and_asks_only_the_models_that_are_his(api, listing):
    limited = {**listing, "plugins": {**listing["plugins"], "limits": {"use": plugin(pre_route=only_fast)}}}
    async with running_route(
        {}, upstream=api, dialect="dots", config={**limited, "pipeline": ["limits"]}
    ) as serving:
        listed = await serving.serve(make_exchange("GET", "/toy/models"))
        his = await serving.serve(make_exchange("POST", "/toy/x", body=b'{"model": "fast", "say": "x"}'))
        others = await serving.serve(make_exchange("POST", "/toy/x", body=b'{"model": "slow", "say": "x"}'))
        hidden = await serving.serve(make_exchange("POST", "/toy/x", body=b'{"say": "x"}'))

    assert listed.json() == ["fast"]
    assert his.exchange.attempts
    assert [others.reply.status, hidden.reply.status] == [403, 403]
    assert others.exchange.outcome.error == hidden.exchange.outcome.error == "model_not_allowed"
    assert len(api.requests) == 1


async def test_no_websocket_is_a_way_around_a_list_of_models(api, listing):
    limited = {**listing, "plugins": {**listing["plugins"], "limits": {"use": plugin(pre_route=only_fast)}}}
    route = {"name": "r", "match": {"path": "/toy/*"}, "upstream": "upstream"}
    for config in (
        {**limited, "pipeline": ["limits"]},
        {**listing, "routes": [{**route, "models": {"fast": {"upstream": "upstream"}}}]},
    ):
        exchange = make_exchange("GET", "/toy/x", body=b'{"model": "fast", "say": "x"}')
        exchange.upgraded = True
        async with running_route({}, upstream=api, dialect="dots", config=config) as serving:
            served = await serving.serve(exchange)

        assert served.reply.status in (400, 403)
        assert served.exchange.attempts == []


async def test_a_caller_with_models_of_his_own_gets_no_upstreams_list(api, listing):
    route = {"name": "r", "match": {"path": "/toy/*"}, "upstream": "upstream"}
    limited = {**listing, "plugins": {**listing["plugins"], "limits": {"use": plugin(pre_route=only_fast)}}}
    async with running_route(
        {}, upstream=api, dialect="dots", config={**limited, "routes": [route], "pipeline": ["limits"]}
    ) as serving:
        served = await serving.serve(make_exchange("GET", "/toy/models"))

    assert served.json() == []
    assert api.requests == []


async def test_where_no_model_is_named_the_upstream_lists_its_own(api, listing):
    route = {"name": "r", "match": {"path": "/toy/*"}, "upstream": "upstream"}
    async with running_route(
        {}, upstream=api, dialect="dots", config={**listing, "routes": [route]}
    ) as serving:
        served = await serving.serve(make_exchange("GET", "/toy/models"))

    assert served.exchange.attempts
