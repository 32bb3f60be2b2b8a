"""The provider's side: requests out, answers in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from llmproxy.canonical import Answer, EmbedAnswer, EmbedRequest, GenerateRequest
from llmproxy.plugin import UpstreamRequest, carried_headers
from llmproxy_openai.chat.answers import decode_answer as read_answer
from llmproxy_openai.chat.encoding import encode_chat
from llmproxy_openai.embeddings import encode_request as write_embeddings
from llmproxy_openai.embeddings import read_embeddings

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelRequest
    from llmproxy.plugin import Endpoint, Exchange, Quirks


def encode_request(
    exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses, quirks: Quirks
) -> UpstreamRequest | None:
    """Write a request; None where this provider has no such call."""
    model = endpoint.model or request.model
    if isinstance(request, GenerateRequest):
        target, body = quirks.chat_path, encode_chat(request, model, quirks, losses)
    elif isinstance(request, EmbedRequest) and quirks.embeddings:
        target, body = "/embeddings", write_embeddings(request, model, quirks, losses)
    else:
        return None
    headers = carried_headers(exchange.request)
    headers.raw.append((b"Content-Type", b"application/json"))
    return UpstreamRequest("POST", target, headers, orjson.dumps(body))


def decode_answer(body: bytes) -> Answer | EmbedAnswer:
    """Read a whole answer of either kind.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is neither.
    """
    answer = orjson.loads(body)
    if type(answer) is dict and type(answer.get("data")) is list and "choices" not in answer:
        return read_embeddings(answer)
    return read_answer(answer)
