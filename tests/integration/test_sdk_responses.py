"""OpenAI's SDK against a provider of every dialect: the Responses API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import orjson
import pytest

from .sdks import KEY, LOOK, PNG, PREFIXES, Site, site

TOOLS: list[Any] = [{"type": "function", "name": "look", "parameters": LOOK, "strict": False}]
UPSTREAMS = pytest.mark.parametrize("upstream", PREFIXES)


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.fixture
async def client(here: Site) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as found:
        yield found


async def streamed(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    """Stream an answer through the SDK's own accumulation; return what its last event holds."""
    async with client.responses.stream(**asked) as stream:
        events = [event async for event in stream]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))
    return events[-1].response


async def whole(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    return await client.responses.create(**asked)


WAYS = pytest.mark.parametrize("say", [whole, streamed])


@UPSTREAMS
@WAYS
async def test_an_answer_has_text_a_status_and_usage(here, client, upstream, say):
    got = await say(client, model=f"{upstream}/m", instructions="Be brief.", input="Hi")

    assert got.output_text.strip() == "Hello there, this is an answer."
    assert got.status == "completed"
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.total_tokens) == (40, 20, 60)
    assert got.usage.input_tokens_details.cached_tokens == 8
    assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@UPSTREAMS
@WAYS
async def test_a_loop_of_tools_runs_with_what_the_answer_held_sent_back(here, client, upstream, say):
    """Reasoning items go back as they came, their signatures in them."""
    items: list[Any] = [{"role": "user", "content": "The weather in Paris and then Rome and then Oslo?"}]
    rounds = 0
    while True:
        got = await say(
            client,
            model=f"{upstream}/m",
            input=items,
            tools=TOOLS,
            store=False,
            reasoning={"effort": "low", "summary": "auto"},
            include=["reasoning.encrypted_content"],
            max_output_tokens=4000,
        )
        calls = [item for item in got.output if item.type == "function_call"]
        if not calls:
            break
        rounds += 1
        items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in got.output]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"sun {rounds}"}
            for call in calls
        ]

    assert rounds == 3
    assert got.output_text == "Seen: sun 3."


@UPSTREAMS
@WAYS
async def test_a_conversation_goes_on_by_the_id_of_its_last_answer(here, client, upstream, say):
    if upstream == "openai-responses":
        pytest.skip("the provider's own memory: passed on as it is")
    first = await say(client, model=f"{upstream}/m", input="The weather in Paris and Rome?", tools=TOOLS)
    results = [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"sun in {item.arguments}"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = await say(
        client, model=f"{upstream}/m", input=results, previous_response_id=first.id, tools=TOOLS
    )
    third = await say(client, model=f"{upstream}/m", input="Thanks", previous_response_id=second.id)

    assert len(results) == 2
    assert second.output_text.startswith("Seen: sun in")
    assert [turn.role for turn in here.asked.turns] == ["user", "assistant", "user", "assistant", "user"]
    assert third.output_text.strip() == "Hello there, this is an answer."


@pytest.mark.parametrize("upstream", ["openai", "anthropic", "gemini"])
async def test_an_unknown_conversation_is_a_clear_error(client, upstream):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model=f"{upstream}/m", input="Hi", previous_response_id="resp_nobody")

    assert caught.value.code == "previous_response_not_found"


@UPSTREAMS
async def test_a_picture_arrives(client, upstream):
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    got = await client.responses.create(model=f"{upstream}/m", input=[{"role": "user", "content": content}])

    assert got.output_text == "I see 1 image."


@UPSTREAMS
async def test_an_answer_by_schema_is_parsed(here, client, upstream):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}}}
    form = {"format": {"type": "json_schema", "name": "weather", "schema": schema}}
    got = await client.responses.create(model=f"{upstream}/m", input="Well?", text=form)

    assert orjson.loads(got.output_text) == {"city": "Paris", "sunny": True}
    assert here.asked.schema


@UPSTREAMS
@WAYS
async def test_thought_is_a_reasoning_item(client, upstream, say):
    got = await say(
        client,
        model=f"{upstream}/m",
        input="Hi",
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=4000,
    )

    assert got.output[0].type == "reasoning"
    assert "".join(part.text for part in got.output[0].summary) == "Let me think about it."


@UPSTREAMS
@WAYS
async def test_a_cut_answer_is_incomplete(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", input="long", max_output_tokens=20)

    assert (got.status, got.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@UPSTREAMS
@WAYS
async def test_sources_are_annotations(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", input="cite")

    [note] = got.output[0].content[0].annotations
    assert (note.type, note.url, note.title) == ("url_citation", "https://example.com/paris", "Paris")


@UPSTREAMS
@WAYS
async def test_a_refusal_is_seen(client, upstream, say):
    got = await say(client, model=f"{upstream}/m", input="refuse this")

    assert "I cannot help with that." in orjson.dumps(got.model_dump()["output"]).decode()


@UPSTREAMS
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (401, openai.AuthenticationError), (429, openai.RateLimitError)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_the_sdks_own(client, upstream, status, kind, stream):
    with pytest.raises(kind) as caught:
        await client.responses.create(model=f"{upstream}/m", input=f"fail {status}", stream=stream)

    assert f"told to fail with {status}" in caught.value.message
