"""OpenAI's SDK, and those made after it, against a provider of every dialect: chat completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import groq
import openai
import orjson
import pytest
from mistralai.client import Mistral

from .sdks import KEY, LOOK, PNG, PREFIXES, Site, site

TOOLS: list[Any] = [{"type": "function", "function": {"name": "look", "parameters": LOOK}}]
UPSTREAMS = pytest.mark.parametrize("upstream", PREFIXES)


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.fixture
async def client(here: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as found:
        yield found


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def streamed(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    """Stream an answer and put it together as the SDK does."""
    async with client.chat.completions.stream(stream_options={"include_usage": True}, **asked) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_completion()


async def whole(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    return await client.chat.completions.create(**asked)


WAYS = pytest.mark.parametrize("say", [whole, streamed])


@UPSTREAMS
@WAYS
async def test_an_answer_has_text_a_reason_and_usage(here, client, upstream, say):
    got = await say(
        client, model=f"{upstream}/m", messages=[{"role": "system", "content": "Be brief."}, user("Hi")]
    )

    assert got.choices[0].message.content.strip() == "Hello there, this is an answer."
    assert got.choices[0].finish_reason == "stop"
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (40, 20, 60)
    assert got.usage.prompt_tokens_details.cached_tokens == 8
    assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@UPSTREAMS
@WAYS
async def test_parallel_tools_are_called_and_their_results_come_back(here, client, upstream, say):
    messages: list[Any] = [user("The weather in Paris and Rome?")]
    first = await say(client, model=f"{upstream}/m", messages=messages, tools=TOOLS)
    message = first.choices[0].message
    messages.append(message.model_dump(exclude_none=True, exclude={"tool_calls": {"__all__": {"index"}}}))
    for call in message.tool_calls:
        city = orjson.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{city}: sun"})
    second = await say(client, model=f"{upstream}/m", messages=messages, tools=TOOLS)

    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["look", "look"]
    assert len({call.id for call in message.tool_calls}) == 2
    assert second.choices[0].message.content == "Seen: Paris: sun; Rome: sun."


@UPSTREAMS
@WAYS
async def test_a_loop_of_tools_runs_over_several_turns_with_thought_between(here, client, upstream, say):
    """The signatures that Anthropic and Gemini want back are in no field that this dialect has."""
    messages: list[Any] = [user("The weather in Paris and then Rome and then Oslo?")]
    rounds = 0
    while True:
        got = await say(
            client,
            model=f"{upstream}/m",
            messages=messages,
            tools=TOOLS,
            reasoning_effort="low",
            max_tokens=4000,
        )
        message = got.choices[0].message
        if not message.tool_calls:
            break
        rounds += 1
        calls = [call.model_dump(include={"id", "type", "function"}) for call in message.tool_calls]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"sun {rounds}"}
            for call in message.tool_calls
        ]

    assert rounds == 3
    assert message.content == "Seen: sun 3."


@UPSTREAMS
@WAYS
async def test_thought_is_shown_in_the_field_that_open_models_use(client, upstream, say):
    got = await say(
        client, model=f"{upstream}/m", messages=[user("Hi")], reasoning_effort="low", max_tokens=4000
    )

    shown = got.choices[0].message.model_extra
    assert shown["reasoning_content"] == "Let me think about it."


@UPSTREAMS
async def test_a_picture_arrives(here, client, upstream):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    got = await client.chat.completions.create(
        model=f"{upstream}/m", messages=[{"role": "user", "content": content}]
    )

    assert got.choices[0].message.content == "I see 1 image."


@UPSTREAMS
async def test_an_answer_by_schema_is_parsed(here, client, upstream):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}}}
    form = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    got = await client.chat.completions.create(
        model=f"{upstream}/m", messages=[user("Well?")], response_format=form
    )

    assert orjson.loads(got.choices[0].message.content) == {"city": "Paris", "sunny": True}
    assert here.asked.schema


@UPSTREAMS
@pytest.mark.parametrize(
    ("choice", "meant"),
    [("required", "required"), ({"type": "function", "function": {"name": "look"}}, "look")],
)
async def test_a_forced_tool_stays_forced(here, client, upstream, choice, meant):
    await client.chat.completions.create(
        model=f"{upstream}/m", messages=[user("Paris?")], tools=TOOLS, tool_choice=choice
    )

    assert here.asked.choice == meant


@UPSTREAMS
async def test_a_refusal_is_seen(client, upstream):
    got = await client.chat.completions.create(model=f"{upstream}/m", messages=[user("refuse this")])

    choice = got.choices[0]
    assert "I cannot help with that." in {choice.message.refusal, choice.message.content}
    assert choice.finish_reason in {"stop", "content_filter"}


@UPSTREAMS
async def test_a_refusal_is_seen_in_a_stream(client, upstream):
    stream = await client.chat.completions.create(
        model=f"{upstream}/m", messages=[user("refuse this")], stream=True
    )
    choices = [chunk.choices[0] async for chunk in stream]

    said = "".join((choice.delta.refusal or "") + (choice.delta.content or "") for choice in choices)
    assert said == "I cannot help with that."
    assert choices[-1].finish_reason in {"stop", "content_filter"}


@UPSTREAMS
async def test_an_answer_cut_by_its_bound_says_so(client, upstream):
    got = await client.chat.completions.create(
        model=f"{upstream}/m", messages=[user("long")], max_completion_tokens=20
    )

    assert got.choices[0].finish_reason == "length"


@UPSTREAMS
async def test_sources_are_annotations(client, upstream):
    got = await client.chat.completions.create(model=f"{upstream}/m", messages=[user("cite")])

    [note] = got.choices[0].message.annotations
    assert (note.url_citation.url, note.url_citation.title) == ("https://example.com/paris", "Paris")


@UPSTREAMS
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_the_sdks_own(client, upstream, status, kind, stream):
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(
            model=f"{upstream}/m", messages=[user(f"fail {status}")], stream=stream
        )

    assert f"told to fail with {status}" in caught.value.message
    assert caught.value.body["message"]
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "7"


@UPSTREAMS
async def test_a_stream_that_its_caller_leaves_ends_at_the_provider(here, client, upstream):
    stream = await client.chat.completions.create(model=f"{upstream}/m", messages=[user("slow")], stream=True)
    async for _ in stream:
        break
    await stream.close()
    async with asyncio.timeout(5):
        while not here.provider.abandoned:
            await asyncio.sleep(0.01)

    assert here.provider.abandoned == 1


@UPSTREAMS
async def test_chunks_have_one_name_and_the_usage_chunk_comes_only_if_asked_for(client, upstream):
    stream = await client.chat.completions.create(model=f"{upstream}/m", messages=[user("Hi")], stream=True)
    chunks = [chunk async for chunk in stream]

    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"


@UPSTREAMS
async def test_mistrals_sdk_speaks_to_it(here, upstream):
    async with Mistral(api_key=KEY, server_url=here.url) as mistral:
        got = await mistral.chat.complete_async(
            model=f"{upstream}/m", messages=[user("Paris?")], tools=TOOLS, tool_choice="any"
        )
        stream = await mistral.chat.stream_async(model=f"{upstream}/m", messages=[user("Hi")])
        pieces = [choice.delta.content or "" async for event in stream for choice in event.data.choices]

    assert got.choices[0].message.tool_calls[0].function.name == "look"
    assert "".join(pieces).strip() == "Hello there, this is an answer."


@UPSTREAMS
async def test_groqs_sdk_speaks_to_it(here, upstream):
    async with groq.AsyncGroq(api_key=KEY, base_url=here.url, max_retries=0) as client:
        got = await client.chat.completions.create(model=f"{upstream}/m", messages=[user("Hi")])
        stream = await client.chat.completions.create(
            model=f"{upstream}/m", messages=[user("Hi")], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        with pytest.raises(groq.RateLimitError):
            await client.chat.completions.create(model=f"{upstream}/m", messages=[user("fail 429")])

    assert got.choices[0].message.content.strip() == "Hello there, this is an answer."
    assert "".join(pieces).strip() == "Hello there, this is an answer."
