"""Which place of a pool answers, by condition, ability, policy, experiment, complexity and price: over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import http_sf
import orjson
import pytest

from llmproxy.assembly import Assembly
from llmproxy.config import decode
from llmproxy.errors import ConfigErrors
from llmproxy.explain import explain
from llmproxy.messages import ClientRequest, Headers
from llmproxy.routebuilding import build_routes
from llmproxy.testing import FakeUpstream, make_process, running_gateway

HI = [{"role": "user", "content": "Hi."}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
HARD = "Explain step by step why it is slow, compare the designs, prove the bound, then refactor.\n" + (
    "```python\ndef f(x):\n    return {x};\n```\n" * 12
)


def answering(name: str) -> FakeUpstream:
    """An upstream that says who it is."""
    said = {"role": "assistant", "content": name}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": name, "choices": [choice]}
    return FakeUpstream().reply(json=body)


class Caller:
    """Asks a gateway over real sockets."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(
        self, text: str = "Hi.", headers: Mapping[str, str] | None = None, **members: Any
    ) -> tuple[str, Mapping[str, str]]:
        """Return who answered, or the error's code, and the reply's header fields."""
        body = {"model": "fast", "messages": [{"role": "user", "content": text}], **members}
        async with self.session.post(
            f"{self.url}/v1/chat/completions", json=body, headers=headers or {}
        ) as reply:
            answer = await reply.json()
            if reply.status != 200:
                return f"{reply.status} {answer['error']['code']}", reply.headers
            return answer["choices"][0]["message"]["content"], reply.headers


def tree(urls: Mapping[str, str], pools: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration whose model `fast` leads to the pool `main`."""
    return {
        "upstreams": {name: {"base_url": f"{url}/v1", "proxy": None} for name, url in urls.items()},
        "pools": pools,
        "models": {"fast": {"pool": "main"}},
        "plugins": {"balance": {"seed": 7}},
        "routes": [{"name": "all", "match": {"path": "/v1/*"}}],
        **more,
    }


@asynccontextmanager
async def served(names: str, pools: Mapping[str, Any], **more: Any) -> AsyncIterator[Caller]:
    """Serve pools of upstreams that say their names."""
    async with AsyncExitStack() as stack:
        urls = {name: (await stack.enter_async_context(answering(name))).url for name in names.split()}
        gateway = await stack.enter_async_context(running_gateway(tree(urls, pools, **more)))
        yield Caller(gateway.url, await stack.enter_async_context(aiohttp.ClientSession()))


async def test_a_rule_leads_those_who_meet_it() -> None:
    targets = [{"upstream": "rest"}, {"upstream": "gold", "when": "headers['x-tier'] == 'gold'"}]
    async with served("rest gold", {"main": {"strategy": "rule", "targets": targets}}) as caller:
        assert (await caller.ask())[0] == "rest"
        assert (await caller.ask(headers={"X-Tier": "gold"}))[0] == "gold"
        assert (await caller.ask(headers={"X-Tier": "silver"}))[0] == "rest"


async def test_a_rule_that_nobody_meets_is_told_to_the_caller() -> None:
    targets = [{"upstream": "big", "when": "body_size > 100000"}]
    async with served("big", {"main": targets}) as caller:
        assert (await caller.ask())[0] == "400 no_place_fits"


async def test_who_cannot_is_passed_over() -> None:
    targets = [{"upstream": "plain", "capabilities": ["json"]}, "able"]
    async with served("plain able", {"main": targets}) as caller:
        assert (await caller.ask())[0] == "plain"
        assert (await caller.ask(tools=[TOOL]))[0] == "able"
        assert (await caller.ask(response_format={"type": "json_object"}))[0] == "plain"


async def test_a_long_prompt_goes_where_it_fits() -> None:
    targets = [{"upstream": "short", "capabilities": {"window": 2000}}, "long"]
    async with served("short long", {"main": targets}) as caller:
        assert (await caller.ask())[0] == "short"
        assert (await caller.ask("one two three " * 2000))[0] == "long"
        assert (await caller.ask(max_tokens=5000))[0] == "long"


async def test_what_no_place_can_do_is_a_bad_request() -> None:
    targets = [{"upstream": "a", "capabilities": []}, {"upstream": "b", "capabilities": ["vision"]}]
    async with served("a b", {"main": targets}) as caller:
        assert (await caller.ask(tools=[TOOL]))[0] == "400 no_place_fits"


POLICIES = {
    "plugins": [{"balance": {"policies": {"cheap": "small", "other": {"strategy": "least_in_flight"}}}}]
}


async def test_callers_pick_policies_where_the_route_lets_them() -> None:
    routes = [{"name": "all", "match": {"path": "/v1/*"}, **POLICIES}]
    pools = {"main": ["large"], "small": ["little"]}
    async with served("large little", pools, routes=routes) as caller:
        assert (await caller.ask())[0] == "large"

        who, headers = await caller.ask(
            headers={"x-llmproxy-policy": "cheap", "x-llmproxy-explain": "choice"}
        )
        assert who == "little"
        assert headers["x-llmproxy-choice"] == 'policy="cheap"'
        assert (await caller.ask(headers={"x-llmproxy-policy": "other"}))[0] == "large"
        assert (await caller.ask(headers={"x-llmproxy-policy": "dear"}))[0] == "400 unknown_policy"


async def test_an_unknown_policy_is_told_in_the_callers_dialect() -> None:
    routes = [{"name": "all", "match": {"path": "/v1/*"}, **POLICIES}]
    body = {"model": "fast", "max_tokens": 5, "messages": HI}
    async with served("large little", {"main": ["large"], "small": ["little"]}, routes=routes) as caller:
        async with caller.session.post(
            f"{caller.url}/v1/messages", json=body, headers={"x-llmproxy-policy": "dear"}
        ) as reply:
            told = await reply.json()

        assert (reply.status, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")


async def test_a_policy_is_no_way_to_models_that_are_not_served() -> None:
    routes = [{"name": "all", "match": {"path": "/v1/*"}, "models": {"fast": {"pool": "main"}}, **POLICIES}]
    async with served("large little", {"main": ["large"], "small": ["little"]}, routes=routes) as caller:
        who, _ = await caller.ask(model="secret", headers={"x-llmproxy-policy": "cheap"})

        assert who == "404 model_not_found"


async def test_sessions_stay_in_their_arm_and_are_told_of_it() -> None:
    targets = [{"upstream": "old", "weight": 3}, {"upstream": "new", "weight": 1}]
    async with served("old new", {"main": {"strategy": "ab", "targets": targets}}) as caller:
        seen: dict[str, set[str]] = {}
        for _ in range(2):
            for number in range(40):
                fields = {"x-session-id": f"s{number}", "x-llmproxy-explain": "choice, attempts"}
                who, headers = await caller.ask(headers=fields)
                told = http_sf.parse(headers["x-llmproxy-choice"].encode(), tltype="dictionary")
                assert told["arm"] == (who, {"experiment": "main"})
                seen.setdefault(f"s{number}", set()).add(who)

        assert all(len(arms) == 1 for arms in seen.values())
        counted = Counter(arm for arms in seen.values() for arm in arms)
        assert 20 <= counted["old"] <= 38


async def test_simple_prompts_go_to_the_small_model() -> None:
    strategy = {"complexity": {"thresholds": [0.3]}}
    async with served(
        "small large", {"main": {"strategy": strategy, "targets": ["small", "large"]}}
    ) as caller:
        fields = {"x-llmproxy-explain": "choice"}
        assert (await caller.ask(headers=fields))[0] == "small"

        who, headers = await caller.ask(HARD, headers=fields)
        assert who == "large"
        assert "code=0.2" in headers["x-llmproxy-choice"]


async def test_the_cheapest_answers_once_prices_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICED_KEY", "sk-priced")
    async with answering("dear") as dear, answering("cheap") as cheap:
        upstreams = {
            name: {
                "provider": "openai",
                "base_url": f"{each.url}/v1",
                "api_key": "${env:PRICED_KEY}",
                "proxy": None,
            }
            for name, each in (("dear", dear), ("cheap", cheap))
        }
        targets = [{"upstream": "dear", "model": "gpt-4o"}, {"upstream": "cheap", "model": "gpt-4o-mini"}]
        config = tree({}, {"main": {"strategy": "cheapest", "targets": targets}}, upstreams=upstreams)
        async with running_gateway(config) as gateway, aiohttp.ClientSession() as session:
            caller = Caller(gateway.url, session)
            async with asyncio.timeout(20):
                while (await caller.ask())[0] != "cheap":
                    await asyncio.sleep(0.05)  # the catalogue is read beside the loop

            assert (await caller.ask())[0] == "cheap"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("weighted", (0.6, 0.9)),
        ("round_robin", (0.75, 0.75)),
        ("least_in_flight", (0.5, 1.0)),
        ("p2c", (0.3, 1.0)),
    ],
)
async def test_load_is_shared_out(strategy: str, expected: tuple[float, float]) -> None:
    targets = [{"upstream": "a", "weight": 3}, {"upstream": "b", "weight": 1}]
    async with served("a b", {"main": {"strategy": strategy, "targets": targets}}) as caller:
        counted = Counter([(await caller.ask())[0] for _ in range(60)])

    assert expected[0] <= counted["a"] / 60 <= expected[1]


async def test_models_that_lead_to_pools_are_listed() -> None:
    pools = {"main": ["up/real-1", "up/real-2"], "inner": [{"pool": "main"}]}
    models = {"fast": {"pool": "main"}, "deep": {"pool": "inner"}, "also": "fast"}
    async with served("up", pools, models=models) as caller:
        async with caller.session.get(f"{caller.url}/v1/models") as reply:
            listed = [model["id"] for model in (await reply.json())["data"]]
        async with caller.session.get(f"{caller.url}/v1/models/deep") as reply:
            one = await reply.json()

        assert listed == ["fast", "deep", "also"]
        assert one["id"] == "deep"
        for name in listed:
            assert (await caller.ask(model=name))[0] == "up"


async def test_a_route_with_a_pool_lists_what_leads_into_it_alone() -> None:
    pools = {"main": ["up"], "other": ["else"]}
    models = {"fast": {"pool": "main"}, "slow": {"pool": "other"}, "direct": {"upstream": "up", "model": "m"}}
    routes = [{"name": "all", "match": {"path": "/v1/*"}, "pool": "main"}]
    async with (
        served("up else", pools, models=models, routes=routes) as caller,
        caller.session.get(f"{caller.url}/v1/models") as reply,
    ):
        listed = [model["id"] for model in (await reply.json())["data"]]

    assert listed == ["fast", "direct"]


def assembled(pools: Mapping[str, Any], **more: Any) -> tuple[Assembly, Sequence[Any]]:
    config = tree({"a": "http://127.0.0.1:9", "b": "http://127.0.0.1:9"}, pools, **more)
    assembly = Assembly(decode(config, environ={}, read_file=str))
    return assembly, build_routes(assembly, make_process(), {})


async def test_explain_says_who_would_answer_and_why_others_would_not() -> None:
    targets = [
        {"upstream": "a", "name": "plain", "capabilities": ["json"]},
        {"upstream": "b", "name": "gold", "when": "tenant == 'gold'"},
        {"upstream": "b", "model": "m", "name": "able"},
    ]
    body = orjson.dumps({"model": "fast", "messages": HI, "tools": [TOOL]})
    request = ClientRequest("POST", "/v1/chat/completions", Headers.of({"Host": "h"}))
    told = await explain(*assembled({"main": targets}), request, body)
    says = dict(next(plugin.says for plugin in told.plugins if plugin.name == "balance"))

    assert says["pool main"] == "able (b/m)"
    assert says["not plain"] == "it lacks tools"
    assert says["not gold"] == "its condition is not met: tenant == 'gold'"
    assert [(attempt.upstream, attempt.model) for attempt in told.attempts] == [("b", "m")]


async def test_explain_tells_policy_and_complexity() -> None:
    routes = [{"name": "all", "match": {"path": "/v1/*"}, **POLICIES}]
    pools = {
        "main": ["a"],
        "small": {"strategy": {"complexity": {"thresholds": [0.3]}}, "targets": ["a", "b"]},
    }
    headers = Headers.of({"Host": "h", "X-LLMProxy-Policy": "cheap"})
    request = ClientRequest("POST", "/v1/chat/completions", headers)
    body = orjson.dumps({"model": "fast", "messages": [{"role": "user", "content": HARD}]})
    told = await explain(*assembled(pools, routes=routes), request, body)
    says = dict(next(plugin.says for plugin in told.plugins if plugin.name == "balance"))

    assert says["policy"] == '"cheap"'
    assert says["complexity"].startswith("0.")
    assert says["pool small"] == "b, then a"
    assert [attempt.upstream for attempt in told.attempts] == ["b", "a"]


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        ([{"upstream": "a", "when": "tennant == 'x'"}], "pools.main.targets[0].when: column 1: undeclared"),
        ({"strategy": "nearest", "targets": ["a"]}, "pools.main.strategy: 'nearest' is not known"),
        (
            {"strategy": {"complexity": {"thresholds": [0.1, 0.2]}}, "targets": ["a", "b"]},
            "pools.main.strategy.thresholds: 2 for 2 places",
        ),
        (
            {"strategy": {"ab": {"by": ["shoe size"]}}, "targets": ["a"]},
            "pools.main.strategy.by[0]: 'shoe size'",
        ),
        ([{"upstream": "a", "capabilities": ["telepathy"]}], "pools.main.targets[0].capabilities"),
    ],
)
async def test_what_is_wrong_is_told_by_its_path_before_any_request(pool: Any, why: str) -> None:
    with pytest.raises(ConfigErrors) as told:
        assembled({"main": pool})

    assert why in str(told.value)
