"""Which translation a call needs."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Answer,
    Collector,
    EmbedAnswer,
    EmbedRequest,
    GenerateRequest,
    Losses,
    ModelRequest,
)
from llmproxy.plugin import (
    BadField,
    BadRequest,
    Clock,
    Endpoint,
    Exchange,
    Reply,
    UpstreamRequest,
    carried_headers,
    error_of,
    no_translation,
)
from llmproxy_ollama.answers import read_answer, stamp_of, write_answer
from llmproxy_ollama.decoding import decode_chat, decode_generate
from llmproxy_ollama.embeddings import decode_embed, decode_one, read_vectors, write_embed, write_vectors
from llmproxy_ollama.encoding import write_request
from llmproxy_ollama.lines import LineDecoder
from llmproxy_ollama.listing import described, listing
from llmproxy_ollama.paths import call_of
from llmproxy_ollama.telling import LineEncoder

_JSON: Final = (b"Content-Type", b"application/json")
#: How long nothing lasts that asks for no more than that its model is loaded, or is not.
_UNLOAD: Final = (0, "0", "0s", "0m", "0h")


def decode_call(exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
    """Read a caller's request.

    Raises:
        BadRequest: it is broken, or cannot be asked of another provider.
    """
    call = call_of(exchange.request.path)
    if call not in ("chat", "generate", "embed", "embeddings") or exchange.request.method != "POST":
        raise no_translation()
    told = _parsed(body)
    if call == "embed":
        return decode_embed(told, losses)
    if call == "embeddings":
        return decode_one(told, losses)
    decode = decode_chat if call == "chat" else decode_generate
    if call == "generate":
        own = {"system": "system", "content.image": "images[]"}
        losses.names = {**losses.names, **own}
    return decode(told, losses, streamed=exchange.streamed)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadField("invalid_json", f"The request's body is not JSON: {fault}.") from None
    if not isinstance(told, dict):
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    return told


def answer_here(exchange: Exchange, body: bytes) -> Reply | None:
    """Answer a call that asks nothing of a model: what it is, or that it be loaded; None where it does."""
    request = exchange.request
    call = call_of(request.path)
    if request.method == "GET":
        return listing(call, ()) if call in ("version", "ps") else None
    if call == "show":
        return described(exchange.model or "")
    if call not in ("chat", "generate"):
        return None
    told = _parsed(body)
    if any(told.get(key) for key in ("messages", "prompt", "images", "suffix")):
        return None
    stamp, reason = stamp_of(exchange), "unload" if told.get("keep_alive") in _UNLOAD else "load"
    said = {"response": ""} if stamp.plain else {"message": {"role": "assistant", "content": ""}}
    answer = {"model": stamp.model, "created_at": stamp.created, **said, "done": True, "done_reason": reason}
    return Reply.json(answer)


def encode_answer(exchange: Exchange, answer: Any) -> Reply:
    """Shape a whole answer."""
    stamp, now = stamp_of(exchange), Clock.now()
    if isinstance(answer, EmbedAnswer):
        single = call_of(exchange.request.path) == "embeddings"
        return Reply.json(write_vectors(answer, stamp, now, single=single))
    if not isinstance(answer, Answer):
        raise no_translation()
    return Reply.json(write_answer(answer, stamp, now))


def line_encoder(exchange: Exchange) -> LineEncoder:
    """Return what writes a streamed answer."""
    return LineEncoder(stamp_of(exchange), Clock.now)


def encode_call(
    exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses, *, prefix: str
) -> UpstreamRequest | None:
    """Write a canonical request as an attempt's wire request; None where Ollama has no such call."""
    model = endpoint.model or request.model
    if isinstance(request, GenerateRequest):
        target, body = "/chat", write_request(request, model, losses)
    elif isinstance(request, EmbedRequest):
        target, body = "/embed", write_embed(request, model, losses)
    else:
        return None
    headers = carried_headers(exchange.request)
    headers.raw.append(_JSON)
    try:
        return UpstreamRequest("POST", prefix + target, headers, orjson.dumps(body))
    except orjson.JSONEncodeError:
        raise BadRequest("too_complex", "The request is nested too deeply to be written anew.") from None


def _collected(body: bytes) -> Answer:
    """Read lines whose content type says that they are one answer, as proxies on the way make of them."""
    decoder, collector = LineDecoder(), Collector()
    for event in [*decoder.feed(body), *decoder.close()]:
        collector.feed(event)
    if collector.failed is not None:
        raise collector.failed.error
    return collector.answer


def decode_answer(body: bytes) -> Answer | EmbedAnswer:
    """Read a whole good answer, whatever was asked.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is none.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"\n" not in body.strip():
            raise
        return _collected(body)
    if not isinstance(told, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004  # an answer that is not of this dialect
    if told.get("error"):
        raise error_of(told)
    if "embeddings" in told or "embedding" in told:
        return read_vectors(told)
    return read_answer(told)
