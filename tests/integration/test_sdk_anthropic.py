"""Anthropic's SDK against a provider of every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import orjson
import pytest

from .sdks import KEY, LOOK, PNG, PREFIXES, Site, site

TOOLS: list[Any] = [{"name": "look", "input_schema": LOOK}]
#: 503 where a provider says so itself, 529 as Anthropic says it.
OVERLOADED = (anthropic.InternalServerError, anthropic.OverloadedError)
UPSTREAMS = pytest.mark.parametrize("upstream", PREFIXES)
THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.fixture
async def client(here: Site) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=here.url, api_key=KEY, max_retries=0) as found:
        yield found


async def streamed(client: anthropic.AsyncAnthropic, **asked: Any) -> Any:
    """Stream an answer and put it together as the SDK does."""
    async with client.messages.stream(**{"max_tokens": 500, **asked}) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_message()


async def whole(client: anthropic.AsyncAnthropic, **asked: Any) -> Any:
    return await client.messages.create(**{"max_tokens": 500, **asked})


WAYS = pytest.mark.parametrize("say", [whole, streamed])


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@UPSTREAMS
@WAYS
async def test_an_answer_has_text_a_reason_and_usage(here, client, upstream, say):
    got = await say(client, model=f"{upstream}/m", system="Be brief.", messages=[user("Hi")])

    assert text_of(got).strip() == "Hello there, this is an answer."
    assert got.stop_reason == "end_turn"
    assert (got.usage.input_tokens, got.usage.cache_read_input_tokens, got.usage.output_tokens) == (32, 8, 20)
    assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@UPSTREAMS
@WAYS
async def test_parallel_tools_are_called_and_their_results_come_back(client, upstream, say):
    messages: list[Any] = [user("The weather in Paris and Rome?")]
    first = await say(client, model=f"{upstream}/m", messages=messages, tools=TOOLS)
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.input['city']}: sun"}
        for call in calls
    ]
    messages += [{"role": "assistant", "content": first.content}, user(results)]
    second = await say(client, model=f"{upstream}/m", messages=messages, tools=TOOLS)

    assert first.stop_reason == "tool_use"
    assert len({call.id for call in calls}) == 2
    assert text_of(second) == "Seen: Paris: sun; Rome: sun."


@UPSTREAMS
@WAYS
async def test_a_loop_of_tools_runs_over_several_turns_with_thought_between(client, upstream, say):
    messages: list[Any] = [user("The weather in Paris and then Rome and then Oslo?")]
    rounds = 0
    while True:
        got = await say(client, model=f"{upstream}/m", messages=messages, tools=TOOLS, **THINKING)
        calls = [block for block in got.content if block.type == "tool_use"]
        if not calls:
            break
        rounds += 1
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"sun {rounds}"} for call in calls
        ]
        messages += [{"role": "assistant", "content": got.content}, user(results)]

    assert rounds == 3
    assert text_of(got) == "Seen: sun 3."


@UPSTREAMS
@WAYS
async def test_thought_is_a_signed_block(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", messages=[user("Hi")], **THINKING)

    assert got.content[0].type == "thinking"
    assert got.content[0].thinking == "Let me think about it."


@UPSTREAMS
async def test_a_picture_arrives(client, upstream):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    blocks = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    got = await whole(client, model=f"{upstream}/m", messages=[user(blocks)])

    assert text_of(got) == "I see 1 image."


@UPSTREAMS
async def test_an_answer_by_schema_is_parsed(here, client, upstream):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}}}
    form = {"format": {"type": "json_schema", "schema": schema}}
    got = await whole(client, model=f"{upstream}/m", messages=[user("Well?")], output_config=form)

    assert orjson.loads(text_of(got)) == {"city": "Paris", "sunny": True}
    assert here.asked.schema


@UPSTREAMS
@pytest.mark.parametrize(
    ("choice", "meant"), [({"type": "any"}, "required"), ({"type": "tool", "name": "look"}, "look")]
)
async def test_a_forced_tool_stays_forced(here, client, upstream, choice, meant):
    await whole(client, model=f"{upstream}/m", messages=[user("Paris?")], tools=TOOLS, tool_choice=choice)

    assert here.asked.choice == meant


@UPSTREAMS
@WAYS
async def test_a_refusal_is_seen(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", messages=[user("refuse this")])

    assert text_of(got) == "I cannot help with that."
    assert got.stop_reason in {"refusal", "end_turn"}


@UPSTREAMS
@WAYS
async def test_an_answer_cut_by_its_bound_says_so(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", messages=[user("long")])

    assert got.stop_reason == "max_tokens"


@UPSTREAMS
@WAYS
async def test_sources_are_citations(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", messages=[user("cite")])

    [note] = got.content[0].citations
    assert (note.url, note.title) == ("https://example.com/paris", "Paris")


@UPSTREAMS
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (503, OVERLOADED),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_the_sdks_own(client, upstream, status, kind, stream):
    with pytest.raises(kind) as caught:
        await client.messages.create(
            model=f"{upstream}/m", max_tokens=50, messages=[user(f"fail {status}")], stream=stream
        )

    assert f"told to fail with {status}" in caught.value.message
    assert caught.value.body["type"] == "error"


@UPSTREAMS
async def test_tokens_are_counted_by_the_provider_or_estimated(client, upstream):
    counted = await client.messages.with_raw_response.count_tokens(
        model=f"{upstream}/m", messages=[user("How many tokens are these?")]
    )
    tokens = (await counted.parse()).input_tokens

    assert 3 < tokens < 40
    own = upstream in {"anthropic", "gemini", "bedrock"}
    assert counted.headers.get("x-llmproxy-token-count", "own") == ("own" if own else "estimate")


@UPSTREAMS
async def test_a_stream_that_its_caller_leaves_ends_at_the_provider(here, client, upstream):
    async with client.messages.stream(
        model=f"{upstream}/m", max_tokens=99, messages=[user("slow")]
    ) as stream:
        async for _ in stream:
            break
    async with asyncio.timeout(5):
        while not here.provider.abandoned:
            await asyncio.sleep(0.01)

    assert here.provider.abandoned == 1


async def test_the_first_version_of_the_api_is_spoken_too(here):
    """Keys of SDK 1.x travel in x-api-key, and its bodies still have a temperature."""
    headers = {"anthropic-version": "2023-06-01", "x-api-key": KEY}
    async with anthropic.AsyncAnthropic(
        base_url=here.url, api_key=KEY, max_retries=0, default_headers=headers
    ) as client:
        got = await client.messages.create(
            model="openai/m", max_tokens=50, messages=[user("Hi")], extra_body={"temperature": 0.5}
        )

    assert text_of(got).strip() == "Hello there, this is an answer."
    assert orjson.loads(here.provider.bodies[-1])["temperature"] == 0.5


@pytest.mark.parametrize("upstream", [name for name in PREFIXES if name != "anthropic"])
async def test_the_sdks_own_loop_of_tools_runs_where_nobody_holds_its_conversation(here, client, upstream):
    @anthropic.beta_async_tool
    async def look(city: str) -> str:
        """Look."""
        return f"{city}: sun"

    run = client.beta.messages.tool_runner(
        model=f"{upstream}/m", max_tokens=500, tools=[look], messages=[user("The weather in Paris and Rome?")]
    )
    got = await run.until_done()

    assert text_of(got) == "Seen: Paris: sun; Rome: sun."
    assert [turn.role for turn in here.asked.turns] == ["user", "assistant", "user"]


async def test_a_thread_that_nobody_can_hold_is_refused_by_its_own_exception(client):
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.beta.messages.create(
            model="gemini/m", max_tokens=5, messages=[user("Hi")], thread={"type": "create"}
        )

    assert refused.value.error_code == "thread_unsupported_request"
