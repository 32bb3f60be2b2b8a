"""The dialect as Bedrock's native invocation has it (`anthropic-bedrock`): callers with AnthropicBedrock, and upstreams.

On the wire it is Bedrock's own: from such a caller to an upstream of the dialect `bedrock` bytes pass as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from llmproxy.plugin import (
    Claim,
    Edit,
    Endpoint,
    EventStreamMessage,
    Exchange,
    GatewayError,
    KeyRules,
    MessageEdit,
    Reply,
    StreamDecoder,
    StreamEncoder,
    Tap,
    ToolNames,
    Untranslated,
    UntranslatedClient,
    UpstreamRequest,
    WholeTap,
    error_of,
    passed_headers,
    retry_fields,
)
from llmproxy_anthropic import conversation
from llmproxy_anthropic.clouds import BEDROCK_CLAIMS
from llmproxy_anthropic.envelopes import BEDROCK_VERSION, bedrock_call, bedrock_target, found, written
from llmproxy_anthropic.frames import STREAM, FrameTap, exception_frame
from llmproxy_anthropic.invoking import INVOKED
from llmproxy_anthropic.names import LOSS_NAMES
from llmproxy_anthropic.usage import USAGE

if TYPE_CHECKING:
    from llmproxy.canonical import Link, Losses, ModelAnswer, ModelRequest

_ERROR_TYPE: Final = b"x-amzn-errortype"
_SIGNED: Final = (b"x-amz-", b"amz-sdk-")
_WORDS: Final = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}


class InvokeClient(UntranslatedClient):
    """How callers speak it; paths of models by other names than Claude's are the dialect bedrock's."""

    wire = "bedrock"
    claims: Sequence[Claim] = BEDROCK_CLAIMS
    markers: Sequence[str] = ()
    loss_names: Mapping[str, str] = LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be here before the request can be routed: where a model is called."""
        return exchange.request.method == "POST"

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted, both from the path."""
        call = bedrock_call(exchange.request.path) if exchange.request.method == "POST" else None
        exchange.model = None if call is None else call.model
        exchange.streamed = call is not None and call.streamed

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        return INVOKED if exchange.request.method == "POST" else None

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        return conversation.edits(body, messages)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error as Bedrock does."""
        headers = retry_fields(error)
        headers.update({name.lower(): value for name, value in error.headers})
        headers[_ERROR_TYPE.decode()] = _word(error)
        return Reply.json({"message": error.message}, error.status, headers)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        word = _word(error)
        return exception_frame(word[:1].lower() + word[1:], error.message)

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """Leave it: models are listed by another API of Amazon's."""
        return None

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request."""
        from llmproxy_anthropic.decoding import decode_wrapped  # noqa: PLC0415  # few translate

        call = found(bedrock_call(exchange.request.path))
        return decode_wrapped(call, body, losses)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        from llmproxy_anthropic.answers import encode_answer  # noqa: PLC0415  # likewise

        told = encode_answer(answer, exchange.model or "", exchange.id)
        return Reply.json(told, headers={"x-amzn-requestid": exchange.id})

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""
        from llmproxy_anthropic.frames import FrameEncoder  # noqa: PLC0415  # likewise
        from llmproxy_anthropic.telling import MessageEncoder  # noqa: PLC0415  # likewise

        return FrameEncoder(MessageEncoder(exchange.model or "", exchange.id, 0))

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of a streamed answer."""
        return STREAM


class InvokeUpstream(Untranslated):
    """How Bedrock speaks it."""

    wire = "bedrock"
    calls: Mapping[str, str] = {}
    tool_names: ToolNames | None = ToolNames(longest=128)

    def native(self, exchange: Exchange) -> bool:
        """Whether the caller invokes a model natively."""
        return super().native(exchange) and bedrock_call(exchange.request.path) is not None

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header field that carries an API key of Bedrock's; signatures are an authorizer's."""
        return [(b"Authorization", b"Bearer " + api_key.encode())]

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request with the very same body; of a caller's signature nothing goes on."""
        call = found(bedrock_call(exchange.request.path))
        changed = endpoint.model is not None and endpoint.model != exchange.model
        segment = written(endpoint.model or "", ":") if changed else call.segment
        headers = passed_headers(exchange)
        for name in [name for name in headers.index if name.startswith(_SIGNED)]:
            headers.remove(name)
        return UpstreamRequest("POST", bedrock_target(segment, streamed=call.streamed), headers, body)

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Read what may tell usage: a good answer to a POST, as JSON or as frames."""
        if exchange.request.method != "POST" or reply.status >= 300:
            return None
        kind = reply.headers.index.get(b"content-type", b"")
        if kind[:16] == b"application/json":
            return WholeTap(USAGE)
        return FrameTap() if kind[: len(STREAM)] == STREAM else None

    def fetches(self, link: Link, kind: str) -> bool:
        """Have what is behind a link fetched: Bedrock takes bytes."""
        return True

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; tokens are counted, and texts embedded, by other calls."""
        from llmproxy.canonical import GenerateRequest  # noqa: PLC0415  # few translate
        from llmproxy_anthropic.encoding import wrap_request  # noqa: PLC0415  # likewise

        if not isinstance(request, GenerateRequest):
            return None
        model = endpoint.model or request.model
        target = bedrock_target(written(model, ":"), streamed=request.streamed)
        put = {"anthropic_version": BEDROCK_VERSION}
        drop = ("model", "stream")
        return wrap_request(exchange.request, model, request, losses, target, drop=drop, put=put)

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer."""
        from llmproxy_anthropic.answers import decode_answer  # noqa: PLC0415  # likewise

        return decode_answer(body)

    def decode_error(self, exchange: Exchange, reply: Reply, body: bytes) -> GatewayError:
        """Read the answer of a failed call, by the name in its head."""
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            return super().decode_error(exchange, reply, body)
        word = (
            reply.headers.index.get(_ERROR_TYPE, b"").decode("latin-1").partition(":")[0].rpartition("#")[2]
        )
        named = {**told, "__type": word} if word and isinstance(told, dict) else told
        return error_of(named, reply.status, reply.headers)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder for a streamed answer."""
        if reply.headers.index.get(b"content-type", b"")[: len(STREAM)] != STREAM:
            return None
        from llmproxy_anthropic.frames import FrameDecoder  # noqa: PLC0415  # likewise
        from llmproxy_anthropic.streams import MessageDecoder  # noqa: PLC0415  # likewise

        return FrameDecoder(MessageDecoder(), read_exception)


def read_exception(message: EventStreamMessage) -> GatewayError:
    """Read what ends a stream: an exception that Bedrock documents, or an error that it does not."""
    word = message.exception_type or message.text(":error-code")
    try:
        told = message.json() if message.payload else {}
    except ValueError:
        told = {"message": message.payload.decode("utf-8", "replace")}
    text = told.get("message") if isinstance(told, dict) else None
    return error_of({"type": word, "message": text or message.text(":error-message") or word})


def _word(error: GatewayError) -> str:
    fallback = "InternalServerException" if error.status >= 500 else "ValidationException"
    return _WORDS.get(error.status, fallback)
