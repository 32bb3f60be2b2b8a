"""The dialect's two faces.

What is translated is imported where it happens: a gateway that only passes on never loads it. Responses have a package
of their own, chat completions and embeddings another.
"""

# ruff: noqa: PLC0415  # the imports inside the methods are the point

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from llmproxy.plugin import (
    BadRequest,
    ByteFilter,
    Claim,
    Edit,
    Endpoint,
    Exchange,
    Form,
    GatewayError,
    KeyRules,
    Memory,
    MessageEdit,
    Quirks,
    Reply,
    StreamDecoder,
    StreamEncoder,
    Tap,
    ToolNames,
    Untranslated,
    UpstreamConfig,
    UpstreamFace,
    UpstreamRequest,
    WholeTap,
    wanted_model,
)
from llmproxy_openai import conversation, encoding, errors, late
from llmproxy_openai.azure import Azure, azure_of, deployment_of, fitting, hides_model, spoken_model
from llmproxy_openai.calls import EDITS, LOSS_NAMES, RERANK, edits_as_xai, is_responses, manner_of
from llmproxy_openai.filters import UsageEventFilter
from llmproxy_openai.keyrules import rules_of
from llmproxy_openai.reading import READER
from llmproxy_openai.retelling import form_of, retell
from llmproxy_openai.taps import StreamTap, answer_tap
from llmproxy_openai.usage import USAGE

if TYPE_CHECKING:
    from llmproxy.canonical import (
        Answer,
        GenerateRequest,
        Link,
        Losses,
        ModelAnswer,
        ModelRequest,
    )

#: In which call's form a provider answers that has no chat.
RESPONSES_CALLS: Final = {"generate": "responses", "embed": "embeddings"}
#: An unknown server.
_ANY: Final = Quirks()
#: How a signed token begins (RFC 7519), which is no API key.
_SIGNED: Final = "eyJ"
_BEGINS: Final = late.BEGINS


class OpenAIClient:
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
    loss_names: Mapping[str, str] = LOSS_NAMES
    # Other vendors' SDKs are made by the same generator and send x-stainless-* too, so those tell nothing.
    markers: Sequence[str] = ("openai-organization", "openai-project", "openai-beta")

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be read before the request can be routed."""
        return READER.needed(exchange.request)

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted; Azure's callers name it in the path, over all others."""
        READER.read(exchange, body)
        request = exchange.request
        if exchange.upgraded:
            exchange.model = spoken_model(request.path, request.query)
        elif "/deployments/" in request.path and (name := deployment_of(request.path)) is not None:
            exchange.model = name
        elif exchange.model is not None and hides_model(request.path):
            raise BadRequest(
                "unknown_path", "This path names a model in a way that is not served.", status=404
            )

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
        """Shape an error that ends a stream; one that is being translated knows where its grammar stands."""
        if is_responses(exchange.request.path) and exchange.attempts and exchange.attempts[-1].translated:
            from llmproxy_openai import responses

            told = responses.stream_error(exchange, error)
            if told is not None:
                return told
        return errors.error_event(error)

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """List the models that may be used, or describe one of them."""
        name = wanted_model(exchange.request.path)
        if name is None:
            return None
        if not name:
            return Reply.json({"object": "list", "data": [_model(name) for name in names]})
        if name not in names:
            message = f"The model {name[:200]!r} is not served here."
            return self.error(BadRequest("model_not_found", message, status=404))
        return Reply.json(_model(name))

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request of a call that can be translated; refuse others."""
        if is_responses(exchange.request.path):
            from llmproxy_openai import responses

            return responses.decode_request(exchange, body, losses)
        from llmproxy_openai.chat import client

        request = client.decode_request(exchange, body, losses)
        name = deployment_of(exchange.request.path)
        return request if name is None else replace(request, model=name)

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        return form_of(exchange, body, reply)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept answer in another form."""
        return retell(body, source, target)

    async def recall(self, exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
        """Put back the conversation that a Responses call refers to; a chat call brings all of it."""
        if is_responses(exchange.request.path):
            from llmproxy_openai import responses

            return await responses.recall(exchange, request, memory)
        return request

    async def remember(
        self, exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory
    ) -> None:
        """Keep what a later Responses call may refer to."""
        if is_responses(exchange.request.path):
            from llmproxy_openai import responses

            await responses.remember(exchange, request, answer, memory)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        if is_responses(exchange.request.path):
            from llmproxy_openai import responses

            return responses.encode_answer(exchange, answer)
        from llmproxy_openai.chat import client

        return client.encode_answer(exchange, answer)

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return what writes chat chunks, or Responses events."""
        if is_responses(exchange.request.path):
            from llmproxy_openai import responses

            return responses.stream_encoder(exchange)
        from llmproxy_openai.chat import client

        return client.stream_encoder(exchange)

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of server-sent events."""
        return b"text/event-stream; charset=utf-8"


class OpenAIUpstream(Untranslated):
    """How providers speak it; `quirks` are the ways of one of them, `rooted` one whose base URL has no path."""

    wire = "openai"
    calls: Mapping[str, str] = {"generate": "chat", "embed": "embeddings"}
    tool_names: ToolNames | None = ToolNames()

    def __init__(self, quirks: Quirks = _ANY, *, rooted: bool = True, azure: Azure | None = None) -> None:
        self.quirks = fitting(quirks, azure)
        self.rooted = rooted
        self.azure = azure

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face of one provider."""
        rooted = urlsplit(config.base_url).path in {"", "/"}
        return type(self)(config.quirks, rooted=rooted, azure=azure_of(config))

    def native(self, exchange: Exchange) -> bool:
        """Say whether the caller's bytes are such as this provider takes: not all of them have the Responses API."""
        face = exchange.client_face
        if face is None or face.wire != "openai":
            return face is None
        path = exchange.request.path
        if path.endswith(RERANK):
            return manner_of(exchange.body_at_hand or b"") == self.quirks.rerank
        if self.quirks.images == "url" and path.endswith(EDITS):
            return edits_as_xai(exchange.request, exchange.body_at_hand or b"")
        return self.quirks.responses or exchange.upgraded or not is_responses(path)

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request."""
        return encoding.encode(exchange, endpoint, body, self.quirks, rooted=self.rooted, azure=self.azure)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries the provider's key; a token of Azure's is a bearer's."""
        if self.azure is not None and not api_key.startswith(_SIGNED):
            return [(b"api-key", api_key.encode())]
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as events; what is fetched or said later.

        Other methods fetch answers whose usage was told when they were made.
        """
        request = exchange.request
        if request.method != "POST" or reply.status >= 300:
            return late.fetching_tap(exchange, reply)
        json = reply.headers.index.get(b"content-type", b"")[:16] == b"application/json"
        if json and request.path.endswith("/completions"):
            return WholeTap(USAGE)  # what nearly all answers are
        if request.path.endswith(_BEGINS) and (json or reply.is_event_stream):
            return late.beginning_tap(exchange, streamed=not json)
        return StreamTap() if reply.is_event_stream else answer_tap(exchange, json=json)

    def stream_filter(self, exchange: Exchange) -> ByteFilter | None:
        """Take back the usage event that the caller did not ask for."""
        return UsageEventFilter() if exchange.usage_added else None

    def fetches(self, link: Link, kind: str) -> bool:
        """Have files and recordings fetched: a chat message takes their bytes alone, of pictures the URL too."""
        return kind in {"document", "audio"}

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a chat completion's request, or one for embeddings; nobody counts tokens here."""
        from llmproxy_openai.chat import upstream

        wire = upstream.encode_request(exchange, endpoint, request, losses, self.quirks)
        if self.azure is not None and wire is not None:
            wire.target = self.azure.target(wire.target, endpoint.model or request.model)
        return wire

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a chat completion, embeddings, pictures or sound."""
        from llmproxy_openai.chat import upstream

        return upstream.decode_answer(exchange, reply, body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return what reads chat chunks."""
        if not reply.is_event_stream:
            return None
        from llmproxy_openai.chat.chunks import ChunkDecoder

        return ChunkDecoder()


class ResponsesUpstream(OpenAIUpstream):
    """How providers speak the Responses API alone: what is registered, and gone once an upstream is known."""

    calls = RESPONSES_CALLS

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face of one provider."""
        return self._face().for_upstream(config)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a kept response, whoever gave it."""
        return self._face().decode_answer(exchange, reply, body)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Read a kept stream likewise."""
        return self._face().stream_decoder(exchange, reply)

    def _face(self) -> OpenAIUpstream:
        from llmproxy_openai.responses.upstream import ResponsesUpstream as Face

        return Face()


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "llmproxy"}
