"""Declared endpoints, each answering as its server is documented or was recorded, through the SDKs of three dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import cohere
import openai
import orjson
import pytest
from click.testing import CliRunner
from google import genai
from google.genai import types as genai_types
from tests.plugins.conftest import records

from llmproxy.cli import main
from llmproxy.formats import parse
from llmproxy.testing import FakeUpstream, RunningGateway, running_gateway

from .sdks import KEY, PNG

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "declared.yaml"
LINES = (("Content-Type", "application/x-ndjson"),)
JSON = (("Content-Type", "application/json"),)


class Server(NamedTuple):
    """What an endpoint answers: whole, and as the pieces of a stream; `path` and `stream_path` are where."""

    path: str
    whole: Any
    pieces: list[bytes] | None = None
    stream_path: str = ""
    lines: bool = False
    #: Input and output tokens, as the whole answer and the stream tell them; None where they do not.
    usage: tuple[int, int] | None = (4, 3)
    finish: str = "stop"
    head: Sequence[tuple[str, str]] = ()


def sse(*documents: Any) -> list[bytes]:
    pieces = [each.encode() if isinstance(each, str) else orjson.dumps(each) for each in documents]
    return [b"data: " + piece + b"\n\n" for piece in pieces]


def ndjson(*documents: Any) -> list[bytes]:
    return [orjson.dumps(each) + b"\n" for each in documents]


def token(text: str, **more: Any) -> dict[str, Any]:
    """Return an event of TGI's."""
    event = {"index": 1, "token": {"id": 1, "text": text, "logprob": -0.1, "special": False}}
    return {**event, "generated_text": None, "details": None, **more}


LAST = {
    "token": {"id": 2, "text": "</s>", "logprob": 0.0, "special": True},
    "generated_text": "Hello there",
    "details": {"finish_reason": "length", "generated_tokens": 3, "input_length": 4, "seed": None},
}
FULL = {"finish_reason": "length", "generated_tokens": 3, "seed": None, "prefill": []}
META = {
    "tokens": {"input_tokens": 4, "output_tokens": 3},
    "billed_units": {"input_tokens": 1, "output_tokens": 3},
}
CHUNK: dict[str, Any] = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "babbage"}
OVER = {"done": True, "done_reason": "length", "prompt_eval_count": 4, "eval_count": 3}
COUNTS = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}

SERVERS = {
    "house": Server(
        "/v1/answer",
        {"output": {"text": "Hello there", "why": "length"}, "tokens": {"in": 4, "out": 3}},
        sse({"piece": "Hello"}, {"piece": " there", "why": "length", "tokens": {"in": 4, "out": 3}}, "[DONE]"),
        finish="length",
    ),
    "tgi": Server(
        "/generate",
        {"generated_text": "Hello there", "details": FULL},
        sse(token("Hello"), token(" there"), {**token(""), **LAST}),
        "/generate_stream",
        finish="length",
        head=[("x-prompt-tokens", "4"), ("x-generated-tokens", "3")],
    ),
    "replicate": Server(
        "/models/meta/llama/predictions",
        {
            "id": "p1",
            "model": "meta/llama",
            "status": "succeeded",
            "error": None,
            "output": ["Hel", "lo", " there"],
            "metrics": {"input_token_count": 4, "output_token_count": 3, "predict_time": 0.1},
        },
    ),
    "ollama-generate": Server(
        "/api/generate",
        {"model": "llama3", "response": "Hello there", **OVER},
        ndjson(
            {"model": "llama3", "response": "Hello", "done": False},
            {"model": "llama3", "response": " there", "done": False},
            {"model": "llama3", "response": "", **OVER},
        ),
        lines=True,
        finish="length",
    ),
    "cohere-v1": Server(
        "/chat",
        {"generation_id": "g1", "text": "Hello there", "finish_reason": "MAX_TOKENS", "meta": META},
        ndjson(
            {"is_finished": False, "event_type": "stream-start", "generation_id": "g1"},
            {"is_finished": False, "event_type": "text-generation", "text": "Hello"},
            {"is_finished": False, "event_type": "text-generation", "text": " there"},
            {
                "is_finished": True,
                "event_type": "stream-end",
                "finish_reason": "MAX_TOKENS",
                "response": {"text": "Hello there", "meta": META},
            },
        ),
        lines=True,
        finish="length",
    ),
    "completions": Server(
        "/completions",
        {**CHUNK, "choices": [{"text": "Hello there", "index": 0, "finish_reason": "length"}], "usage": COUNTS},
        sse(
            {**CHUNK, "choices": [{"text": "Hello", "index": 0, "finish_reason": None}]},
            {**CHUNK, "choices": [{"text": " there", "index": 0, "finish_reason": "length"}]},
            {**CHUNK, "choices": [], "usage": COUNTS},
            "[DONE]",
        ),
        finish="length",
    ),
    "writer": Server(
        "/completions",
        {"choices": [{"text": "Hello there"}], "model": "palmyra"},
        sse({"value": "Hello"}, {"value": " there"}),
        usage=None,
    ),
    "workers-ai": Server(
        "/ai/run/meta/llama",
        {"result": {"response": "Hello there", "usage": COUNTS}, "success": True, "errors": [], "messages": []},
        sse({"response": "Hello", "p": "abc"}, {"response": " there"}, {"response": "", "usage": COUNTS}, "[DONE]"),
    ),
    "kserve": Server(
        "/v2/models/meta%2Fllama/generate",
        {"model_name": "llama", "model_version": "1", "text_output": "Hello there"},
        sse({"text_output": "Hello", "done": False}, {"text_output": " there", "done": True}),
        "/v2/models/meta%2Fllama/generate_stream",
        usage=None,
    ),
}  # fmt: skip


@dataclass
class Site:
    """A scripted endpoint behind a gateway that has its dialect declared."""

    provider: FakeUpstream
    gateway: RunningGateway

    @property
    def url(self) -> str:
        return self.gateway.url

    def sent(self) -> Any:
        """Return what the endpoint was asked last."""
        return self.provider.requests[-1].json()


def config(url: str, dialects: Collection[str], upstreams: Mapping[str, str]) -> dict[str, Any]:
    """Return a gateway with upstreams of declared dialects, each below a path of its own at the endpoint."""
    tree: Any = parse(EXAMPLE.read_text(), "yaml")
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "plugins": {**{name: tree["plugins"][name] for name in dialects}, "access": {"mode": "open"}},
        "pipeline": ["access"],
        "upstreams": {
            name: {"base_url": f"{url}/{name}", "dialect": dialect} for name, dialect in upstreams.items()
        },
        "routes": [{"name": "models"}],
    }


@asynccontextmanager
async def site(upstreams: Mapping[str, str], script: Callable[[FakeUpstream], Any]) -> AsyncIterator[Site]:
    """Serve scripted endpoints: upstreams by name, each with its dialect."""
    provider = FakeUpstream()
    script(provider)
    async with (
        provider,
        running_gateway(config(provider.url, set(upstreams.values()), upstreams)) as gateway,
    ):
        yield Site(provider, gateway)


def answer(provider: FakeUpstream, dialect: str) -> None:
    """Have an endpoint answer whole below `/up`, and below `/live` a stream if it has any."""
    server = SERVERS[dialect]
    provider.reply(json=server.whole, path="/up" + server.path, headers=server.head)
    if server.pieces is None:
        provider.reply(json=server.whole, path="/live" + server.path)
    else:
        headers = LINES if server.lines else (("Content-Type", "text/event-stream"),)
        path = "/live" + (server.stream_path or server.path)
        provider.stream(server.pieces, headers=headers, path=path)


class Got(NamedTuple):
    """What an SDK made of an answer."""

    text: str
    finish: str
    usage: tuple[int, int] | None


MODEL = "up/meta/llama"
LIVE = "live/meta/llama"
ASKED = [{"role": "user", "content": "Hi"}]


def by_openai(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def by_anthropic(url: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0)


async def chat(url: str, *, streamed: bool, model: str = "") -> Got:
    asked: Any = {"model": model or (LIVE if streamed else MODEL), "messages": ASKED, "max_tokens": 9}
    async with by_openai(url) as client:
        if not streamed:
            got = await client.chat.completions.create(**asked)
            usage = got.usage and (got.usage.prompt_tokens, got.usage.completion_tokens)
            return Got(got.choices[0].message.content, got.choices[0].finish_reason, usage)
        text, finish, usage = "", "", None
        options = {"include_usage": True}
        async for chunk in await client.chat.completions.create(stream=True, stream_options=options, **asked):
            for choice in chunk.choices:
                text, finish = text + (choice.delta.content or ""), choice.finish_reason or finish
            usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens) if chunk.usage else usage
    return Got(text, finish, usage)


async def responses(url: str, *, streamed: bool) -> Got:
    asked: Any = {"model": LIVE if streamed else MODEL, "input": "Hi", "max_output_tokens": 9}
    async with by_openai(url) as client:
        got: Any = None
        if streamed:
            async for event in await client.responses.create(stream=True, **asked):
                got = getattr(event, "response", got)
        else:
            got = await client.responses.create(**asked)
    finish = "length" if got.status == "incomplete" else "stop"
    return Got(got.output_text, finish, got.usage and (got.usage.input_tokens, got.usage.output_tokens))


async def messages(url: str, *, streamed: bool) -> Got:
    asked: Any = {"model": LIVE if streamed else MODEL, "messages": ASKED, "max_tokens": 9}
    async with by_anthropic(url) as client:
        if streamed:
            async with client.messages.stream(**asked) as stream:
                got: Any = await stream.get_final_message()
        else:
            got = await client.messages.create(**asked)
    finish = {"end_turn": "stop", "max_tokens": "length"}[got.stop_reason]
    return Got(got.content[0].text, finish, (got.usage.input_tokens, got.usage.output_tokens))


async def gemini(url: str, *, streamed: bool) -> Got:
    client = genai.Client(api_key=KEY, http_options=genai_types.HttpOptions(base_url=url))
    asked: Any = {"model": LIVE if streamed else MODEL, "contents": "Hi", "config": {"max_output_tokens": 9}}
    if streamed:
        chunks = [chunk async for chunk in await client.aio.models.generate_content_stream(**asked)]
    else:
        chunks = [await client.aio.models.generate_content(**asked)]
    await client.aio.aclose()
    last: Any = chunks[-1]
    finish = {"STOP": "stop", "MAX_TOKENS": "length"}[last.candidates[0].finish_reason.name]
    told = last.usage_metadata
    usage = (told.prompt_token_count, told.candidates_token_count) if told else None
    return Got("".join(chunk.text or "" for chunk in chunks), finish, usage)


@pytest.mark.parametrize("dialect", SERVERS)
async def test_every_sdk_gets_an_answer_of_every_endpoint(dialect: str) -> None:
    server, asks = SERVERS[dialect], (chat, responses, messages, gemini)
    async with site({"up": dialect, "live": dialect}, lambda provider: answer(provider, dialect)) as here:
        for ask in asks:
            for streamed in (False, True):
                got = await ask(here.url, streamed=streamed)

                assert (got.text, got.finish) == ("Hello there", server.finish), ask
                if server.usage is not None:
                    assert got.usage == server.usage, ask
        assert all(b"Hi" in request.body for request in here.provider.requests)
        assert all(b"9" in request.body for request in here.provider.requests), "the bound of tokens arrives"


def endpoint(dialect: str) -> AbstractAsyncContextManager[Site]:
    """Serve one endpoint as `up`."""
    return site({"up": dialect, "live": dialect}, lambda provider: answer(provider, dialect))


async def test_what_is_not_declared_is_told_as_a_loss() -> None:
    tools: Any = [{"type": "function", "function": {"name": "look"}}]
    async with (
        endpoint("house") as here,
        by_openai(here.url) as client,
    ):
        content: Any = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ]
        got = await client.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": content}], tools=tools, top_p=0.5
        )

        assert set(got.headers["x-llmproxy-losses"].split(", ")) == {
            "top_p",
            "tools",
            "messages[].content[].image_url",
        }
        assert here.sent() == {"question": "What is this?", "stream": False}


async def test_a_picture_arrives_where_it_has_a_place() -> None:
    async with (
        endpoint("ollama-generate") as here,
        by_anthropic(here.url) as client,
    ):
        source: Any = {"type": "base64", "media_type": "image/png", "data": PNG}
        asked: Any = [
            {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image", "source": source}]}
        ]
        await client.messages.create(model=MODEL, max_tokens=9, messages=asked)

        assert here.sent()["images"] == [PNG]


async def test_tools_are_called_and_their_results_come_back() -> None:
    call = {"name": "look", "arguments": {"city": "Rome"}}
    first = {"result": {"response": None, "tool_calls": [call], "usage": COUNTS}, "success": True}
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    turns: list[Any] = list(ASKED)

    def script(provider: FakeUpstream) -> None:
        provider.reply(json=first).reply(json=SERVERS["workers-ai"].whole)

    async with site({"up": "workers-ai"}, script) as here, by_openai(here.url) as client:
        got = await client.chat.completions.create(model=MODEL, messages=turns, tools=tools)
        message: Any = got.choices[0].message
        turns += [
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sun"},
        ]
        second = await client.chat.completions.create(model=MODEL, messages=turns, tools=tools)

        assert got.choices[0].finish_reason == "tool_calls"
        assert orjson.loads(message.tool_calls[0].function.arguments) == {"city": "Rome"}
        assert second.choices[0].message.content == "Hello there"
        assert [turn["role"] for turn in here.sent()["messages"]] == ["user", "assistant", "tool"]


async def test_embeddings_are_asked_for_with_each_sdk() -> None:
    vector = {"values": [0.5, 0.25], "statistics": {"token_count": 3}}

    def script(provider: FakeUpstream) -> None:
        provider.reply(json={"predictions": [{"embeddings": vector}] * 2})

    async with site({"up": "vertex-predict"}, script) as here, by_openai(here.url) as client:
        got: Any = await client.embeddings.create(model="up/e", input=["a", "b"], encoding_format="float")
        assert [item.embedding for item in got.data] == [[0.5, 0.25]] * 2
        assert got.usage.prompt_tokens == 6
        google = genai.Client(api_key=KEY, http_options=genai_types.HttpOptions(base_url=here.url))
        told: Any = await google.aio.models.embed_content(
            model="up/e", contents=["a", "b"], config={"task_type": "RETRIEVAL_QUERY"}
        )
        await google.aio.aclose()

        assert [each.values for each in told.embeddings] == [[0.5, 0.25]] * 2
        assert here.sent() == {
            "instances": [{"content": each, "task_type": "RETRIEVAL_QUERY"} for each in "ab"]
        }


async def test_documents_are_ranked_for_coheres_sdk() -> None:
    def script(provider: FakeUpstream) -> None:
        provider.reply(json=[{"index": 1, "score": 0.9}, {"index": 0, "score": 0.2}])

    async with (
        site({"up": "tei"}, script) as here,
        cohere.AsyncClientV2(api_key=KEY, base_url=here.url) as client,
    ):
        got = await client.rerank(model="up/any", query="q", documents=["a", "b"], top_n=1)

        assert [(each.index, each.relevance_score) for each in got.results] == [(1, 0.9)]
        assert here.sent() == {"query": "q", "texts": ["a", "b"], "truncate": True}


# What goes wrong.

Script = Callable[..., Any]


def whole(status: int, told: Any) -> Script:
    return lambda provider, path: provider.reply(status, json=told, path=path)


def pieces(*events: Any) -> Script:
    return lambda provider, path: provider.stream(sse(*events), path=path)


#: What an endpoint does, the status that OpenAI's and Anthropic's callers get, and what they are told.
BEFORE_OUTPUT: Mapping[str, tuple[Script, int, int, str]] = {
    "refused": (whole(422, {"error": "too long", "error_type": "validation"}), 422, 422, "too long"),
    "busy": (whole(429, {"error": "full", "error_type": "overloaded"}), 503, 529, "full"),
    "error": (whole(200, {"error": "out of memory", "error_type": "generation"}), 500, 500, "out of memory"),
    "empty": (whole(200, {"nothing": True}), 502, 502, "nothing at /generated_text"),
    "number": (whole(200, {"generated_text": 7}), 502, 502, "a number at /generated_text"),
    "deep": (lambda p, path: p.reply(body=b"[" * 100_000, headers=JSON, path=path), 502, 502, "no JSON"),
    "page": (lambda p, path: p.reply(body=b"<html>", headers=JSON, path=path), 502, 502, "no JSON"),
    "told": (pieces({"error": "no room", "error_type": "overloaded"}), 503, 529, "no room"),
    "noise": (pieces("nonsense"), 502, 502, "no JSON"),
    "type": (pieces({"token": {"text": 7, "special": False}}), 502, 502, "a number at /token/text"),
    "nothing": (pieces(), 502, 502, ""),
}
HELLO = token("Hello")
AFTER_OUTPUT: Mapping[str, Script] = {
    "error": pieces(HELLO, {"error": "out of memory", "error_type": "generation"}),
    "cut": pieces(HELLO),
    "noise": pieces(HELLO, "nonsense"),
    "type": pieces(HELLO, {"token": {"text": 7, "special": False}}),
    "half": lambda p, path: p.stream([*sse(HELLO), b'data: {"details":{"finish_reason"'], path=path),
}


async def test_what_fails_before_output_has_its_status() -> None:
    def script(provider: FakeUpstream) -> None:
        for name, (fault, *_) in BEFORE_OUTPUT.items():
            for path in ("/generate", "/generate_stream"):
                fault(provider, f"/{name}{path}")

    site_of_all = site(dict.fromkeys(BEFORE_OUTPUT, "tgi"), script)
    async with site_of_all as here, by_openai(here.url) as one, by_anthropic(here.url) as two:
        for name, (_, status, other, why) in BEFORE_OUTPUT.items():
            for streamed in (False, True):
                asked: Any = {
                    "model": f"{name}/m",
                    "messages": ASKED,
                    "max_tokens": 9,
                    "stream": streamed,
                }
                with pytest.raises(openai.APIStatusError) as first:
                    await one.chat.completions.create(**asked)
                with pytest.raises(anthropic.APIStatusError) as second:
                    await two.messages.create(**asked)

                assert (first.value.status_code, second.value.status_code) == (status, other), name
                assert why in first.value.message
                assert why in second.value.message


async def test_what_fails_after_output_is_told_and_never_whole() -> None:
    def script(provider: FakeUpstream) -> None:
        for name, fault in AFTER_OUTPUT.items():
            fault(provider, f"/{name}/generate_stream")

    site_of_all = site(dict.fromkeys(AFTER_OUTPUT, "tgi"), script)
    async with site_of_all as here, by_openai(here.url) as one, by_anthropic(here.url) as two:
        for name in AFTER_OUTPUT:
            asked: Any = {"model": f"{name}/m", "messages": ASKED, "max_tokens": 9, "stream": True}
            text, finish = await _until_broken(one, asked)
            assert (text, finish) == ("Hello", None), name
            with pytest.raises(anthropic.APIError):
                await _read_on(await two.messages.create(**asked))


async def _until_broken(client: openai.AsyncOpenAI, asked: Any) -> tuple[str, str | None]:
    """Return what a stream told before it broke."""
    text, finish = "", None
    try:
        async for chunk in await client.chat.completions.create(**asked):
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason
    except openai.APIError:
        return text, finish
    return text, "whole"


async def _read_on(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_server_that_marks_no_end_ends_with_its_connection() -> None:
    said = SERVERS["writer"].pieces or []

    def script(provider: FakeUpstream) -> None:
        provider.stream(said).stream(said, then="reset", after=120)

    async with site({"live": "writer"}, script) as here:
        assert (await chat(here.url, streamed=True)).text == "Hello there"
        with pytest.raises(openai.APIError):
            await chat(here.url, streamed=True)


# What real servers once answered.

RECORDED = {
    "ollama.generate": "ollama-generate",
    "cohere.chat_v1": "cohere-v1",
    "openai.completions": "completions",
}


@pytest.mark.parametrize("source", RECORDED)
async def test_recorded_answers_reach_the_sdk(source: str) -> None:
    """All of one server's, one after another through one gateway, each asked for as it once was: whole or streamed."""
    kept = [each for each in records() if each["dialect"] == source and each["provider"] != "writer"]

    def script(provider: FakeUpstream) -> None:
        for record in kept:
            answer = record["response"]
            kind = [("Content-Type", answer["headers"].get("content-type", "text/event-stream"))]
            if "body" in answer:
                provider.reply(answer["status"], json=answer["body"])
            else:
                pieces = [piece.encode() for piece in answer.get("lines") or answer["events"]]
                provider.stream(pieces, headers=kind, status=answer["status"])

    answered = 0
    async with site({"up": RECORDED[source]}, script) as here:
        for record in kept:
            answer, streamed = record["response"], bool(record["stream"])
            if answer["status"] >= 300:
                with pytest.raises(openai.APIStatusError) as caught:
                    await chat(here.url, streamed=streamed, model=MODEL)
                assert caught.value.status_code == answer["status"]
                continue
            got = await chat(here.url, streamed=streamed, model=MODEL)
            assert got.text, record["id"]
            assert got.text[:40].strip() in _said(answer), record["id"]
            answered += 1

    assert answered >= 6


def _said(answer: dict[str, Any]) -> str:
    """Return all texts of a recorded answer, one after another."""
    documents = [answer["body"]] if "body" in answer else []
    for piece in answer.get("lines") or answer.get("events") or []:
        data = piece.strip().removeprefix("data:").strip()
        documents += [orjson.loads(data)] if data.startswith("{") else []
    parts = []
    for each in documents:
        parts.append(
            each.get("response") if isinstance(each.get("response"), str) else each.get("text") or ""
        )
        parts += [choice.get("text") or "" for choice in each.get("choices", [])]
    return "".join(parts)


def test_explain_shows_references_in_place_of_what_is_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ABCD":
        monkeypatch.setenv(f"SECRET_{name}", f"the secret/{name}")
    file = tmp_path / "gateway.yaml"
    file.write_text(
        """\
plugins:
  access: {mode: open}
  house:
    use: declared
    path: /v1/answer
    query: {key: "${env:SECRET_A}"}
    headers: {X-Key: "${env:SECRET_B}"}
    body: {question: "{prompt}", token: "${env:SECRET_C}"}
    answer: /a
upstreams:
  house: {base_url: "http://127.0.0.1:9", dialect: house, api_key: "${env:SECRET_D}"}
routes: [{name: models, plugins: [access]}]
"""
    )
    body = '{"model":"house/m","messages":[{"role":"user","content":"Hi"}]}'
    run = CliRunner().invoke(main, ["explain", "-c", str(file), "/v1/chat/completions", "-d", body])

    assert run.exit_code == 0, run.output
    assert not [name for name in "ABCD" if f"secret/{name}" in run.output or f"secret%2F{name}" in run.output]
    assert [name for name in "ABCD" if f"${{env:SECRET_{name}}}" not in run.output] == []


def test_a_mistake_is_told_with_its_key_path(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        """\
plugins:
  house:
    use: declared
    path: /v1/answer
    body: {question: "{prompt}", options: {heat: "{temprature}"}}
    answer: {text: "$.output[0].text"}
upstreams:
  house: {base_url: "http://127.0.0.1:9", dialect: house}
routes: [{name: models}]
"""
    )
    run = CliRunner().invoke(main, ["check", str(file)])

    assert run.exit_code != 0
    assert "plugins.house.answer.text" in run.output
    assert "did you mean '/output/0/text'" in run.output
