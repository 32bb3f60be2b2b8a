"""The provider's side: requests out, answers in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

import orjson

from llmproxy.canonical import EmbedRequest, GenerateRequest, MediaRequest, RerankRequest
from llmproxy.plugin import StateKey, UpstreamRequest, carried_headers
from llmproxy_openai.calls import RERANK
from llmproxy_openai.chat.answers import decode_answer as read_answer
from llmproxy_openai.chat.encoding import encode_chat
from llmproxy_openai.embeddings import encode_request as write_embeddings
from llmproxy_openai.embeddings import read_embeddings
from llmproxy_openai.reranking import encode_rerank, read_ranking

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelAnswer, ModelRequest
    from llmproxy.plugin import Endpoint, Exchange, Quirks, Reply

#: Whether a call for pictures or sound was made.
_APART: Final = StateKey[bool]("openai.apart")
_RANKS: Final = StateKey[bool]("openai.ranks")


def encode_request(
    exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses, quirks: Quirks
) -> UpstreamRequest | None:
    """Write a request; None where this provider has no such call."""
    model = endpoint.model or request.model
    exchange.state.pop(_APART, None)
    exchange.state[_RANKS] = isinstance(request, RerankRequest)
    if isinstance(request, MediaRequest) or (asked_apart(request) and "modalities" not in quirks.extras):
        from llmproxy_openai.media import upstream  # noqa: PLC0415  # few callers want pictures or sound

        exchange.state[_APART] = True
        return upstream.encode_request(exchange, endpoint, request, losses, quirks)
    if isinstance(request, GenerateRequest):
        target, body = quirks.chat_path, encode_chat(request, model, quirks, losses)
    elif isinstance(request, EmbedRequest) and quirks.embeddings:
        target, body = "/embeddings", write_embeddings(request, model, quirks, losses)
    elif isinstance(request, RerankRequest):
        target, body = RERANK, encode_rerank(request, model, quirks.rerank, losses)
    else:
        return None
    headers = carried_headers(exchange.request)
    headers.raw.append((b"Content-Type", b"application/json"))
    return UpstreamRequest("POST", target, headers, orjson.dumps(body))


def asked_apart(request: ModelRequest) -> TypeGuard[GenerateRequest]:
    """Say whether a conversation wants what a call of its own makes: a picture, or sound alone."""
    if not isinstance(request, GenerateRequest) or not request.modalities:
        return False
    return "image" in request.modalities or request.modalities == ("audio",)


def decode_answer(exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
    """Read a whole answer of any kind.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is neither.
    """
    if exchange.state.get(_APART):
        from llmproxy_openai.media import upstream  # noqa: PLC0415  # likewise

        return upstream.decode_answer(exchange, reply, body)
    answer = orjson.loads(body)
    if exchange.state.get(_RANKS):
        return read_ranking(answer)
    if type(answer) is dict and type(answer.get("data")) is list and "choices" not in answer:
        return read_embeddings(answer)
    return read_answer(answer)
