"""How Amazon speaks it. What translates is imported with the first request that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmproxy.plugin import (
    Endpoint,
    Exchange,
    GatewayError,
    Reply,
    StreamDecoder,
    Tap,
    ToolNames,
    Untranslated,
    UpstreamRequest,
    WholeTap,
)
from llmproxy_bedrock import errors, passing
from llmproxy_bedrock.paths import call_of
from llmproxy_bedrock.taps import StreamTap
from llmproxy_bedrock.usage import USAGE, InvokedUsage

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest


class BedrockUpstream(Untranslated):
    """How Amazon speaks it."""

    wire = "bedrock"
    calls: Mapping[str, str] = {"generate": "converse", "count": "count"}
    tool_names: ToolNames | None = ToolNames()

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        return passing.passed(exchange, endpoint, body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries an API key of Bedrock's; signatures are an authorizer's."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as frames."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return None
        if reply.is_frame_stream:
            return StreamTap()
        if reply.headers.index.get(b"content-type", b"")[:16] != b"application/json":
            return None
        call = call_of(exchange.request.path) if self.native(exchange) else None
        invoked = call is not None and call.action == "invoke"
        return WholeTap(InvokedUsage(reply.headers) if invoked else USAGE)

    def fetches(self, link: Link, kind: str) -> bool:
        """Have what is behind a link fetched: Amazon takes bytes, and its own buckets."""
        return link.url[:5].lower() != "s3://"

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; Converse makes no embeddings."""
        from llmproxy_bedrock.encoding import encode_request  # noqa: PLC0415  # few gateways translate

        return encode_request(exchange.request, endpoint.model or request.model, request, losses)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer."""
        from llmproxy_bedrock.answers import decode_answer  # noqa: PLC0415  # likewise

        return decode_answer(body)

    def decode_error(self, exchange: Exchange, reply: Reply, body: bytes) -> GatewayError:
        """Read the answer of a failed call."""
        return errors.read_refusal(reply.status, body, reply.headers)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder for a streamed answer."""
        if not reply.is_frame_stream:
            return None
        from llmproxy_bedrock.streams import ConverseDecoder  # noqa: PLC0415  # likewise

        return ConverseDecoder()
