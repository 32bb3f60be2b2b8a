"""What is told about a request, from the parts of a generation that open nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.assembly import Assembly
from llmproxy.config import decode
from llmproxy.explain import Explanation, explain
from llmproxy.messages import ClientRequest, Headers
from llmproxy.plugin import Exchange, NoConfig, Plugin, Registry, Reply, hookimpl
from llmproxy.routebuilding import build_routes
from llmproxy.testing import make_process
from llmproxy.testing.classes import with_names

from .toy_dialects import WHY, ToyPlugin

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

    def foresee(self, exchange: Exchange, body: bytes) -> list[tuple[str, str]]:
        return [("guards", f"{exchange.model} with {len(body)} bytes")]


class LastPlugin(Plugin[NoConfig]):
    """Has a route of its own."""

    @hookimpl
    def register(self, registry: Registry) -> None:
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
        "toy": {"use": ToyPlugin},
    },
    "pipeline": ["guard"],
    "upstreams": {
        "main": {
            "base_url": "https://api.test/v1",
            "api_key": "${env:KEY}",
            "headers": {"x-team": "${env:TEAM}"},
        },
        "claude": {"base_url": "https://claude.test/v1", "dialect": "anthropic", "api_key": "${env:KEY}"},
        "dots": {"base_url": "http://dots.test", "dialect": "dots", "api_key": "${env:KEY}"},
        "plain": {"base_url": "http://plain.test/base", "dialect": "http", "timeouts": {"connect": "2s"}},
        "other": {"base_url": "http://other.test", "dialect": "http"},
    },
    "models": {
        "fast": {"upstream": "main", "model": "gpt-4o-mini"},
        "wise": {"upstream": "claude", "model": "claude-sonnet-4-5"},
    },
    "routes": [
        {"name": "models", "match": {"path": "/v1/*"}, "plugins": ["last"]},
        {"name": "strict", "match": {"path": "/strict/v1/*"}, "lossy": "refuse"},
        {"name": "toys", "match": {"path": "/toy/*"}, "upstream": "dots", "lossy": "allow"},
        {
            "name": "things",
            "match": {"path": "/things/{id}", "methods": ["GET", "PUT"]},
            "targets": ["plain", "other"],
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
    return await explain(assembly, routes, ClientRequest(method, target, fields, host="gateway"), raw)


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


async def test_of_several_keys_it_shows_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIG["upstreams"]["main"], "api_key", ["${env:KEY}", "${env:TEAM}"])
    told = await explained("POST", "/v1/chat/completions", {"model": "fast"})

    assert ("Authorization", "Bearer ${env:KEY}, or ${env:TEAM}") in told.attempts[0].headers
    assert SECRET not in repr(told)
    assert "secret-team" not in repr(told)


async def test_it_tells_the_plan_of_an_http_route() -> None:
    told = await explained("PUT", "/things/7?full=1", {"a": 1})

    assert (told.kind, told.params) == ("http", {"id": "7"})
    assert [attempt.url for attempt in told.attempts] == [
        "http://plain.test/base/things/7?full=1",
        "http://other.test/things/7?full=1",
    ]
    assert told.attempts[0].timeouts["connect"] == "7s"
    assert told.attempts[0].edits == []


async def test_the_length_of_a_body_is_told_once() -> None:
    told = await explained("PUT", "/things/7", {"a": 1}, Content_Length="7")

    assert [value for name, value in told.attempts[0].headers if name.lower() == "content-length"] == ["7"]


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


@pytest.mark.parametrize(
    ("name", "instead"), [("wize", "did you mean 'wise'?"), ("other", "served are fast, wise")]
)
async def test_a_model_that_is_not_served_is_told_with_those_that_are(name: str, instead: str) -> None:
    told = await explained("POST", "/v1/chat/completions", {"model": name})

    assert told.refusal is not None
    assert instead in told.refusal["message"]


async def test_a_plugins_own_route_has_no_attempts() -> None:
    told = await explained("GET", "/hello/you")

    assert (told.kind, told.params, told.attempts) == ("plugin", {"who": "you"}, [])
    assert told.refusal is None


CHAT = {"model": "wise", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "seed": 7}


async def test_it_shows_a_request_put_into_another_dialect_and_what_gets_lost() -> None:
    told = await explained("POST", "/v1/chat/completions", CHAT, authorization=f"Bearer {CALLERS}")
    (attempt,) = told.attempts
    translation = attempt.translation

    assert told.refusal is None
    assert attempt.request_line == "POST /v1/messages HTTP/1.1"
    assert attempt.url == "https://claude.test/v1/messages"
    assert translation is not None
    assert (translation.caller, translation.provider) == ("openai", "anthropic")
    assert orjson.loads(translation.body)["model"] == "claude-sonnet-4-5"
    assert attempt.body_bytes == len(translation.body)
    assert attempt.edits == []
    assert "seed" in translation.losses
    assert (translation.lossy, translation.then) == (
        "warn",
        "the log and the header x-llmproxy-losses tell of them",
    )
    assert any("${env:KEY}" in value for _, value in attempt.headers)
    assert SECRET not in repr(told)
    assert CALLERS not in repr(told)


async def test_it_tells_that_a_route_would_refuse_what_gets_lost() -> None:
    told = await explained("POST", "/strict/v1/chat/completions", CHAT)
    whole = await explained("POST", "/strict/v1/chat/completions", {**CHAT, "seed": None})

    assert told.refusal is not None
    assert (told.refusal["status"], told.refusal["code"]) == (400, "lossy_translation")
    assert told.attempts[0].translation is not None
    assert told.attempts[0].translation.then == "the request is refused"
    assert whole.refusal is None
    assert whole.attempts[0].translation is not None
    assert whole.attempts[0].translation.then == "nothing gets lost"


async def test_it_tells_what_needs_no_provider_and_what_it_cannot_know() -> None:
    counted = await explained("POST", "/toy/count", {"model": "m", "say": "hi"})
    later = await explained("POST", "/toy/ask", {"model": "m", "say": "hi", "after": "a-1", "mood": "good"})
    refused = await explained("POST", "/toy/embed", {"model": "m", "say": "hi"})

    assert counted.attempts[0].local
    assert counted.attempts[0].translation is not None
    assert later.attempts[0].translation is not None
    assert later.attempts[0].translation.losses == {"mood": WHY}
    assert later.attempts[0].translation.then == "the log tells of them"
    assert "earlier answer" in later.attempts[0].translation.notes[0]
    assert refused.refusal is not None
    assert refused.refusal["code"] == "not_supported_by_provider"


async def test_a_plugin_says_what_it_can_of_a_request() -> None:
    body = {"model": "fast", "messages": []}
    told = await explained("POST", "/v1/chat/completions", body)

    assert told.plugins[0].says == [("guards", f"fast with {len(orjson.dumps(body))} bytes")]
