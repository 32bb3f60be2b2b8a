"""Names of tools that one dialect takes and another refuses, in loops of the official SDKs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import orjson
import pytest
from google import genai
from google.genai import types

from .sdks import KEY, LOOK, Site, site

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

DOTTED, LONG = "weather.look:up", "mcp__weather_of_the_world__" + "x" * 90
ASKED = "The weather in Paris and Rome?"
SEEN = "Seen: Paris: sun; Rome: sun."


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.mark.parametrize("upstream", ["openai", "openai-responses", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", [DOTTED, LONG])
async def test_google_s_names_come_back_as_they_were(here, upstream, streamed, name):
    declared = types.FunctionDeclaration(name=name, parameters_json_schema=LOOK)
    setting = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents: list[Any] = [types.UserContent(ASKED)]

    async def said(models: Any) -> list[Any]:
        asked = {"model": f"{upstream}/m", "contents": contents, "config": setting}
        if not streamed:
            return list((await models.generate_content(**asked)).candidates[0].content.parts)
        chunks = [chunk async for chunk in await models.generate_content_stream(**asked)]
        return [part for chunk in chunks for part in chunk.candidates[0].content.parts]

    async with genai.Client(api_key=KEY, http_options={"base_url": here.url}).aio as client:
        parts = await said(client.models)
        calls = [part.function_call for part in parts if part.function_call]
        results = [
            types.Part.from_function_response(
                name=call.name, response={"result": f"{call.args['city']}: sun"}
            )
            for call in calls
        ]
        contents += [types.ModelContent(parts), types.UserContent(results)]
        parts = await said(client.models)

    assert [call.name for call in calls] == [name, name]
    assert "".join(part.text or "" for part in parts) == SEEN


@pytest.mark.parametrize("upstream", ["openai", "openai-responses"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_s_longer_names_come_back_as_they_were(here, upstream, streamed):
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    asked: dict[str, Any] = {
        "model": f"{upstream}/m",
        "max_tokens": 500,
        "messages": messages,
        "tools": [{"name": LONG, "input_schema": LOOK}],
        "tool_choice": {"type": "tool", "name": LONG},
    }

    async def said(client: Any) -> Any:
        if not streamed:
            return await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            return await stream.get_final_message()

    async with anthropic.AsyncAnthropic(base_url=here.url, api_key=KEY, max_retries=0) as client:
        first = await said(client)
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.input['city']}: sun"}
            for call in calls
        ]
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        last = await said(client)

    assert [call.name for call in calls] == [LONG, LONG]
    assert here.asked.choice == here.asked.tools[0]
    assert "".join(block.text for block in last.content if block.type == "text") == SEEN


async def test_names_that_open_models_take_come_back_from_others(here):
    tool: Any = {"type": "function", "function": {"name": "3d.view", "parameters": LOOK}}
    async with openai.AsyncOpenAI(base_url=here.url + "/v1", api_key=KEY, max_retries=0) as client:
        for upstream in ("anthropic", "gemini", "openai-responses"):
            got = await client.chat.completions.create(
                model=f"{upstream}/m", messages=[{"role": "user", "content": ASKED}], tools=[tool]
            )
            calls = got.choices[0].message.tool_calls or []

            assert [call.function.name for call in calls] == ["3d.view", "3d.view"]
            assert [orjson.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Rome"]
