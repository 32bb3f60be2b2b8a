"""The dialect's two faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmproxy.plugin import (
    ByteFilter,
    Edit,
    Endpoint,
    Exchange,
    GatewayError,
    MessageEdit,
    Reply,
    StreamDecoder,
    StreamEncoder,
    Tap,
    UpstreamRequest,
)
from llmproxy_openai import conversation, encoding, errors, reading
from llmproxy_openai.filters import UsageEventFilter
from llmproxy_openai.taps import JsonTap, StreamTap


class OpenAIClient:
    """How callers speak it."""

    wire = "openai"
    paths: Sequence[str] = ("/v1/", "/openai/")
    # Other vendors' SDKs are made by the same generator and send x-stainless-* too, so those tell nothing.
    markers: Sequence[str] = ("openai-organization", "openai-project", "openai-beta")

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be read before the request can be routed."""
        return reading.reads_body(exchange.request)

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted."""
        reading.read(exchange, body)

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        return conversation.edits(body, messages)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error."""
        return errors.error_reply(error)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        return errors.error_event(error)

    def models(self, names: Sequence[str]) -> Reply:
        """List the models that may be used."""
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "llmproxy"} for name in names]
        return Reply.json({"object": "list", "data": models})

    def encode_reply(self, exchange: Exchange, items: Sequence[Any]) -> Reply:
        """Refuse: this version passes on, it does not translate."""
        raise _no_translation()

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Refuse likewise."""
        raise _no_translation()


class OpenAIUpstream:
    """How providers speak it."""

    wire = "openai"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        return encoding.encode(exchange, endpoint, body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the provider's key."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as events.

        Other methods fetch answers whose usage was told when they were made.
        """
        if exchange.request.method != "POST" or reply.status >= 300:
            return None
        kind = reply.headers.index.get(b"content-type", b"")
        if kind[:16] == b"application/json":
            return JsonTap()
        return StreamTap() if reply.is_event_stream else None

    def stream_filter(self, exchange: Exchange) -> ByteFilter | None:
        """Take back the usage event that the caller did not ask for."""
        return UsageEventFilter() if exchange.usage_added else None

    def decode_reply(self, exchange: Exchange, reply: Reply, body: bytes) -> Sequence[Any]:
        """Refuse: this version passes on, it does not translate."""
        raise _no_translation()

    def stream_decoder(self, exchange: Exchange) -> StreamDecoder:
        """Refuse likewise."""
        raise _no_translation()


def _no_translation() -> GatewayError:
    message = (
        "This route's callers and its upstream speak different dialects, and the answer cannot be translated."
    )
    return GatewayError(501, "no_translation", message)
