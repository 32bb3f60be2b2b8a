"""The dialect's two faces. What translates is imported with the first request that needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmproxy.plugin import (
    Claim,
    Edit,
    Endpoint,
    Exchange,
    Form,
    GatewayError,
    KeyRules,
    MessageEdit,
    Reply,
    StateKey,
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
from llmproxy_anthropic import addresses, conversation, errors, late, listing, passing
from llmproxy_anthropic.keyrules import rules_of
from llmproxy_anthropic.names import LOSS_NAMES
from llmproxy_anthropic.reading import READER
from llmproxy_anthropic.taps import StreamTap
from llmproxy_anthropic.usage import USAGE

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest

_VERSION: Final = "anthropic-version"
_VERTEX_HOSTS: Final = (
    "aiplatform.googleapis.com",
    "aiplatform.us.rep.googleapis.com",
    "aiplatform.eu.rep.googleapis.com",
)
#: What the calls are called whose answers have other forms, by the end of their path.
_CALLS: Final = {"messages": "messages", "count_tokens": "count"}
#: Input tokens of a request that was translated, estimated for the first event of a stream.
_ESTIMATE: Final = StateKey[int]("anthropic.estimate")


class AnthropicClient(UntranslatedClient):
    """How callers speak it."""

    wire = "anthropic"
    claims: Sequence[Claim] = (
        Claim("/v1/messages"),
        Claim("/v1/messages/*"),
        Claim("/anthropic/*"),
        Claim("/v1/models", _VERSION),
        Claim("/v1/models/*", _VERSION),
        Claim("/v1/*", _VERSION),
    )
    markers: Sequence[str] = (_VERSION, "anthropic-beta")
    loss_names: Mapping[str, str] = LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be read before the request can be routed."""
        return READER.needed(exchange.request)

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted."""
        READER.read(exchange, body)

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        return rules_of(exchange.request.path) if exchange.request.method == "POST" else None

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
        return listing.models_reply(exchange.request, names)

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request."""
        from llmproxy_anthropic.decoding import decode_request  # noqa: PLC0415  # few translate

        return self.estimated(exchange, decode_request(exchange.request, body, losses))

    def estimated(self, exchange: Exchange, request: ModelRequest) -> ModelRequest:
        """Return the request; a stream's first event will say how many tokens it has, estimated."""
        from llmproxy_anthropic.decoding import estimate  # noqa: PLC0415  # few translate

        if exchange.streamed:
            exchange.state[_ESTIMATE] = estimate(request)
        return request

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        request = exchange.request
        call = "" if request.method != "POST" else _CALLS.get(request.path.rpartition("/")[2], "")
        return Form(self.wire, call, exchange.streamed if reply is None else reply.is_event_stream)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept message in another form."""
        from llmproxy_anthropic.retelling import retell  # noqa: PLC0415  # few answers are told twice

        return retell(body, source, target)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        from llmproxy_anthropic.answers import encode_answer  # noqa: PLC0415  # likewise

        return Reply.json(encode_answer(answer, exchange.model or "", exchange.id))

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""
        from llmproxy_anthropic.telling import MessageEncoder  # noqa: PLC0415  # likewise

        return MessageEncoder(exchange.model or "", exchange.id, exchange.state.get(_ESTIMATE) or 0)


class AnthropicUpstream(Untranslated):
    """How providers speak it."""

    wire = "anthropic"
    calls: Mapping[str, str] = {"generate": "messages", "count": "count"}
    tool_names: ToolNames | None = ToolNames(longest=128)

    def __init__(self, *, bearer: bool = False) -> None:
        self._bearer = bearer

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream: Vertex is told by its host, and Bedrock, whose keys are bearers'."""
        host = urlsplit(config.base_url).hostname or ""
        if host.startswith("bedrock-mantle."):
            return AnthropicUpstream(bearer=True)
        if not host.endswith(_VERTEX_HOSTS):
            return self
        from llmproxy_anthropic.vertex import VertexUpstream  # noqa: PLC0415  # few are

        return VertexUpstream().for_upstream(config)

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        return passing.passed(exchange, endpoint, body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the provider's key; an OAuth token is a bearer's."""
        key = api_key.encode()
        if self._bearer or key.startswith(b"sk-ant-oat"):
            return [(b"Authorization", b"Bearer " + key)]
        return [(b"x-api-key", key)]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as events; the results of a batch."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return late.fetching_tap(exchange, reply)
        if exchange.request.path.endswith(late.BEGINS):
            return late.beginning_tap(exchange)
        kind = reply.headers.index.get(b"content-type", b"")
        if kind[:16] == b"application/json":
            return WholeTap(USAGE)
        return StreamTap() if reply.is_event_stream else None

    def readdress(self, exchange: Exchange, reply: Reply) -> None:
        """Have the results of batches fetched through here, wherever their objects say."""
        if "/batches" in exchange.request.path and reply.status == 200:
            addresses.readdress(exchange, reply)

    def fetches(self, link: Link, kind: str) -> bool:
        """Have what is behind plain http fetched: Anthropic answers 400 to URLs other than https."""
        return link.url[:5].lower() == "http:"

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; there are no embeddings."""
        from llmproxy_anthropic.encoding import encode_request  # noqa: PLC0415  # likewise

        return encode_request(exchange.request, endpoint.model or request.model, request, losses)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer."""
        from llmproxy_anthropic.answers import decode_answer  # noqa: PLC0415  # likewise

        return decode_answer(body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder for a streamed answer."""
        if not reply.is_event_stream:
            return None
        from llmproxy_anthropic.streams import MessageDecoder  # noqa: PLC0415  # likewise

        return MessageDecoder()
