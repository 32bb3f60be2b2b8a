"""The dialect's two faces.

They are loaded wherever models are served, and most gateways are never spoken to in this dialect: what a request needs
is imported with the first one.
"""

# ruff: noqa: PLC0415  # the imports inside the methods are the point

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmproxy.plugin import (
    Claim,
    Edit,
    Endpoint,
    Exchange,
    Form,
    GatewayError,
    KeyRules,
    Memory,
    MessageEdit,
    Reply,
    StreamDecoder,
    StreamEncoder,
    Tap,
    ToolNames,
    Untranslated,
    UntranslatedClient,
    UpstreamConfig,
    UpstreamFace,
    UpstreamRequest,
    WholeTap,
)
from llmproxy_ollama.paths import PATHS, call_of

if TYPE_CHECKING:
    from llmproxy.canonical import Answer, GenerateRequest, Link, Losses, ModelAnswer, ModelRequest


class OllamaClient(UntranslatedClient):
    """How callers speak it."""

    wire = "ollama"
    claims: Sequence[Claim] = tuple(map(Claim, PATHS))
    markers: Sequence[str] = ()

    @property
    def loss_names(self) -> Mapping[str, str]:
        """How callers name what canonical fields hold."""
        from llmproxy_ollama.names import LOSS_NAMES

        return LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be read before the request can be routed."""
        return exchange.request.method == "POST"

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted."""
        from llmproxy_ollama.reading import READER

        READER.read(exchange, body)

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        from llmproxy_ollama.keyrules import rules_of

        return rules_of(call_of(exchange.request.path)) if exchange.request.method == "POST" else None

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        from llmproxy_ollama.conversation import edits

        return edits(body, messages)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error."""
        from llmproxy_ollama import errors

        return errors.error_reply(error)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        from llmproxy_ollama import errors

        return errors.error_line(error)

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """List the models that may be used, or tell the version."""
        from llmproxy_ollama import listing

        return listing.listing(call_of(exchange.request.path), names)

    def answer_here(self, exchange: Exchange, body: bytes) -> Reply | None:
        """Answer a call that asks nothing of a model."""
        from llmproxy_ollama import calls

        return calls.answer_here(exchange, body)

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request."""
        from llmproxy_ollama import calls

        return calls.decode_call(exchange, body, losses)

    async def recall(self, exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
        """Put back the ids that calls had, so that what was signed with them is found."""
        from llmproxy_ollama import recalling

        return await recalling.recall(request, memory)

    async def remember(
        self, exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory
    ) -> None:
        """Keep the ids of calls with which something was signed."""
        from llmproxy_ollama import recalling

        await recalling.remember(request, answer, memory)

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        from llmproxy_ollama.retelling import form_of

        return form_of(exchange, reply)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept answer in another form."""
        from llmproxy_ollama.retelling import retell

        return retell(body, source, target)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        from llmproxy_ollama import calls

        return calls.encode_answer(exchange, answer)

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""
        from llmproxy_ollama import calls

        return calls.line_encoder(exchange)

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of lines of JSON."""
        return b"application/x-ndjson"


class OllamaUpstream(Untranslated):
    """How servers speak it; `prefix` is nothing where the base URL ends in `/api` itself."""

    wire = "ollama"
    calls: Mapping[str, str] = {"generate": "chat", "embed": "embed"}
    tool_names: ToolNames | None = None

    def __init__(self, prefix: str = "/api") -> None:
        self.prefix = prefix

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream."""
        mounted = urlsplit(config.base_url).path.rstrip("/").endswith("/api")
        return OllamaUpstream("" if mounted else "/api")

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        from llmproxy_ollama import passing

        return passing.encode(exchange, endpoint, body, prefix=self.prefix)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the key."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as lines of it."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return None
        if reply.is_line_stream:
            from llmproxy_ollama.taps import LineTap

            return LineTap()
        if reply.headers.index.get(b"content-type", b"")[:16] != b"application/json":
            return None
        from llmproxy_ollama.usage import USAGE

        return WholeTap(USAGE)

    def fetches(self, link: Link, kind: str) -> bool:
        """Have pictures fetched: Ollama takes their bytes alone, and nothing else."""
        return kind == "image"

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; nobody counts tokens here."""
        from llmproxy_ollama import calls

        return calls.encode_call(exchange, endpoint, request, losses, prefix=self.prefix)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer."""
        from llmproxy_ollama import calls

        return calls.decode_answer(body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder of lines."""
        if not reply.is_line_stream:
            return None
        from llmproxy_ollama.lines import LineDecoder

        return LineDecoder()
