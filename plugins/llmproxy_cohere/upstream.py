"""How providers speak it."""

# ruff: noqa: PLC0415  # the imports inside the methods are the point: who only passes on never loads them

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson

from llmproxy.plugin import (
    BadRequest,
    Endpoint,
    Exchange,
    Reply,
    StreamDecoder,
    Tap,
    ToolNames,
    Untranslated,
    UpstreamConfig,
    UpstreamFace,
    UpstreamRequest,
    WholeTap,
    carried_headers,
)
from llmproxy_cohere.calls import call_of

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest

_LINES: Final = (b"application/stream+json", b"application/x-ndjson")
_VERSIONS: Final = frozenset({"/v1", "/v2"})


class CohereUpstream(Untranslated):
    """How providers speak it; `version` is that of the API where the base URL ends in one."""

    wire = "cohere"
    calls: Mapping[str, str] = {"generate": "chat"}
    tool_names: ToolNames | None = ToolNames()

    def __init__(self, version: str = "") -> None:
        self.version = version

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream, whose base URL may name a version of the API."""
        end = urlsplit(config.base_url).path.rstrip("/")[-3:]
        return CohereUpstream(end) if end in _VERSIONS else self

    def native(self, exchange: Exchange) -> bool:
        """Say whether the caller speaks as this upstream; the first API's chat is nobody else's call."""
        return super().native(exchange) or call_of(exchange.request.path) == "chat_v1"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        from llmproxy_cohere.passing import passed

        return passed(exchange, endpoint, body, self.version)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the provider's key."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON, as events, or as lines of the first API."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return None
        from llmproxy_cohere.taps import LineTap, StreamTap
        from llmproxy_cohere.usage import USAGE

        kind = reply.headers.index.get(b"content-type", b"")
        if reply.is_event_stream:
            return StreamTap()
        if kind.startswith(_LINES):
            return LineTap()
        if kind[:16] != b"application/json":
            return None
        if exchange.streamed and self.native(exchange) and call_of(exchange.request.path) == "chat_v1":
            return LineTap()
        return WholeTap(USAGE)

    def fetches(self, link: Link, kind: str) -> bool:
        """Have documents fetched: their text is sent; pictures are taken by their URL too."""
        return kind == "document"

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; nobody counts tokens of a conversation here."""
        from llmproxy.canonical import EmbedRequest, GenerateRequest, RerankRequest
        from llmproxy_cohere import embeddings, encoding, reranking

        model = endpoint.model or request.model
        if isinstance(request, GenerateRequest):
            target, body = "/v2/chat", encoding.encode_chat(request, model, losses)
        elif isinstance(request, EmbedRequest):
            target, body = "/v2/embed", embeddings.encode_embed(request, model, losses)
        elif isinstance(request, RerankRequest):
            target, body = "/v2/rerank", reranking.encode_rerank(request, model, losses)
        else:
            return None
        headers = carried_headers(exchange.request)
        headers.raw.append((b"Content-Type", b"application/json"))
        try:
            return UpstreamRequest("POST", target.removeprefix(self.version), headers, orjson.dumps(body))
        except orjson.JSONEncodeError:
            raise BadRequest("too_complex", "The request is nested too deeply to be written anew.") from None

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer of any kind."""
        from llmproxy_cohere import answers, embeddings, reranking

        told = orjson.loads(body)
        if type(told) is not dict:
            raise ValueError("an answer is an object")
        if "embeddings" in told:
            return embeddings.decode_vectors(told)
        if type(told.get("results")) is list:
            return reranking.decode_ranking(told)
        return answers.decode_answer(told)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder for a streamed answer."""
        if not reply.is_event_stream:
            return None
        from llmproxy_cohere.streams import ChatDecoder

        return ChatDecoder()
