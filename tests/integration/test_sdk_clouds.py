"""Other clouds: their clients (AnthropicVertex, AnthropicBedrock, google-genai on Vertex), and they as upstreams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors, types
from openai import AsyncOpenAI
from tests.plugins.google.accounts import google_serving

from llmproxy.testing import running_gateway

from .sdks import KEY, LOOK, Site, config
from .strict_clouds import TOKEN, CloudProvider

#: The SDK's own session is a subclass, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

VERTEX = "/v1/projects/p/locations/l"
CLOUDS = {"anthropic-vertex": VERTEX, "anthropic-bedrock": "", "gemini-vertex": VERTEX}
UPSTREAMS = ("openai", "anthropic", "gemini", "bedrock", *CLOUDS)
TOOLS: list[Any] = [{"name": "look", "input_schema": LOOK}]


@pytest.fixture
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("CLOUD_TOKEN", TOKEN)
    async with CloudProvider() as provider:
        tree = config(provider.url)
        for name, prefix in CLOUDS.items():
            url = provider.url + prefix
            tree["upstreams"][name] = {"base_url": url, "dialect": name, "api_key": "${env:CLOUD_TOKEN}"}
        async with running_gateway(tree) as gateway:
            yield Site(provider, gateway)


def on_vertex(here: Site) -> anthropic.AsyncAnthropicVertex:
    return anthropic.AsyncAnthropicVertex(
        base_url=f"{here.url}/v1", region="us-east5", project_id="own", access_token=KEY, max_retries=0
    )


def on_bedrock(here: Site) -> anthropic.AsyncAnthropicBedrock:
    return anthropic.AsyncAnthropicBedrock(
        base_url=here.url,
        aws_region="us-east-1",
        aws_access_key="AKID",
        aws_secret_key="secret",
        max_retries=0,
    )


CLIENTS = pytest.mark.parametrize("make", [on_vertex, on_bedrock])


def model_of(make: Any, upstream: str) -> str:
    return f"{upstream}/claude-m" if make is on_bedrock else f"{upstream}/m"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def whole(client: Any, **asked: Any) -> Any:
    return await client.messages.create(**{"max_tokens": 500, **asked})


async def streamed(client: Any, **asked: Any) -> Any:
    """Stream an answer and put it together as the SDK does."""
    async with client.messages.stream(**{"max_tokens": 500, **asked}) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_message()


WAYS = pytest.mark.parametrize("say", [whole, streamed])


@CLIENTS
@WAYS
async def test_an_answer_has_text_a_reason_and_usage(here, make, say):
    async with make(here) as client:
        for upstream in UPSTREAMS:
            got = await say(client, model=model_of(make, upstream), system="Be brief.", messages=[user("Hi")])

            assert text_of(got).strip() == "Hello there, this is an answer.", upstream
            assert got.stop_reason == "end_turn"
            assert got.usage.output_tokens == 20
            assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@CLIENTS
async def test_tools_are_called_and_their_results_come_back(here, make):
    async with make(here) as client:
        for upstream in UPSTREAMS:
            model, messages = model_of(make, upstream), [user("The weather in Paris and Rome?")]
            first = await streamed(client, model=model, messages=messages, tools=TOOLS)
            calls = [block for block in first.content if block.type == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sun"} for call in calls]
            messages += [{"role": "assistant", "content": first.content}, user(results)]
            second = await whole(client, model=model, messages=messages, tools=TOOLS)

            assert first.stop_reason == "tool_use"
            assert text_of(second) == "Seen: sun; sun.", upstream


ERRORS: dict[int, Any] = {
    400: anthropic.BadRequestError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    503: (anthropic.InternalServerError, anthropic.OverloadedError),
}


@CLIENTS
async def test_errors_are_those_of_the_sdk(here, make):
    async with make(here) as client:
        for upstream in UPSTREAMS:
            for status, kind in ERRORS.items():
                with pytest.raises(kind):
                    await streamed(client, model=model_of(make, upstream), messages=[user(f"fail {status}")])


@CLIENTS
async def test_an_unknown_model_is_one_to_the_sdk(here, make):
    async with make(here) as client:
        with pytest.raises(anthropic.NotFoundError):
            await whole(client, model="nowhere/claude", messages=[user("Hi")])


async def test_tokens_are_counted(here):
    async with on_vertex(here) as client:
        for upstream in ("anthropic", "anthropic-vertex", "gemini-vertex"):
            got = await client.messages.count_tokens(model=f"{upstream}/m", messages=[user("Hi there")])

            assert got.input_tokens > 0


async def test_betas_go_with_the_message(here):
    async with on_vertex(here) as client:
        await client.beta.messages.create(
            model="anthropic-vertex/m", max_tokens=9, messages=[user("Hi")], betas=["context-1m-2025-08-07"]
        )

    assert here.provider.headers[-1]["anthropic-beta"] == "context-1m-2025-08-07"


async def test_other_dialects_reach_these_clouds(here):
    messages: Any = [{"role": "system", "content": "Be brief."}, user("Hi")]
    async with AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client:
        for upstream in CLOUDS:
            asked: Any = {"model": f"{upstream}/m", "messages": messages}
            got = await client.chat.completions.create(**asked)
            text = ""
            async for chunk in await client.chat.completions.create(**asked, stream=True):
                text += chunk.choices[0].delta.content or "" if chunk.choices else ""

            assert got.choices[0].message.content.strip() == text.strip() == "Hello there, this is an answer."
            assert here.asked.system == "Be brief."


class Own(Credentials):
    """A caller's own credentials, which mean nothing to the provider."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "ya29.of-the-caller"

    def refresh(self, request: object) -> None:
        self.token = "ya29.of-the-caller"


def on_google(here: Site) -> genai.client.AsyncClient:
    options = types.HttpOptions(base_url=here.url)
    return genai.Client(
        vertexai=True, project="own", location="europe-west4", credentials=Own(), http_options=options
    ).aio


@pytest.fixture
async def google(here: Site) -> AsyncIterator[genai.client.AsyncClient]:
    async with on_google(here) as found:
        yield found


async def test_google_s_client_on_vertex_has_its_answers(here, google):
    settings = types.GenerateContentConfig(system_instruction="Be brief.")
    for upstream in UPSTREAMS:
        asked: Any = {"model": f"{upstream}/m", "contents": "Hi", "config": settings}
        got = await google.models.generate_content(**asked)
        text = ""
        async for chunk in await google.models.generate_content_stream(**asked):
            text += chunk.text or ""

        assert got.text.strip() == text.strip() == "Hello there, this is an answer."
        counts = got.usage_metadata
        assert (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0) == 20
        assert here.asked.system == "Be brief."
    assert "ya29.of-the-caller" not in str(here.provider.headers)


async def test_google_s_client_on_vertex_is_told_of_errors(google):
    with pytest.raises(errors.ClientError) as told:
        await google.models.generate_content(model="gemini-vertex/m", contents="fail 429")
    assert told.value.code == 429


async def test_google_s_client_on_vertex_calls_tools(google):
    look = types.FunctionDeclaration(name="look", parameters_json_schema=LOOK)
    manual = types.AutomaticFunctionCallingConfig(disable=True)
    settings = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[look])], automatic_function_calling=manual
    )
    for upstream in UPSTREAMS:
        asked: list[Any] = [types.Content(role="user", parts=[types.Part(text="The weather in Paris?")])]
        first = await google.models.generate_content(model=f"{upstream}/m", contents=asked, config=settings)
        (call,) = first.function_calls
        answer = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sun"})
        asked += [
            first.candidates[0].content,
            types.Content(role="user", parts=[types.Part(function_response=answer)]),
        ]
        second = await google.models.generate_content(model=f"{upstream}/m", contents=asked, config=settings)

        assert call.args == {"city": "Paris"}
        assert "sun" in second.text, upstream


async def test_google_s_client_on_vertex_counts(google):
    got = await google.models.count_tokens(model="gemini-vertex/m", contents="Hi there")

    assert got.total_tokens > 0


async def test_texts_become_vectors_by_google_s_client_and_by_openai_s(here, google):
    model = "gemini-vertex/text-embedding-005"
    got = await google.models.embed_content(model=model, contents=["one", "three"])
    async with AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client:
        other = await client.embeddings.create(model=model, input=["one", "three"], encoding_format="float")

    assert [each.values for each in got.embeddings] == [[3.0, 0.5], [5.0, 0.5]]
    assert [each.embedding for each in other.data] == [[3.0, 0.5], [5.0, 0.5]]
    assert other.usage.prompt_tokens == 4


class Ending(CloudProvider):
    """Clouds whose token is any of a token server's that lives."""

    def __init__(self, google: Any) -> None:
        super().__init__()
        self._google = google
        self.refused = 0

    def is_known(self, token: str) -> bool:
        known = self._google.tokens.get(token, 0.0) > time.monotonic()
        self.refused += not known
        return known


@pytest.mark.slow
async def test_tokens_end_and_are_renewed_while_sdks_ask_on(monkeypatch):
    async with google_serving() as google, Ending(google) as provider:
        google.lives = 1.0
        monkeypatch.setenv("VERTEX_KEY", google.service_account())
        tree = config(provider.url)
        for name in ("anthropic-vertex", "gemini-vertex"):
            tree["upstreams"][name] = {
                "base_url": provider.url + VERTEX,
                "dialect": name,
                "auth": {"google": {"key": "${env:VERTEX_KEY}"}},
            }
        async with running_gateway(tree) as gateway:
            here = Site(provider, gateway)
            until, answers = time.monotonic() + 2.3, 0
            async with on_vertex(here) as claude, on_google(here) as gemini:
                while time.monotonic() < until:
                    got = await streamed(claude, model="anthropic-vertex/m", messages=[user("Hi")])
                    assert text_of(got).strip() == "Hello there, this is an answer."
                    other = await gemini.models.generate_content(model="gemini-vertex/m", contents="Hi")
                    assert other.text.strip() == "Hello there, this is an answer."
                    answers += 2

    assert answers > 50
    assert provider.refused == 0
    assert google.asked >= 4


def others(here: Site) -> list[Any]:
    """Return the clients that send a message as Anthropic's own does, with another cloud's credentials."""
    aws: dict[str, Any] = {"aws_access_key": "AKID", "aws_secret_key": "secret", "aws_region": "us-east-1"}
    return [
        anthropic.AsyncAnthropicBedrockMantle(base_url=f"{here.url}/anthropic", max_retries=0, **aws),
        anthropic.AsyncAnthropicAWS(base_url=here.url, workspace_id="w", max_retries=0, **aws),
        anthropic.AsyncAnthropicGoogleCloud(base_url=here.url, credentials=Own(), max_retries=0),
    ]


async def test_clients_of_anthropic_on_other_clouds_are_callers_too(here):
    for client in others(here):
        async with client:
            for upstream in ("anthropic", "anthropic-vertex", "openai"):
                got = await streamed(client, model=f"{upstream}/m", messages=[user("Hi")])

                assert text_of(got).strip() == "Hello there, this is an answer.", (client, upstream)
    assert not any("AKID" in str(sent) or "ya29" in str(sent) for sent in here.provider.headers)


@pytest.mark.parametrize("make", [on_vertex, on_bedrock])
@WAYS
async def test_answers_are_kept_for_who_asks_again(monkeypatch, make, say):
    monkeypatch.setenv("CLOUD_TOKEN", TOKEN)
    async with CloudProvider() as provider:
        tree = config(provider.url, plugins=[{"cache": {"ttl": "5m", "invalidation": "ttl"}}])
        for name, prefix in CLOUDS.items():
            url = provider.url + prefix
            tree["upstreams"][name] = {"base_url": url, "dialect": name, "api_key": "${env:CLOUD_TOKEN}"}
        tree |= {"stores": {"kept": "memory://"}, "plugins": tree["plugins"] | {"cache": {"store": "kept"}}}
        async with running_gateway(tree) as gateway, make(Site(provider, gateway)) as client:
            for upstream in ("anthropic", "anthropic-vertex", "anthropic-bedrock", "bedrock"):
                provider.bodies.clear()
                settings = {"messages": [user("Hi")], "extra_body": {"temperature": 0}}
                texts = [
                    text_of(await say(client, model=f"{upstream}/claude-m", **settings)) for _ in range(3)
                ]

                assert len(set(texts)) == len(provider.bodies) == 1, upstream
