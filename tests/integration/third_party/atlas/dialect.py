"""A wire dialect of our own: `{"model": ..., "ask": ...}`, errors as `{"atlas_error": ...}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmproxy.plugin import (
    BadRequest,
    Claim,
    Edit,
    Endpoint,
    Exchange,
    GatewayError,
    Headers,
    JsonFault,
    MessageEdit,
    Reply,
    Tap,
    Untranslated,
    UntranslatedClient,
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


class AtlasClient(UntranslatedClient):
    wire = "atlas"
    claims = (Claim("/atlas/*"),)
    loss_names: Mapping[str, str] = {}
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

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        return None if not exchange.request.path.endswith("/models") else Reply.json(list(names))


class AtlasUpstream(Untranslated):
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
