from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from llmproxy.canonical import Answer, Choice, GenerateRequest, Link, Losses, Message, Text
from llmproxy.plugin import (
    TOLD,
    ClientFace,
    Endpoint,
    GatewayError,
    Headers,
    MessageEdit,
    Quirks,
    Reply,
    UpstreamConfig,
    UpstreamFace,
    WholeTap,
)
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream, ResponsesUpstream
from llmproxy_openai.filters import UsageEventFilter
from llmproxy_openai.taps import StreamTap

if TYPE_CHECKING:
    from .conftest import MakeExchange

client: ClientFace = OpenAIClient()
upstream: UpstreamFace = OpenAIUpstream()


def reply(kind: str, status: int = 200) -> Reply:
    return Reply(status, Headers.of({"Content-Type": kind}))


def test_models_are_listed_as_openai_lists_them(exchange_for: MakeExchange) -> None:
    reply = client.models(exchange_for("/v1/models", method="GET"), ["a", "b/c"])
    assert reply is not None
    assert isinstance(reply.body, bytes)
    listing = orjson.loads(reply.body)

    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == ["a", "b/c"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", WholeTap),
        ("application/json; charset=utf-8", WholeTap),
        ("text/event-stream; charset=utf-8", StreamTap),
        ("audio/mpeg", type(None)),
    ],
)
def test_the_tap_fits_the_answer(exchange_for: MakeExchange, kind: str, expected: type[Any]) -> None:
    exchange = exchange_for(body={"model": "m"})

    assert type(upstream.tap(exchange, reply(kind))) is expected


def test_an_error_is_not_read(exchange_for: MakeExchange) -> None:
    assert upstream.tap(exchange_for(body={}), reply("application/json", 429)) is None


def test_an_answer_that_is_fetched_again_is_not_counted_again(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/responses/r1", method="GET")

    tap = upstream.tap(exchange, reply("application/json"))
    assert tap is not None
    tap.feed(
        b'{"object":"response","id":"r1","status":"completed","usage":{"input_tokens":1,"output_tokens":1}}'
    )
    tap.end()

    assert tap.usage is None
    assert TOLD not in exchange.state


def test_a_stream_is_filtered_only_if_usage_was_asked_for_here(exchange_for: MakeExchange) -> None:
    body = b'{"model":"m","stream":true}'
    exchange = exchange_for(body=body)
    assert upstream.stream_filter(exchange) is None

    upstream.encode(exchange, Endpoint("main"), body)
    assert isinstance(upstream.stream_filter(exchange), UsageEventFilter)


def test_the_providers_key_is_a_bearer_token() -> None:
    assert upstream.credentials("key") == [(b"Authorization", b"Bearer key")]


def test_the_client_face_reads_edits_and_shapes(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body={"model": "m"})

    assert client.reads_body(exchange)
    assert client.edits(b'{"messages":[]}', [MessageEdit(0, "user", "x")])
    assert client.error(GatewayError(404, "x", "X.")).status == 404
    assert client.stream_error(exchange, GatewayError(502, "x", "X.")).startswith(b"event: error\n")


def test_one_model_is_described_or_not_found(exchange_for: MakeExchange) -> None:
    known = client.models(exchange_for("/v1/models/b%2Fc", method="GET"), ["a", "b/c"])
    unknown = client.models(exchange_for("/v1/models/x", method="GET"), ["a", "b/c"])

    assert known is not None
    assert isinstance(known.body, bytes)
    assert orjson.loads(known.body)["id"] == "b/c"
    assert unknown is not None
    assert unknown.status == 404
    assert client.models(exchange_for(body={}), ["a"]) is None


CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_chat_call_is_translated_and_remembers_nothing(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body=CHAT)
    request = client.decode_request(exchange, orjson.dumps(CHAT), Losses(client.loss_names))
    assert isinstance(request, GenerateRequest)

    answer = Answer(choices=(Choice(content=(Text("yes"),), finish="stop"),))
    memory: Any = None
    await client.remember(exchange, request, answer, memory)

    assert await client.recall(exchange, request, memory) is request
    body = client.encode_answer(exchange, answer).body
    assert isinstance(body, bytes)
    assert orjson.loads(body)["choices"][0]["message"]["content"] == "yes"
    assert b"".join(client.stream_encoder(exchange).close()) == b"data: [DONE]\n\n"
    assert client.stream_type(exchange).startswith(b"text/event-stream")


async def test_responses_calls_go_to_their_own_package(exchange_for: MakeExchange) -> None:
    asked = {"model": "m", "input": "hi", "store": False}
    exchange = exchange_for("/v1/responses", asked)
    request = client.decode_request(exchange, orjson.dumps(asked), Losses())

    assert isinstance(request, GenerateRequest)
    assert request.messages == (Message("user", (Text("hi"),)),)
    answer = Answer(choices=(Choice(content=(Text("yes"),), finish="stop"),))
    body = client.encode_answer(exchange, answer).body
    assert isinstance(body, bytes)
    assert orjson.loads(body)["object"] == "response"


@pytest.mark.parametrize(
    ("path", "responses", "native"),
    [
        ("/v1/chat/completions", False, True),
        ("/v1/responses", False, False),
        ("/v1/responses", True, True),
        ("/v1/responses/resp_1/input_items", False, False),
        ("/v1/audio/speech", False, True),
    ],
)
def test_callers_of_the_same_dialect_pass_unless_the_provider_lacks_the_call(
    exchange_for: MakeExchange, path: str, responses: bool, native: bool
) -> None:
    config = UpstreamConfig("http://127.0.0.1", quirks=Quirks(responses=responses))
    face = upstream.for_upstream(config)

    assert face.native(exchange_for(path, {})) is native


@pytest.mark.parametrize(
    ("bound", "rerank", "native"),
    [
        ("top_n", "top_n", True),
        ("top_k", "top_n", False),
        ("top_n", "top_k", False),
        ("top_k", "top_k", True),
    ],
)
def test_a_ranking_is_native_in_its_own_manner(
    exchange_for: MakeExchange, bound: str, rerank: Any, native: bool
) -> None:
    face = OpenAIUpstream(Quirks(rerank=rerank))

    assert face.native(exchange_for("/v1/rerank", {"query": "q", bound: 1})) is native


def test_callers_of_other_dialects_are_translated(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body=CHAT)
    exchange.client_face = None
    assert upstream.native(exchange)

    exchange.client_face = SimpleNamespace(wire="anthropic")  # type: ignore[assignment]
    asked = GenerateRequest(model="m", messages=(Message("user", (Text("hi"),)),))
    wire = upstream.encode_request(exchange, Endpoint("main", "own"), asked, Losses())

    assert not upstream.native(exchange)
    assert wire is not None
    assert wire.target == "/chat/completions"
    assert orjson.loads(wire.body) == {"model": "own", "messages": CHAT["messages"]}  # type: ignore[arg-type]


def test_a_websocket_stays_raw(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1/responses", {})
    exchange.upgraded = True

    assert upstream.native(exchange)


def test_answers_are_read_whole_or_as_events(exchange_for: MakeExchange) -> None:
    exchange = exchange_for(body=CHAT)
    body = orjson.dumps({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]})

    assert upstream.stream_decoder(exchange, reply("application/json")) is None
    assert upstream.stream_decoder(exchange, reply("text/event-stream")) is not None
    assert upstream.decode_answer(exchange, reply("application/json"), body) == Answer(
        choices=(Choice(content=(Text("yes"),), finish="stop", detail="stop"),)
    )


def test_an_upstream_of_responses_alone_has_a_face_of_its_own() -> None:
    face = ResponsesUpstream().for_upstream(UpstreamConfig("http://127.0.0.1"))

    assert type(face).__module__ == "llmproxy_openai.responses.upstream"
    assert face.wire == "openai"


def test_files_and_recordings_are_fetched_for_chat_which_takes_their_bytes_alone() -> None:
    link = Link("https://a.example/1")

    assert [kind for kind in ("image", "audio", "video", "document") if upstream.fetches(link, kind)] == [
        "audio",
        "document",
    ]


AZURE = UpstreamConfig("https://mine.openai.azure.com/openai", quirks=Quirks(responses=True))


def test_azure_takes_its_key_in_a_header_of_its_own() -> None:
    face = OpenAIUpstream().for_upstream(AZURE)

    assert face.credentials("secret") == [(b"api-key", b"secret")]
    assert face.credentials("eyJ0.e.s") == [(b"Authorization", b"Bearer eyJ0.e.s")]


def test_a_translated_call_names_its_deployment(exchange_for: MakeExchange) -> None:
    asked = GenerateRequest(model="m", messages=(Message("user", (Text("hi"),)),))
    face = OpenAIUpstream().for_upstream(AZURE)

    wire = face.encode_request(exchange_for(body=CHAT), Endpoint("main"), asked, Losses())

    assert wire is not None
    assert wire.target == "/deployments/m/chat/completions?api-version=2024-10-21"


def test_a_deployment_is_the_model_that_is_translated(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/openai/deployments/mine/chat/completions", {"messages": CHAT["messages"]})

    request = client.decode_request(exchange, orjson.dumps({**CHAT, "model": "other"}), Losses())

    assert exchange.model == request.model == "mine"


@pytest.mark.parametrize("path", ["/v1/deployments/dear/chat/completions", "/v1/engines/dear/completions"])
def test_a_path_that_would_lead_to_another_model_than_the_body_is_refused(
    exchange_for: MakeExchange, path: str
) -> None:
    with pytest.raises(GatewayError, match="names a model") as refused:
        exchange_for(path, {"model": "cheap", "messages": []})

    assert refused.value.status == 404
