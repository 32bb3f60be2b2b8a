"""The SDK's `AzureOpenAI` through the gateway, and Azure behind it, by its dated API and the undated one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletion

from llmproxy.testing import FakeUpstream, running_gateway

from .azure_resource import KEY, VERSION, AzureResource
from .replaying import PRESENT, recordings, replaying
from .sdks import LOOK

CALLER = "key-of-the-caller"
HI = [{"role": "user", "content": "Hi"}]
FORMS = {"dated": "/openai", "undated": "/openai/v1", "rooted": ""}


def config(url: str) -> dict[str, Any]:
    upstreams = {
        name: {"provider": "azure", "base_url": url + path, "api_key": "${env:AZURE}"}
        for name, path in FORMS.items()
    }
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": upstreams,
        "models": {"mine": {"upstream": "dated"}, "away": {"upstream": "dated", "model": "gone"}},
        "plugins": {"access": {"keys": [{"name": "web", "tenant": "shop", "key": "${env:CALLER}"}]}},
        "pipeline": ["access"],
        "routes": [{"name": "models"}],
    }


@pytest.fixture
async def resource() -> AsyncIterator[AzureResource]:
    async with AzureResource() as found:
        yield found


@pytest.fixture
async def url(resource: AzureResource) -> AsyncIterator[str]:
    async with running_gateway(config(resource.url), environ={"AZURE": KEY, "CALLER": CALLER}) as gateway:
        yield gateway.url


def azure(url: str, key: str = CALLER, **more: Any) -> openai.AsyncAzureOpenAI:
    return openai.AsyncAzureOpenAI(
        azure_endpoint=url, api_key=key, api_version="2025-01-01-preview", max_retries=0, **more
    )


@pytest.mark.parametrize("form", FORMS)
async def test_azures_client_gets_azures_answer(url, resource, form):
    async with azure(url) as client:
        got = await client.chat.completions.create(model=f"{form}/mine", messages=HI)

    assert got.choices[0].message.content.strip() == "Hello there, this is an answer."
    assert got.model_extra["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"] == "safe"
    path = "/deployments/mine/chat/completions" if form == "dated" else "/v1/chat/completions"
    version = f"?api-version={VERSION}" if form == "dated" else ""
    assert resource.targets == [f"/openai{path}{version}"]


@pytest.mark.parametrize("form", FORMS)
async def test_a_stream_begins_with_what_the_filter_found(url, form):
    async with azure(url) as client:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model=f"{form}/mine", messages=HI, stream=True
            )
        ]

    assert chunks[0].choices == []
    assert chunks[0].model_extra["prompt_filter_results"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[2:] if chunk.choices)
    assert text.strip() == "Hello there, this is an answer."
    assert all(chunk.usage is None for chunk in chunks)


async def test_a_deployment_of_the_clients_own_goes_before_the_model_that_it_names(url, resource):
    async with azure(url, azure_deployment="mine") as client:
        await client.chat.completions.create(model="gpt-4o", messages=HI)
        await client.post("/chat/completions", cast_to=ChatCompletion, body={"messages": HI})

    assert [asked.model for asked in resource.asked] == ["mine", "mine"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_answered(url, streamed):
    tools = [{"type": "function", "function": {"name": "look", "parameters": LOOK}}]
    asked: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
    async with azure(url) as client:
        if streamed:
            async with client.chat.completions.stream(model="mine", messages=asked, tools=tools) as stream:
                message = (await stream.get_final_completion()).choices[0].message
        else:
            got = await client.chat.completions.create(model="mine", messages=asked, tools=tools)
            message = got.choices[0].message
        call = message.tool_calls[0]
        asked += [
            message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}),
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ]
        for each in asked[1]["tool_calls"]:
            each["function"].pop("parsed_arguments", None)
            each.pop("index", None)
        got = await client.chat.completions.create(model="mine", messages=asked, tools=tools)

    assert call.function.name == "look"
    assert got.choices[0].message.content == "Seen: sunny."


async def test_errors_are_azures_own(url):
    async with azure(url) as client:
        with pytest.raises(openai.BadRequestError) as filtered:
            await client.chat.completions.create(
                model="mine", messages=[{"role": "user", "content": "build a bomb"}]
            )
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="away", messages=HI)
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(
                model="mine", messages=[{"role": "user", "content": "fail 429"}]
            )

    assert filtered.value.code == "content_filter"
    assert filtered.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert missing.value.code == "DeploymentNotFound"


async def test_a_wrong_key_is_refused_in_the_header_that_azures_client_sends_it_in(url, resource):
    async with azure(url, "wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="mine", messages=HI)

    assert resource.targets == []


async def test_callers_of_other_dialects_reach_a_deployment(url, resource):
    async with anthropic.AsyncAnthropic(base_url=url, api_key=CALLER, max_retries=0) as client:
        got = await client.messages.create(
            model="mine", max_tokens=99, messages=[{"role": "user", "content": "Hi"}]
        )
        with pytest.raises(anthropic.BadRequestError, match="content management policy"):
            await client.messages.create(
                model="mine", max_tokens=99, messages=[{"role": "user", "content": "build a bomb"}]
            )

    assert got.content[0].text.strip() == "Hello there, this is an answer."
    assert resource.targets[0] == f"/openai/deployments/mine/chat/completions?api-version={VERSION}"


async def test_a_callers_responses_become_chat_where_a_version_has_none(url, resource):
    async with openai.AsyncOpenAI(base_url=f"{url}/openai/v1", api_key=CALLER, max_retries=0) as client:
        got = await client.responses.create(model="mine", input="Hi")

    assert got.output_text.strip() == "Hello there, this is an answer."
    assert "/deployments/mine/chat/completions" in resource.targets[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_azures_client_has_responses_wherever_it_is_sent(url, resource, form, streamed):
    async with azure(url) as client:
        if streamed:
            events = [
                each
                async for each in await client.responses.create(model=f"{form}/mine", input="Hi", stream=True)
            ]
            got = events[-1].response
        else:
            got = await client.responses.create(model=f"{form}/mine", input="Hi")

    assert got.output_text.strip() == "Hello there, this is an answer."
    called = "/openai/deployments/mine/chat/completions?" if form == "dated" else "/openai/v1/responses"
    assert resource.targets[0].startswith(called)


@pytest.mark.parametrize("form", ["dated", "undated"])
async def test_other_calls_name_their_deployment_too(form):
    vectors = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}],
    }
    upstream = FakeUpstream()
    for answer in (vectors, {"text": "Hello"}, {"created": 1, "data": [{"b64_json": "aGk="}]}):
        upstream.reply(json=answer)
    async with (
        upstream,
        running_gateway(config(upstream.url), environ={"AZURE": KEY, "CALLER": CALLER}) as gateway,
        azure(gateway.url) as client,
    ):
        await client.embeddings.create(model=f"{form}/mine", input="Hi", encoding_format="float")
        heard = await client.audio.transcriptions.create(
            model=f"{form}/mine", file=("speech.mp3", bytes(range(256)) * 40)
        )
        await client.images.generate(model=f"{form}/mine", prompt="a cat")

    assert heard.text == "Hello"
    calls = ["/embeddings", "/audio/transcriptions", "/images/generations"]
    before, after = (
        ("/openai/deployments/mine", f"?api-version={VERSION}") if form == "dated" else ("/openai/v1", "")
    )
    assert [each.target for each in upstream.requests] == [f"{before}{call}{after}" for call in calls]
    assert b'name="model"\r\n\r\nmine\r\n' in upstream.requests[1].body
    assert bytes(range(256)) * 40 in upstream.requests[1].body
    assert {each.header("api-key") for each in upstream.requests} == {KEY}


async def test_kept_answers_are_of_one_deployment_whatever_bodies_name(resource):
    tree = config(resource.url)
    tree["stores"] = {"kept": {"url": "memory://"}}
    tree["plugins"]["cache"] = {"store": "kept"}
    tree["models"]["twin"] = {"upstream": "dated", "model": "mine"}
    tree["routes"] = [{"name": "models", "plugins": [{"cache": {"ttl": "5m", "invalidation": "tags"}}]}]
    statuses = []
    async with (
        running_gateway(tree, environ={"AZURE": KEY, "CALLER": CALLER}) as gateway,
        aiohttp.ClientSession(gateway.url, headers={"api-key": CALLER}) as session,
    ):
        for deployment, named in (("mine", "mine"), ("mine", "twin"), ("twin", "mine"), ("twin", None)):
            body = {"messages": HI, "temperature": 0} | ({"model": named} if named else {})
            path = f"/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
            async with session.post(path, json=body) as reply:
                statuses.append(reply.headers["cache-status"].split(";")[1].strip())

    assert statuses == ["fwd=miss", "hit", "fwd=miss", "hit"]
    assert len(resource.targets) == 2


@pytest.mark.shared
@pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project")
async def test_recorded_streams_and_answers_pass_byte_for_byte():
    records = [
        record
        for record in recordings("openai.chat")
        if record["provider"] == "azure" and record["request"] and record["response"]["status"] == 200
    ]
    with replaying() as provider:
        async with (
            running_gateway(config(provider), environ={"AZURE": KEY, "CALLER": CALLER}) as gateway,
            azure(gateway.url) as through,
            azure(provider, KEY) as direct,
        ):
            different = [
                record["id"]
                for record in records
                if await _asked(through, "dated/", record) != await _asked(direct, "", record)
            ]

    assert len(records) > 45
    assert different == []


async def _asked(client: openai.AsyncAzureOpenAI, before: str, record: dict[str, Any]) -> Any:
    body = {**record["request"]["body"], "model": f"{before}{record['id']}"}
    if record["stream"]:
        body["stream_options"] = {"include_usage": True}
    got = await client.chat.completions.with_raw_response.create(**body)
    parsed = got.parse()
    if not record["stream"]:
        return parsed.model_dump(warnings=False)
    return [chunk.model_dump(warnings=False) async for chunk in parsed]
