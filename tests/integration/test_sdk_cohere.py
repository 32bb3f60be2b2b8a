"""Cohere's SDK against a provider of every dialect, and other SDKs against Cohere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import anthropic
import cohere
import httpx
import openai
import orjson
import pytest

from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway
from llmproxy_ledger.books import FILE, Books

from .sdks import KEY, LOOK, PNG, PREFIXES, asked_by_google, asked_by_openai, config
from .strict_cohere import StrictCohere
from .strict_provider import StrictProvider

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:cohere"),
    pytest.mark.filterwarnings("ignore:.*pydantic.*"),
]

#: One gateway reaches them all: each test asks every one of them, in both ways.
UPSTREAMS = [*PREFIXES, "cohere"]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "look", "description": "d", "parameters": LOOK}}
]
ERRORS = {
    400: cohere.BadRequestError,
    401: cohere.UnauthorizedError,
    404: cohere.NotFoundError,
    429: cohere.TooManyRequestsError,
    503: cohere.ServiceUnavailableError,
}


@pytest.fixture
async def provider() -> AsyncIterator[StrictProvider]:
    async with StrictProvider() as found:
        yield found


@pytest.fixture
async def server() -> AsyncIterator[StrictCohere]:
    async with StrictCohere() as found:
        yield found


@pytest.fixture
async def gateway(provider: StrictProvider, server: StrictCohere) -> AsyncIterator[RunningGateway]:
    tree = config(provider.url)
    tree["upstreams"]["cohere"] = {"base_url": server.url, "dialect": "cohere"}
    tree["models"] = {"own": {"upstream": "cohere", "model": "command-x"}}
    async with running_gateway(tree) as found:
        yield found


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[cohere.AsyncClientV2]:
    async with cohere.AsyncClientV2(KEY, base_url=gateway.url) as found:
        yield found


NO_RETRIES: Any = {"max_retries": 0}


async def whole(client: cohere.AsyncClientV2, **asked: Any) -> Any:
    return await client.chat(**asked, request_options=NO_RETRIES)


async def streamed(client: cohere.AsyncClientV2, **asked: Any) -> Any:
    """Gather a stream as programs do."""
    parts: dict[int, dict[str, str]] = {}
    calls: dict[int, dict[str, Any]] = {}
    message: dict[str, Any] = {"role": "assistant", "tool_plan": "", "citations": []}
    last: Any = None
    async for last in client.chat_stream(**asked, request_options=NO_RETRIES):
        if last.type.startswith("content-") and last.type != "content-end":
            content = last.delta.message.content
            part = parts.setdefault(last.index, {"text": "", "thinking": ""})
            part["type"] = content.type if last.type == "content-start" else part["type"]
            part["text"] += content.text or ""
            part["thinking"] += content.thinking or ""
        elif last.type == "tool-plan-delta":
            message["tool_plan"] += last.delta.message.tool_plan
        elif last.type == "tool-call-start":
            calls[last.index] = last.delta.message.tool_calls.model_dump()
        elif last.type == "tool-call-delta":
            calls[last.index]["function"]["arguments"] += last.delta.message.tool_calls.function.arguments
        elif last.type == "citation-start":
            message["citations"].append(last.delta.message.citations)
    assert (last.type, last.delta.error) == ("message-end", None)
    if parts:
        message["content"] = [
            {"type": part["type"], part["type"]: part[part["type"]]} for part in parts.values()
        ]
    if calls:
        message["tool_calls"] = list(calls.values())
    usage, reason = last.delta.usage.model_dump(), last.delta.finish_reason
    told = {"id": "s", "finish_reason": reason, "message": message, "usage": usage}
    return cohere.V2ChatResponse.model_validate(told)


WAYS = [(say, upstream) for say in (whole, streamed) for upstream in UPSTREAMS]


def asks(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def text_of(got: Any) -> str:
    return "".join(part.text for part in got.message.content or [] if part.type == "text")


async def test_an_answer_has_text_a_reason_and_usage(client):
    for say, upstream in WAYS:
        got = await say(
            client, model=f"{upstream}/m", messages=[{"role": "system", "content": "Be brief."}, asks("Hi")]
        )

        assert text_of(got).strip() == "Hello there, this is an answer."
        assert got.finish_reason == "COMPLETE"
        assert (got.usage.tokens.input_tokens, got.usage.tokens.output_tokens) == (40, 20)


async def test_parallel_tools_are_called_and_their_results_come_back(client):
    for say, upstream in WAYS:
        talk: list[Any] = [asks("The weather in Paris and Rome?")]
        got = await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)
        calls = got.message.tool_calls
        talk.append(got.message)
        for call in calls:
            told = f"{orjson.loads(call.function.arguments)['city']}: sun"
            talk.append({"role": "tool", "tool_call_id": call.id, "content": told})
        second = await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)

        assert got.finish_reason == "TOOL_CALL"
        assert got.message.tool_plan == ("I will look." if upstream == "cohere" else got.message.tool_plan)
        assert text_of(second) == "Seen: Paris: sun; Rome: sun."


async def test_a_loop_of_tools_runs_over_several_turns(client):
    for say, upstream in WAYS:
        talk: list[Any] = [asks("The weather in Paris and then Rome and then Oslo?")]
        rounds = 0
        while calls := (
            got := await say(client, model=f"{upstream}/m", messages=talk, tools=TOOLS)
        ).message.tool_calls:
            rounds += 1
            content = [{"type": "text", "text": f"sun {rounds}"}]
            talk += [got.message, {"role": "tool", "tool_call_id": calls[0].id, "content": content}]

        assert rounds == 3
        assert text_of(got) == "Seen: sun 3."


async def test_thought_stands_before_the_text(client):
    thinking: Any = {"type": "enabled", "token_budget": 1024}
    for say, upstream in WAYS:
        got = await say(
            client, model=f"{upstream}/m", messages=[asks("Hi")], thinking=thinking, max_tokens=4000
        )

        # OpenAI's chat tells no thoughts; who does not ask for a summary gets none of its Responses.
        if upstream in {"anthropic", "gemini", "cohere"}:
            assert got.message.content[0].thinking == "Let me think about it."


async def test_documents_are_read_and_cited(client, server):
    documents: list[Any] = [{"id": "facts", "data": {"title": "Facts", "text": "Paris is the capital."}}]
    for say in (whole, streamed):
        got = await say(client, model="own", messages=[asks("cite it")], documents=documents)

        assert text_of(got) == "Paris is the capital of France."
        assert got.message.citations[0].sources[0].id == "doc:0"
    assert server.bodies[-1]["documents"] == documents


async def test_another_providers_citations_name_the_callers_documents():
    place = {"document_index": 0, "document_title": "Facts", "start_char_index": 0, "end_char_index": 5}
    citation = {"type": "char_location", "cited_text": "Paris", **place}
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Paris.", "citations": [citation]}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    documents: list[Any] = [{"id": "facts", "data": {"title": "Facts", "text": "Paris is the capital."}}]
    async with FakeUpstream() as upstream:
        upstream.reply(json=answer)
        up = {"base_url": f"{upstream.url}/v1", "dialect": "anthropic"}
        tree = {"upstreams": {"up": up}, "routes": [{"name": "models"}]}
        async with (
            running_gateway(tree) as gateway,
            cohere.AsyncClientV2(KEY, base_url=gateway.url) as client,
        ):
            got = await whole(client, model="up/m", messages=[asks("Capital?")], documents=documents)

    [found] = got.message.citations
    assert (found.start, found.end, found.text) == (0, 6, "Paris.")
    assert (found.sources[0].id, found.sources[0].document["title"]) == ("facts", "Facts")
    [block, _] = orjson.loads(upstream.requests[0].body)["messages"][0]["content"]
    assert (block["type"], block["citations"]) == ("document", {"enabled": True})


async def test_a_picture_arrives(client):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    for upstream in UPSTREAMS:
        assert text_of(await whole(client, model=f"{upstream}/m", messages=[asks(parts)])) == "I see 1 image."


async def test_an_answer_by_schema_is_parsed(client):
    form: Any = {"type": "json_object", "json_schema": {"type": "object", "properties": {}}}
    for upstream in UPSTREAMS:
        got = await whole(client, model=f"{upstream}/m", messages=[asks("Well?")], response_format=form)

        assert orjson.loads(text_of(got)) == {"city": "Paris", "sunny": True}


async def test_an_answer_cut_by_its_bound_says_so(client):
    for say, upstream in WAYS:
        got = await say(client, model=f"{upstream}/m", messages=[asks("long")])
        assert got.finish_reason == "MAX_TOKENS"


async def test_a_forced_tool_stays_forced(client, provider):
    await whole(
        client,
        model="openai/m",
        messages=[asks("Paris?")],
        tools=TOOLS,
        tool_choice="REQUIRED",
        strict_tools=True,
    )

    assert provider.asked[-1].choice == "required"
    assert orjson.loads(provider.bodies[-1])["tools"][0]["function"]["strict"] is True


async def test_an_error_is_the_sdks_own(client):
    for (say, upstream), (status, kind) in product(WAYS, ERRORS.items()):
        with pytest.raises(kind) as caught:
            await say(client, model=f"{upstream}/m", messages=[asks(f"fail {status}")])

        assert caught.value.status_code == status
        assert f"told to fail with {status}" in caught.value.body["message"]


async def test_a_model_that_is_not_there_is_told(client):
    with pytest.raises(cohere.NotFoundError):
        await whole(client, model="unknown", messages=[asks("Hi")])


async def test_what_is_wrong_is_told_by_the_gateway(client):
    with pytest.raises(cohere.BadRequestError) as caught:
        await whole(client, model="openai/m", messages=[asks("Hi")], temperature="hot")

    assert caught.value.body["param"] == "temperature"


async def listen(stream: AsyncIterator[Any], heard: list[Any]) -> None:
    async for event in stream:
        heard.append(event)  # noqa: PERF401  # what was heard before a break counts


async def test_a_stream_that_breaks_off_says_so(client):
    start = b'event: message-start\ndata: {"type":"message-start","id":"a"}\n\n'
    begin = b'data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text"}}}}\n\n'
    delta = b'data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}}\n\n'
    heard: list[Any] = []
    async with FakeUpstream().stream([start + begin + delta]) as upstream:
        up = {"base_url": upstream.url, "dialect": "cohere"}
        tree = {"upstreams": {"up": up}, "routes": [{"name": "models"}]}
        async with running_gateway(tree) as gateway, cohere.AsyncClientV2(KEY, base_url=gateway.url) as other:
            with pytest.raises(httpx.RemoteProtocolError):
                await listen(other.chat_stream(model="up/m", messages=[asks("Hi")]), heard)

    assert heard[-1].type == "message-end"
    assert (heard[-1].delta.finish_reason, bool(heard[-1].delta.error)) == ("ERROR", True)


async def test_what_cohere_takes_untouched_reaches_it(client, server):
    await whole(client, model="own", messages=[asks("Hi")], safety_mode="STRICT", k=3)
    tokens = await client.tokenize(text="one three", model="own")

    assert {**server.bodies[0], "stream": None} == {
        "model": "command-x",
        "messages": [asks("Hi")],
        "safety_mode": "STRICT",
        "k": 3,
        "stream": None,
    }
    assert tokens.tokens == [3, 5]
    assert server.paths[-1] == "/v1/tokenize"


async def test_models_are_listed_as_cohere_does(client):
    listed = await client.models.list()

    assert [model.name for model in listed.models] == ["own"]


async def test_texts_are_embedded_by_cohere_and_by_another_provider(client):
    asked: Any = {"texts": ["a", "bcd"], "input_type": "search_query", "embedding_types": ["float"]}
    own = await client.embed(model="own", **asked)
    assert own.embeddings.float_ == [[0.5, 1.0], [0.5, 3.0]]

    vectors = [{"index": n, "embedding": [0.25, n]} for n in range(2)]
    answer = {"data": vectors, "model": "e", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    async with FakeUpstream() as upstream:
        upstream.reply(json=answer)
        tree = {"upstreams": {"up": {"base_url": f"{upstream.url}/v1"}}, "routes": [{"name": "models"}]}
        async with running_gateway(tree) as gateway, cohere.AsyncClientV2(KEY, base_url=gateway.url) as other:
            asked |= {"embedding_types": ["float", "ubinary"], "output_dimension": 2}
            got = await other.embed(model="up/e", **asked)
            with pytest.raises(cohere.BadRequestError):
                await other.embed(model="up/e", **{**asked, "embedding_types": ["int8"]})

    assert got.embeddings.float_ == [[0.25, 0.0], [0.25, 1.0]]
    assert got.embeddings.ubinary == [[128], [192]]
    assert got.meta.billed_units.input_tokens == 4


PLACES = ["Rome is old.", "Paris is the capital.", "Oslo is cold."]


async def test_documents_are_ranked_by_cohere_and_by_another_provider(client):
    own = await client.rerank(model="own", query="Paris", documents=PLACES, top_n=2)
    assert [result.index for result in own.results] == [1, 0]
    assert own.meta.billed_units.search_units == 1

    ranked = {"object": "list", "data": [{"index": 2, "relevance_score": 0.5}], "usage": {"total_tokens": 9}}
    async with FakeUpstream() as upstream:
        upstream.reply(json=ranked)
        up = {"base_url": f"{upstream.url}/v1", "quirks": {"rerank": "top_k"}}
        async with (
            running_gateway({"upstreams": {"up": up}, "routes": [{"name": "models"}]}) as gateway,
            cohere.AsyncClientV2(KEY, base_url=gateway.url) as other,
            cohere.AsyncClient(KEY, base_url=gateway.url) as old,
        ):
            got = await other.rerank(model="up/rerank-2", query="Oslo", documents=PLACES, top_n=1)
            upstream.reply(json=ranked)
            first = await old.rerank(
                model="up/rerank-2", query="Oslo", documents=PLACES, return_documents=True
            )

    assert [(result.index, result.relevance_score) for result in got.results] == [(2, 0.5)]
    assert orjson.loads(upstream.requests[0].body) == {
        "model": "rerank-2",
        "query": "Oslo",
        "top_k": 1,
        "documents": PLACES,
    }
    assert first.results[0].document.text == PLACES[2]


@pytest.mark.parametrize("voyage", [False, True])
async def test_rankings_are_asked_of_cohere_in_both_manners(gateway, voyage):
    asked: dict[str, Any] = {"model": "own", "query": "Paris", "documents": PLACES}
    asked |= {"top_k": 1, "truncation": True} if voyage else {"top_n": 1}
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
        got: Any = await client.post("/rerank", body=asked, cast_to=object)

    [item] = got["data"] if voyage else got["results"]
    assert (item["index"], item.get("document")) == (1, None if voyage else {"text": PLACES[1]})
    assert voyage or got["meta"]["billed_units"] == {"search_units": 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_sdk_asks_cohere(gateway, server, stream):
    used = await asked_by_openai(gateway.url, stream=stream)

    assert used.prompt_tokens_details.cached_tokens == 8
    assert server.asked[-1].tools == ["look"]


async def test_anthropics_sdk_asks_cohere_about_a_document(gateway, server):
    source = {"type": "text", "media_type": "text/plain", "data": "Paris is the capital."}
    document = {"type": "document", "source": source, "title": "Facts", "citations": {"enabled": True}}
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=KEY) as client:
        content: Any = [document, {"type": "text", "text": "cite it"}]
        asked: Any = {"model": "own", "max_tokens": 4000, "messages": [asks(content)]}
        async with client.messages.stream(**asked) as stream:
            got = await stream.get_final_message()

    [said] = got.content
    assert said.citations[0].type == "char_location"
    assert (said.citations[0].document_index, said.citations[0].cited_text) == (0, "Paris is the capital.")
    assert server.bodies[-1]["documents"] == [
        {"id": "doc:0", "data": {"title": "Facts", "text": "Paris is the capital."}}
    ]


async def test_googles_sdk_asks_cohere(gateway):
    await asked_by_google(gateway.url)


async def test_the_ledger_takes_what_cohere_bills(server, tmp_path):
    tree = {
        "upstreams": {"cohere": {"base_url": server.url, "dialect": "cohere"}},
        "prices": {
            "cohere/command": {"input": 1, "output": 10},
            "cohere/rerank": {"input": 0, "output": 0, "request": 0.002},
        },
        "plugins": {"access": {"mode": "open"}, "ledger": {"directory": str(tmp_path)}},
        "pipeline": ["access", "ledger"],
        "routes": [{"name": "models"}],
    }
    async with running_gateway(tree) as gateway:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
            asked: Any = {"model": "cohere/command", "messages": [asks("Hi")]}
            got = await client.chat.completions.create(**asked)
            await client.post(
                "/rerank", body={"model": "cohere/rerank", "query": "a", "documents": ["a"]}, cast_to=object
            )
        async with cohere.AsyncClientV2(KEY, base_url=gateway.url) as own:
            await streamed(own, model="cohere/command", messages=[asks("Hi")])

    assert got.usage.prompt_tokens == 40
    books = Books(tmp_path / FILE, reading=True)
    rows = list(
        books.ask('SELECT upstream_model, input, output + reasoning, units, cost FROM attempts ORDER BY "at"')
    )
    books.close()
    assert rows == [("command", 7, 20, 0, 207), ("rerank", 0, 0, 1, 2000), ("command", 7, 20, 0, 207)]
