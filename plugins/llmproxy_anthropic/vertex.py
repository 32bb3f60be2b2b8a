"""The dialect as Vertex AI has it (`anthropic-vertex`): callers with AnthropicVertex, upstreams that are Vertex.

Answers are Anthropic's own to the byte, so that only the envelope of a request differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    Claim,
    Endpoint,
    Exchange,
    Form,
    Reply,
    UpstreamConfig,
    UpstreamFace,
    UpstreamRequest,
    passed_headers,
)
from llmproxy_anthropic import passing
from llmproxy_anthropic.clouds import VERTEX_CLAIMS
from llmproxy_anthropic.envelopes import (
    VERTEX_VERSION,
    found,
    into_vertex,
    out_of_vertex,
    vertex_call,
    vertex_counter,
    vertex_target,
    written,
)
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_anthropic.reading import COUNT, READER

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelRequest

_PUBLISHER: Final = "/publishers/anthropic"


class VertexClient(AnthropicClient):
    """How callers speak it to Vertex."""

    claims: Sequence[Claim] = VERTEX_CLAIMS
    markers: Sequence[str] = ()

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be here before the request can be routed: where a model is called."""
        return exchange.request.method == "POST"

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted, from the path; a count's model from the body."""
        call = vertex_call(exchange.request.path) if exchange.request.method == "POST" else None
        if call is not None and call.counts:
            READER.read(exchange, body)
            exchange.streamed = False
        else:
            exchange.model = None if call is None else call.model
            exchange.streamed = call is not None and call.streamed

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        call = vertex_call(exchange.request.path) if exchange.request.method == "POST" else None
        kind = "" if call is None else "count" if call.counts else "messages"
        return Form(self.wire, kind, exchange.streamed if reply is None else reply.is_event_stream)

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request."""
        from llmproxy_anthropic.decoding import decode_wrapped  # noqa: PLC0415  # few translate

        call = found(vertex_call(exchange.request.path))
        return self.estimated(exchange, decode_wrapped(call, body, losses))


class VertexUpstream(AnthropicUpstream):
    """How Vertex speaks it."""

    def __init__(self, prefix: str = _PUBLISHER) -> None:
        super().__init__(bearer=True)
        self._prefix = prefix

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream, whose base URL may name the publisher."""
        return VertexUpstream("" if "/publishers/" in config.base_url else _PUBLISHER)

    def native(self, exchange: Exchange) -> bool:
        """Whether the caller's request is a message's, or a count of its tokens, in either envelope."""
        if not super().native(exchange) or exchange.request.method != "POST":
            return False
        path = exchange.request.path
        return vertex_call(path) is not None or path.rstrip("/").endswith(passing.MESSAGES)

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request; from one Vertex to another the body is the very same object."""
        headers = passed_headers(exchange)
        model = endpoint.model or exchange.model or ""
        call = vertex_call(exchange.request.path)
        counts = exchange.request.path.endswith(COUNT) if call is None else call.counts
        if counts:
            body = passing.renamed(exchange, endpoint, body)
            target = vertex_counter(self._prefix)
        else:
            kept = call is not None and model == call.model
            segment = call.segment if call is not None and kept else written(model)
            target = vertex_target(segment, streamed=exchange.streamed, prefix=self._prefix)
            if call is None:
                body = into_vertex(body, headers)
        return UpstreamRequest("POST", target, headers, body)

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; there are no embeddings."""
        from llmproxy.canonical import CountRequest, GenerateRequest  # noqa: PLC0415  # few translate
        from llmproxy_anthropic.encoding import wrap_request  # noqa: PLC0415  # likewise

        if not isinstance(request, CountRequest | GenerateRequest):
            return None
        model = endpoint.model or request.model
        if isinstance(request, CountRequest):
            return wrap_request(exchange.request, model, request, losses, vertex_counter(self._prefix))
        target = vertex_target(written(model), streamed=request.streamed, prefix=self._prefix)
        put = {"anthropic_version": VERTEX_VERSION}
        return wrap_request(exchange.request, model, request, losses, target, drop=("model",), put=put)


def unwrapped(exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
    """Return a request that came in Vertex's envelope in Anthropic's own."""
    call = found(vertex_call(exchange.request.path))
    headers = passed_headers(exchange)
    body = passing.renamed(exchange, endpoint, body) if call.counts else body
    model = None if call.counts else endpoint.model or call.model
    body = out_of_vertex(body, headers, model, streamed=call.streamed)
    return UpstreamRequest("POST", "/messages/count_tokens" if call.counts else "/messages", headers, body)
