"""The dialect's two faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from llmproxy.plugin import (
    BadRequest,
    ByteFilter,
    Claim,
    Edit,
    Endpoint,
    Exchange,
    GatewayError,
    MessageEdit,
    Reply,
    Tap,
    Untranslated,
    UntranslatedClient,
    UpstreamRequest,
)
from llmproxy_openai import conversation, encoding, errors, reading
from llmproxy_openai.filters import UsageEventFilter
from llmproxy_openai.taps import JsonTap, StreamTap


class OpenAIClient(UntranslatedClient):
    """How callers speak it."""

    wire = "openai"
    claims: Sequence[Claim] = (
        Claim("/v1/*"),
        Claim("/openai/*"),
        Claim("/chat/completions"),
        Claim("/completions"),
        Claim("/responses"),
        Claim("/embeddings"),
    )
    loss_names: Mapping[str, str] = {}
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

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """List the models that may be used, or describe one of them."""
        _, found, rest = exchange.request.path.rstrip("/").rpartition("/models")
        if not found:
            return None
        if not rest:
            return Reply.json({"object": "list", "data": [_model(name) for name in names]})
        name = unquote(rest[1:])
        if name not in names:
            message = f"The model {name[:200]!r} is not served here."
            return self.error(BadRequest("model_not_found", message, status=404))
        return Reply.json(_model(name))


class OpenAIUpstream(Untranslated):
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


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "llmproxy"}
