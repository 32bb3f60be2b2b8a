"""Ollama's SDK against a provider of every dialect, and other SDKs against an Ollama server."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import anthropic
import ollama
import openai
import orjson
import pytest

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

from .sdks import KEY, LOOK, PNG, PREFIXES, asked_by_google, asked_by_openai, config
from .strict_ollama import StrictOllama
from .strict_provider import StrictProvider

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

#: One gateway reaches them all: each test asks every one of them, in both ways.
UPSTREAMS = [*PREFIXES, "ollama"]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "look", "description": "d", "parameters": LOOK}}
]


@pytest.fixture
async def provider() -> AsyncIterator[StrictProvider]:
    async with StrictProvider() as found:
        yield found


@pytest.fixture
async def server() -> AsyncIterator[StrictOllama]:
    async with StrictOllama() as found:
        yield found


@pytest.fixture
async def gateway(provider: StrictProvider, server: StrictOllama) -> AsyncIterator[RunningGateway]:
    tree = config(provider.url)
    tree["upstreams"]["ollama"] = {"base_url": server.url, "dialect": "ollama"}
    tree["models"] = {
        "fast": {"upstream": "openai", "model": "m"},
        "own": {"upstream": "ollama", "model": "llama3"},
    }
    async with running_gateway(tree) as found:
        yield found


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[ollama.AsyncClient]:
    found = ollama.AsyncClient(host=gateway.url, headers={"Authorization": f"Bearer {KEY}"})
    yield found
    await found._client.aclose()


async def whole(client: ollama.AsyncClient, **asked: Any) -> Any:
    return await client.chat(**asked)


async def streamed(client: ollama.AsyncClient, **asked: Any) -> Any:
    """Gather a stream as programs do."""
    message = ollama.Message(role="assistant", content="", thinking="", tool_calls=[])
    part = None
    async for part in await client.chat(stream=True, **asked):
        message.content += part.message.content or ""
        message.thinking += part.message.thinking or ""
        message.tool_calls += part.message.tool_calls or []
    assert part is not None
    assert part.done
    part.message = message
    return part


WAYS = [(say, upstream) for say in (whole, streamed) for upstream in UPSTREAMS]


def asks(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


async def test_an_answer_has_text_a_reason_usage_and_durations(client):
    for say, upstream in WAYS:
        got = await say(
            client, model=f"{upstream}/m", messages=[{"role": "system", "content": "Be brief."}, asks("Hi")]
        )

        assert got.message.content.strip() == "Hello there, this is an answer."
        assert (got.done_reason, got.prompt_eval_count, got.eval_count) == ("stop", 40, 20)
        assert got.model == f"{upstream}/m" or upstream == "ollama"
        assert got.total_duration > 0
        assert got.eval_duration >= 0


async def test_parallel_tools_are_called_and_their_results_come_back(client):
    for say, upstream in WAYS:
        talk: list[Any] = [asks("The weather in Paris and Rome?")]
        got = await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)
        calls = got.message.tool_calls
        talk.append(got.message)
        for call in calls:
            told = f"{call.function.arguments['city']}: sun"
            talk.append({"role": "tool", "tool_name": call.function.name, "content": told})
        got = await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)

        assert [call.function.arguments for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        assert got.message.content == "Seen: Paris: sun; Rome: sun."


async def test_a_loop_of_tools_runs_over_several_turns(client):
    for say, upstream in WAYS:
        talk: list[Any] = [asks("The weather in Paris and then Rome and then Oslo?")]
        rounds = 0
        while calls := (
            got := await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)
        ).message.tool_calls:
            rounds += 1
            talk += [
                got.message,
                {"role": "tool", "tool_name": calls[0].function.name, "content": f"sun {rounds}"},
            ]

        assert rounds == 3
        assert got.message.content == "Seen: sun 3."


async def test_a_loop_of_tools_under_thought_brings_back_what_was_signed(client):
    """The SDK drops the ids of calls, under which signed thoughts are kept; providers refuse a turn without them."""
    for say, upstream in WAYS:
        asked: Any = {
            "model": f"{upstream}/m",
            "tools": TOOLS,
            "think": "high",
            "options": {"num_predict": 4000},
        }
        talk: list[Any] = [asks("The weather in Paris and then Rome and then Oslo?")]
        rounds = 0
        while calls := (got := await say(client, messages=talk, **asked)).message.tool_calls:
            rounds += 1
            talk += [
                got.message,
                {"role": "tool", "tool_name": calls[0].function.name, "content": f"sun {rounds}"},
            ]

        assert rounds == 3
        assert got.message.content == "Seen: sun 3."


async def test_thought_stands_beside_the_text(client):
    for say, upstream in WAYS:
        options = {"num_predict": 4000}
        got = await say(client, model=f"{upstream}/m", messages=[asks("Hi")], think="high", options=options)

        assert got.message.thinking == "Let me think about it."


async def test_a_picture_arrives(client):
    for upstream in UPSTREAMS:
        got = await whole(
            client, model=f"{upstream}/m", messages=[asks("What is this?", images=[base64.b64decode(PNG)])]
        )

        assert got.message.content == "I see 1 image."


async def test_an_answer_by_schema_is_parsed(client):
    for upstream in UPSTREAMS:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        got = await whole(client, model=f"{upstream}/m", messages=[asks("Well?")], format=schema)

        assert orjson.loads(got.message.content) == {"city": "Paris", "sunny": True}


async def test_an_answer_cut_by_its_bound_says_so(client):
    for say, upstream in WAYS:
        assert (await say(client, model=f"{upstream}/m", messages=[asks("long")])).done_reason == "length"


async def test_an_error_is_the_sdks_own(client):
    for (say, upstream), status in product(WAYS, [400, 401, 404, 429, 503]):
        with pytest.raises(ollama.ResponseError) as caught:
            await say(client, model=f"{upstream}/m", messages=[asks(f"fail {status}")])

        assert caught.value.status_code == status
        assert f"told to fail with {status}" in caught.value.error


async def test_a_prompt_is_answered(client):
    for upstream, stream in product(PREFIXES, [False, True]):
        got = await client.generate(f"{upstream}/m", "Hi", system="Be brief.", stream=stream)
        told = [part async for part in got] if stream else [got]

        assert "".join(part.response for part in told).strip() == "Hello there, this is an answer."
        assert (told[-1].done_reason, told[-1].eval_count) == ("stop", 20)


async def test_the_gateways_models_are_listed_and_shown(client, server):
    listed = await client.list()
    shown = await client.show("fast")
    own = await client.show("own")

    assert [model.model for model in listed.models] == ["fast", "own"]
    assert "completion" in shown.capabilities
    assert own.modelinfo == {"own": True}
    assert server.bodies[-1] == {"model": "llama3"}


async def test_a_model_that_is_not_there_is_told(client):
    with pytest.raises(ollama.ResponseError) as caught:
        await client.chat("unknown", [asks("Hi")])

    assert caught.value.status_code == 404


async def test_a_model_may_be_loaded(client, provider):
    got = await client.generate("openai/m")

    assert (got.done, got.done_reason, provider.asked) == (True, "load", [])


async def test_what_a_server_takes_untouched_reaches_it(client, server):
    await client.chat("own", [asks("Hi")], options={"num_ctx": 8192}, keep_alive="5m")

    assert server.bodies[-1]["options"] == {"num_ctx": 8192}
    assert server.bodies[-1]["keep_alive"] == "5m"


async def test_texts_are_embedded_by_a_server_and_by_another_provider(client):
    own = await client.embed("own", ["a", "bcd"])
    assert own.embeddings == [[0.5, 1.0], [0.5, 3.0]]

    vectors = [{"index": n, "embedding": [0.25, n]} for n in range(2)]
    answer = {"data": vectors, "model": "e", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    async with FakeUpstream() as upstream:
        upstream.reply(json=answer)
        tree = {"upstreams": {"up": {"base_url": f"{upstream.url}/v1"}}, "routes": [{"name": "models"}]}
        async with running_gateway(tree) as gateway:
            other = ollama.AsyncClient(host=gateway.url)
            got = await other.embed("up/e", ["a", "b"])
            upstream.reply(json=answer)
            old = await other.embeddings("up/e", "a")
            await other._client.aclose()

    assert (got.embeddings, got.prompt_eval_count) == ([[0.25, 0.0], [0.25, 1.0]], 4)
    assert old.embedding == [0.25, 0.0]


async def test_a_cached_answer_is_told_in_each_form_and_each_dialect(provider, server):
    tree = config(provider.url)
    tree["upstreams"]["ollama"] = {"base_url": server.url, "dialect": "ollama"}
    tree["stores"] = {"kept": {"url": "memory://"}}
    tree["plugins"]["cache"] = {"store": "kept"}
    tree["routes"] = [
        {"name": "models", "plugins": [{"cache": {"profile": "deterministic", "across_dialects": True}}]}
    ]
    async with running_gateway(tree) as gateway:
        for upstream in ("ollama", "anthropic"):
            asked: Any = {"model": f"{upstream}/m", "messages": [asks("Paris?")], "tools": TOOLS}
            asked["options"] = {"temperature": 0}
            client = ollama.AsyncClient(host=gateway.url)
            answers = [await say(client, **asked) for say in (streamed, streamed, whole, whole)]
            await client._client.aclose()
            async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as other:
                del asked["options"]
                got = await other.chat.completions.create(**asked, temperature=0)

            calls = [answer.message.tool_calls[0].function.arguments for answer in answers]
            assert calls == [{"city": "Paris"}] * 4
            assert {answer.eval_count for answer in answers} == {20}
            assert got.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'
    assert len(server.asked) == 1
    assert len(provider.asked) == 1


async def test_an_error_inside_a_stream_is_raised(client):
    lines = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}\n{"error":"out of memory"}\n'
    kind = [("Content-Type", "application/x-ndjson")]
    async with FakeUpstream().stream([lines], headers=kind) as upstream:
        tree = {
            "upstreams": {"up": {"base_url": upstream.url, "dialect": "ollama"}},
            "routes": [{"name": "models"}],
        }
        async with running_gateway(tree) as gateway:
            other = ollama.AsyncClient(host=gateway.url)
            with pytest.raises(ollama.ResponseError, match="out of memory"):
                async for _ in await other.chat("up/m", [asks("Hi")], stream=True):
                    pass
            await other._client.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_sdk_asks_an_ollama_server(gateway, server, stream):
    await asked_by_openai(gateway.url, stream=stream)

    assert server.asked[-1].tools == ["look"]


async def test_anthropics_sdk_asks_an_ollama_server(gateway, server):
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=KEY) as client:
        thinking: Any = {"type": "enabled", "budget_tokens": 1024}
        asked: Any = {"model": "own", "max_tokens": 4000, "messages": [asks("Hi")], "thinking": thinking}
        async with client.messages.stream(**asked) as stream:
            got = await stream.get_final_message()

    assert [block.type for block in got.content] == ["thinking", "text"]
    assert (got.stop_reason, got.usage.output_tokens) == ("end_turn", 20)
    assert server.bodies[-1]["options"]["num_predict"] == 4000


async def test_googles_sdk_asks_an_ollama_server(gateway):
    await asked_by_google(gateway.url)
