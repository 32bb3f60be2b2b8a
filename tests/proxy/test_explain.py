"""What is told about a request, from the parts of a generation that open nothing."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.assembly import Assembly, build_routes
from llmproxy.config import decode
from llmproxy.explain import Explanation, explain
from llmproxy.messages import ClientRequest, Headers
from llmproxy.plugin import Exchange, NoConfig, Plugin, Registry, Reply, hookimpl
from llmproxy.testing import make_process
from llmproxy.testing.classes import with_names

SECRET = "sk-0123456789abcdefghij"
CALLERS = "sk-callers-own-key-0123456789"


class GuardPlugin(Plugin[NoConfig]):
    """Must not be called."""

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        raise AssertionError

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        raise AssertionError


class LastPlugin(Plugin[NoConfig]):
    """Its strategy turns the order round."""

    @hookimpl
    def register(self, registry: Registry) -> None:
        registry.strategy("last", lambda exchange, endpoints: tuple(reversed(endpoints)))
        registry.public_route(["GET"], "/hello/{who}", self.hello)

    async def hello(self, exchange: Exchange) -> Reply:
        raise AssertionError

    @hookimpl
    async def post_response(self, exchange: Exchange) -> None:
        raise AssertionError


CONFIG: dict[str, Any] = {
    "plugins": {
        "guard": {"use": GuardPlugin},
        "last": {"use": LastPlugin},
        "openai": {"use": "llmproxy_openai:OpenAIPlugin"},
    },
    "pipeline": ["guard"],
    "upstreams": {
        "main": {
            "base_url": "https://api.test/v1",
            "api_key": "${env:KEY}",
            "headers": {"x-team": "${env:TEAM}"},
        },
        "plain": {"base_url": "http://plain.test/base", "dialect": "http", "timeouts": {"connect": "2s"}},
        "other": {"base_url": "http://other.test", "dialect": "http"},
    },
    "models": {"fast": {"upstream": "main", "model": "gpt-4o-mini"}},
    "routes": [
        {"name": "models", "match": {"path": "/v1/*"}, "plugins": ["last"]},
        {
            "name": "things",
            "match": {"path": "/things/{id}", "methods": ["GET", "PUT"]},
            "targets": ["plain", "other"],
            "strategy": "last",
            "timeouts": {"connect": "7s"},
        },
    ],
}


async def explained(method: str, target: str, body: Any = None, **headers: str) -> Explanation:
    config = decode(with_names(CONFIG), environ={"KEY": SECRET, "TEAM": "secret-team"}, read_file=str)
    assembly = Assembly(config)
    routes = build_routes(assembly, make_process(), {})
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    fields = Headers.of(
        {"Host": "gateway", **{name.replace("_", "-"): text for name, text in headers.items()}}
    )
    if raw:
        fields.add("Content-Type", "application/json")
    return explain(assembly, routes, ClientRequest(method, target, fields, host="gateway"), raw)


async def test_it_tells_route_plugins_and_hooks_without_running_any() -> None:
    told = await explained("POST", "/v1/chat/completions", {"model": "fast"})

    assert (told.route, told.kind) == ("models", "model")
    assert [(plugin.name, plugin.hooks) for plugin in told.plugins] == [
        ("guard", ["pre_route", "post_response"]),
        ("last", ["post_response"]),
    ]
    assert told.order == {"pre_route": ["guard"], "post_response": ["last", "guard"]}
    assert "16 bytes of body not yet read" in told.sees["pre_route"]


async def test_it_tells_where_a_model_leads_and_what_changes_in_the_body() -> None:
    told = await explained("POST", "/v1/chat/completions", {"model": "fast", "stream": True})
    (attempt,) = told.attempts

    assert (told.model, told.streamed) == ("fast", True)
    assert (attempt.upstream, attempt.model) == ("main", "gpt-4o-mini")
    assert attempt.url == "https://api.test/v1/chat/completions"
    assert attempt.request_line == "POST /v1/chat/completions HTTP/1.1"
    assert [(edit.old, edit.new) for edit in attempt.edits] == [
        ('"fast"', '"gpt-4o-mini"'),
        ("", ',"stream_options":{"include_usage":true}'),
    ]


async def test_it_shows_no_secret() -> None:
    told = await explained(
        "POST", "/v1/chat/completions", {"model": "fast"}, authorization=f"Bearer {CALLERS}"
    )
    plain = await explained("GET", "/things/7", x_api_key=CALLERS)

    for text in (repr(told), repr(plain)):
        assert SECRET not in text
        assert "secret-team" not in text
        assert CALLERS not in text
    assert ("Authorization", "Bearer ${env:KEY}") in told.attempts[0].headers
    assert ("x-team", "${env:TEAM}") in told.attempts[0].headers
    assert ("Accept-Encoding", "identity") in told.attempts[0].headers
    assert ("x-api-key", "[redacted]") in plain.attempts[0].headers


async def test_it_tells_the_plan_of_an_http_route() -> None:
    told = await explained("PUT", "/things/7?full=1", {"a": 1})

    assert (told.kind, told.params) == ("http", {"id": "7"})
    assert [attempt.url for attempt in told.attempts] == [
        "http://other.test/things/7?full=1",
        "http://plain.test/base/things/7?full=1",
    ]
    assert told.attempts[1].timeouts["connect"] == "7s"
    assert told.attempts[0].edits == []


async def test_it_tells_what_the_core_would_refuse() -> None:
    refusals = [
        (await explained("GET", "/nowhere")).refusal,
        (await explained("POST", "/things/7")).refusal,
        (await explained("POST", "/v1/chat/completions", {"model": "slow"})).refusal,
        (await explained("POST", "/v1/chat/completions", b"{")).refusal,
        (await explained("GET", "/things/../x")).refusal,
        (await explained("PUT", "/things/7", b"1" * (32 * 2**20 + 1))).refusal,
    ]

    assert [(refusal["status"], refusal["code"]) for refusal in refusals if refusal] == [
        (404, "unknown_route"),
        (405, "method_not_allowed"),
        (404, "model_not_found"),
        (400, "invalid_json"),
        (400, "bad_path"),
        (413, "body_too_large"),
    ]


async def test_a_plugins_own_route_has_no_attempts() -> None:
    told = await explained("GET", "/hello/you")

    assert (told.kind, told.params, told.attempts) == ("plugin", {"who": "you"}, [])
    assert told.refusal is None
