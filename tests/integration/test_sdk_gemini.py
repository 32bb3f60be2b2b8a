"""Google's SDK against a provider of every dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types

from .sdks import KEY, LOOK, PNG, PREFIXES, Site, site

#: The SDK's own session is a subclass, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

UPSTREAMS = pytest.mark.parametrize("upstream", PREFIXES)
TOOLS = [
    types.Tool(function_declarations=[types.FunctionDeclaration(name="look", parameters_json_schema=LOOK)])
]
#: The SDK must not run the loop itself.
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)
THINKING = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.fixture(params=["v1beta", "v1"])
async def client(here: Site, request: pytest.FixtureRequest) -> AsyncIterator[genai.client.AsyncClient]:
    options = types.HttpOptions(base_url=here.url, api_version=request.param)
    async with genai.Client(api_key=KEY, http_options=options).aio as found:
        yield found


async def whole(client: Any, **asked: Any) -> Any:
    got = await client.models.generate_content(**asked)
    return got.candidates[0].content.parts if got.candidates[0].content else [], got


async def streamed(client: Any, **asked: Any) -> Any:
    parts, last = [], None
    async for chunk in await client.models.generate_content_stream(**asked):
        last = chunk
        for candidate in chunk.candidates or []:
            parts += (candidate.content.parts or []) if candidate.content else []
    return parts, last


WAYS = pytest.mark.parametrize("say", [whole, streamed])


def text_of(parts: Any) -> str:
    return "".join(part.text for part in parts if part.text and not part.thought)


@UPSTREAMS
@WAYS
async def test_an_answer_has_text_a_reason_and_usage(here, client, upstream, say):
    setting = types.GenerateContentConfig(system_instruction="Be brief.")
    parts, got = await say(client, model=f"{upstream}/m", contents="Hi", config=setting)

    assert text_of(parts).strip() == "Hello there, this is an answer."
    assert got.candidates[0].finish_reason == types.FinishReason.STOP
    usage = got.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.total_token_count) == (
        40,
        8,
        60,
    )
    assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@UPSTREAMS
@WAYS
async def test_parallel_tools_are_called_and_their_results_come_back(client, upstream, say):
    setting = types.GenerateContentConfig(tools=TOOLS, automatic_function_calling=MANUAL)
    contents: list[Any] = [types.UserContent("The weather in Paris and Rome?")]
    parts, _ = await say(client, model=f"{upstream}/m", contents=contents, config=setting)
    calls = [part.function_call for part in parts if part.function_call]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": f"{call.args['city']}: sun"}
            )
        )
        for call in calls
    ]
    contents += [types.ModelContent(parts), types.UserContent(results)]
    parts, _ = await say(client, model=f"{upstream}/m", contents=contents, config=setting)

    assert [call.name for call in calls] == ["look", "look"]
    assert text_of(parts) == "Seen: Paris: sun; Rome: sun."


@UPSTREAMS
@WAYS
async def test_a_loop_of_tools_runs_over_several_turns_with_thought_between(client, upstream, say):
    setting = types.GenerateContentConfig(
        tools=TOOLS, automatic_function_calling=MANUAL, thinking_config=THINKING, max_output_tokens=4000
    )
    contents: list[Any] = [types.UserContent("The weather in Paris and then Rome and then Oslo?")]
    rounds = 0
    while True:
        parts, _ = await say(client, model=f"{upstream}/m", contents=contents, config=setting)
        calls = [part.function_call for part in parts if part.function_call]
        if not calls:
            break
        rounds += 1
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": f"sun {rounds}"}
                )
            )
            for call in calls
        ]
        contents += [types.ModelContent(parts), types.UserContent(results)]

    assert rounds == 3
    assert text_of(parts) == "Seen: sun 3."


@UPSTREAMS
@WAYS
async def test_thought_is_a_part_of_its_own(client, upstream, say):
    setting = types.GenerateContentConfig(thinking_config=THINKING, max_output_tokens=4000)
    parts, _ = await say(client, model=f"{upstream}/m", contents="Hi", config=setting)

    assert "".join(part.text for part in parts if part.thought) == "Let me think about it."


@UPSTREAMS
async def test_a_picture_arrives(client, upstream):
    import base64

    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    parts, _ = await whole(client, model=f"{upstream}/m", contents=["What is this?", picture])

    assert text_of(parts) == "I see 1 image."


@UPSTREAMS
async def test_an_answer_by_schema_is_parsed(here, client, upstream):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}}}
    setting = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    parts, _ = await whole(client, model=f"{upstream}/m", contents="Well?", config=setting)

    assert orjson.loads(text_of(parts)) == {"city": "Paris", "sunny": True}
    assert here.asked.schema


@UPSTREAMS
@pytest.mark.parametrize(("names", "meant"), [(None, "required"), (["look"], "look")])
async def test_a_forced_tool_stays_forced(here, client, upstream, names, meant):
    mode = types.FunctionCallingConfig(mode="ANY", allowed_function_names=names)
    setting = types.GenerateContentConfig(
        tools=TOOLS,
        automatic_function_calling=MANUAL,
        tool_config=types.ToolConfig(function_calling_config=mode),
    )
    await whole(client, model=f"{upstream}/m", contents="Paris?", config=setting)

    assert here.asked.choice == meant


@UPSTREAMS
@WAYS
async def test_an_answer_cut_by_its_bound_says_so(client, upstream, say):
    _, got = await say(client, model=f"{upstream}/m", contents="long")

    assert got.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


@UPSTREAMS
@WAYS
async def test_a_refusal_is_seen(client, upstream, say):
    parts, _ = await say(client, model=f"{upstream}/m", contents="refuse this")

    assert text_of(parts) == "I cannot help with that."


@UPSTREAMS
@pytest.mark.parametrize(
    ("status", "kind"), [(400, errors.ClientError), (429, errors.ClientError), (503, errors.ServerError)]
)
async def test_an_error_is_the_sdks_own(client, upstream, status, kind):
    with pytest.raises(kind) as caught:
        await client.models.generate_content(model=f"{upstream}/m", contents=f"fail {status}")

    assert caught.value.code == status
    assert f"told to fail with {status}" in str(caught.value)


@UPSTREAMS
async def test_tokens_are_counted_by_the_provider_or_estimated(client, upstream):
    got = await client.models.count_tokens(model=f"{upstream}/m", contents="How many tokens are these?")

    assert 3 < got.total_tokens < 40
