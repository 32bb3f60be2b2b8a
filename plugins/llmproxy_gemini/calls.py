"""Which translation a call needs, by its verb and by what it holds."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Answer,
    Collector,
    CountAnswer,
    CountRequest,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    ImageAnswer,
    ImageRequest,
    Losses,
    MediaRequest,
    ModelAnswer,
    ModelRequest,
)
from llmproxy.plugin import (
    BadField,
    BadRequest,
    Endpoint,
    Exchange,
    Reply,
    UpstreamRequest,
    carried_headers,
    error_of,
    no_translation,
)
from llmproxy_gemini import predicting
from llmproxy_gemini.answers import read_answer, write_answer
from llmproxy_gemini.counting import read_count, read_count_answer, write_count, write_count_answer
from llmproxy_gemini.decoding import generate_request
from llmproxy_gemini.embeddings import read_batch, read_embed, read_vectors, write_embed, write_vectors
from llmproxy_gemini.encoding import write_request
from llmproxy_gemini.fields import members, unreadable
from llmproxy_gemini.made import MADE, Made, answer_of, media_call
from llmproxy_gemini.paths import BATCHES, Call, target, written
from llmproxy_gemini.pictures import read_predict, read_predictions, write_predict, write_predictions
from llmproxy_gemini.streams import ChunkDecoder

_JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream"


def decode_call(exchange: Exchange, call: Call, body: bytes, losses: Losses) -> ModelRequest:
    """Read a caller's request.

    Raises:
        BadRequest: it is broken, or cannot be asked of another provider.
    """
    if b"content-encoding" in exchange.request.headers.index:
        message = "A compressed request body is not read; send it without Content-Encoding."
        raise BadField("unsupported_encoding", message, status=415)
    try:
        told = members(orjson.loads(body), "body")
        return _request(call, told, losses)
    except orjson.JSONDecodeError as fault:
        message = f"The body is not valid JSON (at byte {fault.pos})."
        raise BadField("invalid_json", message) from None
    except (RecursionError, orjson.JSONEncodeError):
        message = "The body is nested too deeply."
        raise BadField("too_complex", message) from None


def _request(call: Call, told: dict[str, Any], losses: Losses) -> ModelRequest:
    if call.verb in BATCHES:
        raise no_translation()
    if call.verb == "countTokens":
        return read_count(call.model, told, losses)
    if call.verb == "embedContent":
        return read_embed(call.model, told, losses)
    if call.verb == "batchEmbedContents":
        return read_batch(call.model, told, losses)
    if call.verb == "predict":
        read = predicting.read_instances if predicting.embeds(told) else read_predict
        return read(call.model, told, losses)
    return generate_request(call.model, told, losses, streamed=call.verb == "streamGenerateContent")


def encode_answer(answer: ModelAnswer, verb: str = "") -> Reply:
    """Shape a whole answer to a call of that verb."""
    if isinstance(answer, Answer):
        return Reply.json(write_answer(answer))
    if isinstance(answer, CountAnswer):
        return Reply.json(write_count_answer(answer))
    if isinstance(answer, EmbedAnswer):
        if verb == "predict":
            return Reply.json(predicting.write_vectors(answer))
        return Reply.json(write_vectors(answer, single=verb == "embedContent"))
    if isinstance(answer, ImageAnswer):
        return Reply.json(write_predictions(answer))
    raise no_translation()


def encode_call(
    exchange: Exchange,
    endpoint: Endpoint,
    request: ModelRequest,
    losses: Losses,
    *,
    vertex: bool = False,
    publisher: str = "",
) -> UpstreamRequest | None:
    """Write a canonical request as an attempt's wire request; None where Gemini has no such call."""
    model = endpoint.model or request.model
    headers = carried_headers(exchange.request)
    exchange.state.pop(MADE, None)
    asked = media_call(exchange, request, model, losses) if isinstance(request, MediaRequest) else request
    told = _written(asked, model, losses, vertex=vertex)
    if told is None:
        return None
    verb, body = told
    streamed = verb == "streamGenerateContent"
    headers.raw += [(b"Content-Type", _JSON), (b"Accept", _EVENTS if streamed else _JSON)]
    path = target(verb, written(model), publisher)
    return UpstreamRequest("POST", path + ("?alt=sse" if streamed else ""), headers, _dumped(body))


def _written(
    request: ModelRequest | None, model: str, losses: Losses, *, vertex: bool
) -> tuple[str, dict[str, Any]] | None:
    """Return the verb of a call and its body."""
    if isinstance(request, GenerateRequest):
        verb = "streamGenerateContent" if request.streamed else "generateContent"
        return verb, write_request(request, model, losses, vertex=vertex)
    if isinstance(request, CountRequest):
        return "countTokens", write_count(request, model, losses, vertex=vertex)
    if isinstance(request, EmbedRequest):
        if vertex and predicting.predicts_vectors(model):
            return "predict", predicting.write_instances(request, losses)
        body = write_embed(request, model, losses)
        return "batchEmbedContents" if "requests" in body else "embedContent", body
    return ("predict", write_predict(request, losses)) if isinstance(request, ImageRequest) else None


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("too_complex", "The request is nested too deeply to be written anew.") from None


def decode_answer(body: bytes, made: Made | None = None) -> ModelAnswer:
    """Read a whole good answer, whatever was asked; chunks in one JSON array are one answer.

    `made` says what was asked for in a conversation's words.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is none.
    """
    told = orjson.loads(body)
    if isinstance(told, list):
        return answer_of(_collected(told), made)
    if not isinstance(told, dict):
        raise unreadable("the answer is no object")
    if "error" in told:
        raise error_of(told)
    if "totalTokens" in told:
        return read_count_answer(told)
    if "embedding" in told or "embeddings" in told:
        return read_vectors(told)
    if predicting.holds_vectors(told):
        return predicting.read_vectors(told)
    if "predictions" in told or (made is not None and made.kind == "predict"):
        return read_predictions(told)
    try:
        return answer_of(read_answer(told), made)
    except (BadRequest, RecursionError, orjson.JSONEncodeError) as fault:
        raise ValueError(str(fault)) from None


def _collected(chunks: list[Any]) -> Answer:
    decoder, collector = ChunkDecoder(), Collector()
    events: list[Any] = []
    decoder.take(chunks, events)
    for event in [*events, *decoder.close()]:
        collector.feed(event)
    if collector.failed is not None:
        raise collector.failed.error
    return collector.answer
