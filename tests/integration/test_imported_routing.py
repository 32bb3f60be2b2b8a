"""Imported configurations as they serve: the places that the other gateway would have tried are tried."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.importing.litellm import import_litellm
from llmproxy.importing.portkey import import_portkey
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
BUSY = {"error": {"message": "Too many.", "type": "rate_limit_error", "code": None, "param": None}}
FULL = {
    "error": {
        "message": "This model's maximum context length is 8 tokens.",
        "type": "invalid_request_error",
        "code": "context_length_exceeded",
        "param": "messages",
    }
}


async def ask(tree: dict[str, Any], model: str, *fields: str) -> Any:
    tree = {**tree, "listen": ["127.0.0.1:0"], "admin": {"listen": "127.0.0.1:0"}}
    tree["upstreams"] = {name: {**each, "proxy": None} for name, each in tree["upstreams"].items()}
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    lines = ["Host: g", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    async with running_gateway(tree, environ={}) as gateway, RawClient(gateway.url) as client:
        head = "".join(f"{line}\r\n" for line in ("POST /v1/chat/completions HTTP/1.1", *lines, ""))
        return await client.exchange(head.encode() + body)


def litellm(first: FakeUpstream, second: FakeUpstream, **router: Any) -> dict[str, Any]:
    def deployment(name: str, upstream: FakeUpstream) -> dict[str, Any]:
        params = {"model": f"openai/{name}-there", "api_base": f"{upstream.url}/v1", "api_key": "none"}
        return {"model_name": name, "litellm_params": params}

    models = [deployment("small", first), deployment("large", second)]
    return import_litellm({"model_list": models, "router_settings": router}).tree


async def test_a_fallback_of_litellms_answers_where_the_model_is_busy() -> None:
    async with (
        FakeUpstream().reply(429, json=BUSY, headers=[("Retry-After", "60")]) as first,
        FakeUpstream().reply(json=ANSWER) as second,
    ):
        reply = await ask(litellm(first, second, fallbacks=[{"small": ["large"]}], num_retries=1), "small")

    assert (reply.status, reply.json()["choices"][0]["message"]["content"]) == (200, "Hi.")
    assert second.requests[0].json()["model"] == "large-there"


async def test_only_a_full_window_leads_to_a_fallback_for_it() -> None:
    lists = {"context_window_fallbacks": [{"small": ["large"]}], "num_retries": 0}
    async with (
        FakeUpstream().reply(400, json=FULL) as full,
        FakeUpstream().reply(500, json={"error": {"message": "Broken.", "type": "server_error"}}) as broken,
        FakeUpstream().reply(json=ANSWER) as large,
    ):
        longer = await ask(litellm(full, large, **lists), "small")
        other = await ask(litellm(broken, large, **lists), "small")

    assert longer.status == 200
    assert other.status >= 500
    assert len(large.requests) == 1


def portkey(strategy: dict[str, Any], *upstreams: FakeUpstream) -> dict[str, Any]:
    targets = [
        {"name": f"t{index}", "provider": "openai", "api_key": "none", "custom_host": f"{each.url}/v1"}
        for index, each in enumerate(upstreams)
    ]
    return import_portkey({"strategy": strategy, "targets": targets}).tree


async def test_a_fallback_of_portkeys_answers_where_the_first_target_fails() -> None:
    async with (
        FakeUpstream().reply(503, json=BUSY) as first,
        FakeUpstream().reply(json=ANSWER) as second,
    ):
        reply = await ask(portkey({"mode": "fallback"}, first, second), "gpt-4o")

    assert reply.status == 200
    assert [len(each.requests) for each in (first, second)] == [1, 1]


async def test_a_condition_of_portkeys_chooses_the_target() -> None:
    strategy = {
        "mode": "conditional",
        "conditions": [{"query": {"metadata.plan": {"$eq": "paid"}}, "then": "t1"}],
        "default": "t0",
    }
    async with FakeUpstream().reply(json=ANSWER) as free, FakeUpstream().reply(json=ANSWER) as paid:
        tree = portkey(strategy, free, paid)
        await ask(tree, "gpt-4o", 'x-portkey-metadata: {"user": "u", "plan": "paid"}')
        await ask(tree, "gpt-4o", 'x-portkey-metadata: {"plan":"free"}')
        await ask(tree, "gpt-4o")

    assert [len(each.requests) for each in (free, paid)] == [2, 1]
