"""How providers speak it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmproxy.plugin import (
    CountingTap,
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
)
from llmproxy_gemini import passing
from llmproxy_gemini.late import beginning_tap, fetching_tap
from llmproxy_gemini.made import MADE
from llmproxy_gemini.paths import BATCHES, interacts, streams_events
from llmproxy_gemini.taps import StreamTap
from llmproxy_gemini.uploads import keep_here, tells_address
from llmproxy_gemini.usage import PREDICTED, USAGE

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest

#: The hosts of Vertex, and of its regions of several countries.
_VERTEX: Final = tuple(f"aiplatform{region}.googleapis.com" for region in ("", ".us.rep", ".eu.rep"))
# What a key looks like that is an OAuth access token or a signed assertion and not an API key.
_TOKENS: Final = ("ya29.", "eyJ")
_BEGINS: Final = tuple(f":{verb}" for verb in sorted(BATCHES))


def _predicts(exchange: Exchange) -> bool:
    made = exchange.state.get(MADE)
    return exchange.request.path.endswith(":predict") if made is None else made.kind == "predict"


class GeminiUpstream(Untranslated):
    """How providers speak it: the Gemini API, or Vertex if `vertex`.

    `publisher` is what Vertex wants before a model's name, where the base URL does not end in it.
    """

    wire = "gemini"
    calls: Mapping[str, str] = {"generate": "generate", "count": "count"}
    tool_names: ToolNames | None = ToolNames(signs="-.:", longest=128, letter_first=True)

    def __init__(self, *, vertex: bool = False, publisher: str = "", base: str = "") -> None:
        self.vertex = vertex
        self.publisher = publisher
        self.base = base

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream: Vertex is told by its host."""
        url = urlsplit(config.base_url)
        if not (url.hostname or "").endswith(_VERTEX):
            return GeminiUpstream(base=url.path)
        publisher = "" if "/publishers/" in url.path else "publishers/google/"
        return GeminiUpstream(vertex=True, publisher=publisher, base=url.path)

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        return passing.encode(exchange, endpoint, body, publisher=self.publisher, base=self.base)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the provider's key."""
        if api_key.startswith(_TOKENS):
            return [(b"Authorization", b"Bearer " + api_key.encode())]
        return [(b"x-goog-api-key", api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST; what is fetched or said later."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return fetching_tap(exchange, reply)
        if interacts(exchange.request):
            from llmproxy_gemini.interactions import interaction_tap  # noqa: PLC0415  # few callers interact

            return interaction_tap(reply)
        if reply.is_event_stream:
            return StreamTap()
        json = reply.headers.index.get(b"content-type", b"")[:16] == b"application/json"
        return self._object_tap(exchange) if json else None

    def _object_tap(self, exchange: Exchange) -> Tap:
        """Read an answer in JSON."""
        if exchange.request.path.endswith(_BEGINS):
            return beginning_tap(exchange)
        as_array = exchange.streamed and self.native(exchange)
        as_array = as_array and not streams_events(exchange.request.query)
        if as_array:
            return StreamTap(array=True)
        tap = CountingTap(PREDICTED, "bytesBase64Encoded", "gcsUri") if _predicts(exchange) else None
        return tap or WholeTap(PREDICTED if self.vertex else USAGE)

    def readdress(self, exchange: Exchange, reply: Reply) -> Awaitable[None] | None:
        """Have a file whose upload is begun sent through here as well, wherever the answer says."""
        return keep_here(exchange, reply) if tells_address(reply) else None

    def fetches(self, link: Link, kind: str) -> bool:
        """Have what is behind plain http fetched: Google takes https, `gs:` and its own files, as was recorded.

        What another picture is made from goes as bytes, which all models take.
        """
        return link.url[:5].lower() == "http:" or (kind == "reference" and link.url[:6].lower() == "https:")

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request."""
        from llmproxy_gemini.calls import encode_call  # noqa: PLC0415  # few gateways translate

        return encode_call(exchange, endpoint, request, losses, vertex=self.vertex, publisher=self.publisher)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer."""
        from llmproxy_gemini.calls import decode_answer  # noqa: PLC0415  # few gateways translate

        return decode_answer(body, exchange.state.get(MADE))

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder of events; a JSON array is read as a whole."""
        if not reply.is_event_stream:
            return None
        from llmproxy_gemini.streams import ChunkDecoder  # noqa: PLC0415  # few gateways translate

        return ChunkDecoder()
