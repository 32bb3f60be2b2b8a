"""A wire dialect of our own: `{"model": ..., "ask": ...}`, errors as `{"atlas_error": ...}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmproxy.plugin import (
    BadRequest,
    Edit,
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    JsonFault,
    MessageEdit,
    Reply,
    Tap,
    UpstreamRequest,
    Usage,
    patch,
    scan,
)


class AtlasTap:
    """Counts an answer's bytes as its tokens."""

    def __init__(self) -> None:
        self.first_output = self.terminal = False
        self.usage: Usage | None = None
        self._size = 0

    def feed(self, data: bytes) -> None:
        self.first_output = True
        self._size += len(data)

    def end(self) -> None:
        self.terminal = True
        self.usage = Usage(output=self._size)

    def fail(self, error: BaseException) -> None:
        self.terminal = False


class AtlasClient:
    wire = "atlas"
    paths = ("/atlas/",)
    markers = ("x-atlas-sdk",)

    def reads_body(self, exchange: Exchange) -> bool:
        return exchange.request.method == "POST"

    def open(self, exchange: Exchange, body: bytes) -> None:
        try:
            members = exchange.members = scan(body, frozenset({"model"}))
        except JsonFault as fault:
            raise BadRequest("atlas_json", str(fault)) from None
        if "model" in members:
            member = members["model"]
            exchange.model = body[member.value_start : member.value_end].decode().strip('"')

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        raise BadRequest("no_conversation", "There is no conversation in an atlas request.")

    def error(self, error: GatewayError) -> Reply:
        return Reply.json({"atlas_error": error.code}, error.status)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        return b"data: error\n\n"

    def models(self, names: Sequence[str]) -> Reply:
        return Reply.json(list(names))

    def encode_reply(self, exchange: Exchange, items: Sequence[Any]) -> Reply:
        raise GatewayError(501, "no_translation", "Atlas is not translated.")

    def stream_encoder(self, exchange: Exchange) -> Any:
        raise GatewayError(501, "no_translation", "Atlas is not translated.")


class AtlasUpstream:
    wire = "atlas"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        member = exchange.members.get("model")
        if member is not None and endpoint.model is not None:
            body = patch(body, [(member.value_start, member.value_end, b'"%b"' % endpoint.model.encode())])
        headers = Headers.of({"Content-Type": "application/json"})
        return UpstreamRequest(exchange.request.method, exchange.request.target, headers, body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        return [(b"x-atlas-key", api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        return AtlasTap()

    def stream_filter(self, exchange: Exchange) -> None:
        return None

    def decode_reply(self, exchange: Exchange, reply: Reply, body: bytes) -> Sequence[Any]:
        raise GatewayError(501, "no_translation", "Atlas is not translated.")

    def stream_decoder(self, exchange: Exchange) -> Any:
        raise GatewayError(501, "no_translation", "Atlas is not translated.")
