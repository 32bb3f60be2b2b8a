"""How providers speak the Responses API, for callers of every dialect."""

# ruff: noqa: PLC0415  # the imports inside the methods are the point: who only passes on never loads them

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import (
    Endpoint,
    Exchange,
    Reply,
    StateKey,
    StreamDecoder,
    UpstreamRequest,
    carried_headers,
)
from llmproxy_openai.faces import RESPONSES_CALLS, OpenAIUpstream

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest

#: The call of OpenAI's callers that is put into a response's words.
_TRANSLATED = "/chat/completions"

#: Vectors were asked for, by a caller of another dialect.
_EMBEDS = StateKey[bool]("openai.embeds")


class ResponsesUpstream(OpenAIUpstream):
    """How providers speak it; on the raw path as all of OpenAI's."""

    calls = RESPONSES_CALLS

    def native(self, exchange: Exchange) -> bool:
        """Say whether the caller's bytes pass: any of OpenAI's calls but those that this API does in other words."""
        face = exchange.client_face
        if face is None or face.wire != self.wire:
            return face is None
        return exchange.upgraded or not exchange.request.path.rstrip("/").endswith(_TRANSLATED)

    def fetches(self, link: Link, kind: str) -> bool:
        """Have recordings fetched; pictures and files go by their URL."""
        return kind == "audio"

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a request for a response; vectors are asked for as everywhere, counts are not asked for."""
        from llmproxy.canonical import CountRequest, GenerateRequest
        from llmproxy_openai.responses.request_writer import write_request

        if isinstance(request, CountRequest):
            return None
        if not isinstance(request, GenerateRequest):
            exchange.state[_EMBEDS] = True
            return super().encode_request(exchange, endpoint, request, losses)
        body = write_request(request, endpoint.model or request.model, losses, self.quirks)
        headers = carried_headers(exchange.request)
        headers.raw.append((b"Content-Type", b"application/json"))
        target = "/responses" if self.azure is None else self.azure.target("/responses", None)
        return UpstreamRequest("POST", target, headers, body)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole response, or vectors."""
        if exchange.state.get(_EMBEDS):
            return super().decode_answer(exchange, reply, body)
        from llmproxy_openai.responses.answer_reader import read_answer

        return read_answer(body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return what reads a streamed response."""
        if not reply.is_event_stream:
            return None
        from llmproxy_openai.responses.stream_reader import ResponsesDecoder

        return ResponsesDecoder()
