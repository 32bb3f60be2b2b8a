from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.conftest import MakeExchange

from llmproxy.canonical import Answer, CountAnswer, EmbedAnswer, GenerateRequest, Losses
from llmproxy.plugin import BadRequest, ClientFace, GatewayError, Headers, MessageEdit
from llmproxy_gemini.chunks import ChunkEncoder
from llmproxy_gemini.client import LOSS_NAMES, GeminiClient

client: ClientFace = GeminiClient()


@pytest.mark.parametrize(
    ("path", "model", "streamed"),
    [
        ("/v1/models/a/b:c:streamGenerateContent?alt=sse", "a/b:c", True),
        ("/v1beta/models/m:generateContent", "m", False),
        ("/v1beta/models/m:countTokens", "m", False),
        ("/v1beta/cachedContents", None, False),
    ],
)
def test_the_path_tells_model_and_stream(
    exchange_for: MakeExchange, path: str, model: str | None, streamed: bool
) -> None:
    exchange = exchange_for(path, b"not even JSON")

    assert (exchange.model, exchange.streamed) == (model, streamed)
    assert client.reads_body(exchange) is (model is not None)


def test_a_call_for_the_models_names_none(exchange_for: MakeExchange) -> None:
    exchange = exchange_for("/v1beta/models/m", b"", method="GET")

    assert exchange.model is None
    assert not client.reads_body(exchange)
    reply = client.models(exchange, ["m"])
    assert reply is not None
    assert orjson.loads(reply.body)["name"] == "models/m"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "keyed"),
    [
        ("/v1/models/m:generateContent", False),
        ("/v1beta/models/m:streamGenerateContent", False),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/m:countTokens", False),
        ("/v1/publishers/google/models/m:embedContent", False),
        ("/team/v1beta/models", False),
        ("/v1beta/models/m", False),
        ("/v1/models", True),
        ("/v1/models/groq/llama", True),
    ],
)
def test_its_paths_are_claimed(path: str, keyed: bool) -> None:
    faces = pytest.importorskip("llmproxy.faces").Faces({"gemini": client})

    assert faces.choose(path, Headers.of({"x-goog-api-key": "k"})) is client
    assert faces.choose(path, Headers()) is (None if keyed else client)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/openai/chat/completions",
        "/v1beta/openai/embeddings",
        "/v1beta/openai/models",
        "/v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions",
        "/v1/chat/completions",
        "/v1/models",
    ],
)
def test_openais_paths_are_openais(path: str) -> None:
    openai = pytest.importorskip("llmproxy_openai.faces").OpenAIClient()
    faces = pytest.importorskip("llmproxy.faces").Faces({"gemini": client, "openai": openai})

    chosen = faces.choose(path, Headers())

    assert chosen is not client


def test_errors_are_googles(exchange_for: MakeExchange) -> None:
    error = GatewayError(503, "busy", "Busy.")

    assert orjson.loads(client.error(error).body)["error"]["status"] == "UNAVAILABLE"  # type: ignore[arg-type]
    event = client.stream_error(exchange_for("/v1/models/m:streamGenerateContent?alt=sse"), error)
    assert event.startswith(b'data: {"error":')
    assert event.endswith(b"}\r\n\r\n")
    element = client.stream_error(exchange_for("/v1/models/m:streamGenerateContent"), error)
    assert orjson.loads(b"[{}" + element)[1]["error"]["code"] == 503


def test_a_conversation_is_edited(exchange_for: MakeExchange) -> None:
    assert client.edits(b'{"contents":[]}', [MessageEdit(0, "user", "x")])


def test_a_request_is_decoded(exchange_for: MakeExchange) -> None:
    exchange = exchange_for()

    request = client.decode_request(exchange, b'{"contents":"Hi"}', Losses())

    assert isinstance(request, GenerateRequest)


def test_other_calls_are_not_translated(exchange_for: MakeExchange) -> None:
    with pytest.raises(BadRequest) as refused:
        client.decode_request(exchange_for("/v1beta/interactions"), b"{}", Losses())

    assert refused.value.code == "no_translation"


@pytest.mark.parametrize(
    ("path", "answer", "key"),
    [
        ("/v1/models/m:generateContent", Answer(), "candidates"),
        ("/v1/models/m:countTokens", CountAnswer(tokens=3), "totalTokens"),
        ("/v1/models/m:embedContent", EmbedAnswer(vectors=((0.5,),)), "embedding"),
        ("/v1/models/m:batchEmbedContents", EmbedAnswer(vectors=((0.5,),)), "embeddings"),
    ],
)
def test_an_answer_is_of_the_kind_that_was_asked_for(
    exchange_for: MakeExchange, path: str, answer: Any, key: str
) -> None:
    reply = client.encode_answer(exchange_for(path), answer)

    assert key in orjson.loads(reply.body)  # type: ignore[arg-type]


def test_a_stream_is_of_events_or_an_array(exchange_for: MakeExchange) -> None:
    events = exchange_for("/v1/models/m:streamGenerateContent?alt=sse")
    array = exchange_for("/v1/models/m:streamGenerateContent")

    assert client.stream_type(events) == b"text/event-stream"
    assert client.stream_type(array) == b"application/json"
    assert isinstance(client.stream_encoder(events), ChunkEncoder)


async def test_nothing_is_recalled_or_remembered(exchange_for: MakeExchange) -> None:
    exchange, request, memory = exchange_for(), GenerateRequest(model="m"), None

    assert await client.recall(exchange, request, memory) is request  # type: ignore[arg-type]
    await client.remember(exchange, request, Answer(), memory)  # type: ignore[arg-type]


def test_losses_are_told_in_geminis_words() -> None:
    losses = Losses(LOSS_NAMES)

    losses.lose("top_k")

    assert [loss.field for loss in losses] == ["generationConfig.topK"]
