"""How callers speak it: AWS's SDKs, whose endpoint is this gateway. What translates is imported when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    BadField,
    Claim,
    Edit,
    Exchange,
    Form,
    GatewayError,
    KeyRules,
    MessageEdit,
    Reply,
    StreamEncoder,
    UntranslatedClient,
    no_translation,
)
from llmproxy_bedrock import errors
from llmproxy_bedrock.frames import STREAM
from llmproxy_bedrock.keyrules import rules_of
from llmproxy_bedrock.names import LOSS_NAMES
from llmproxy_bedrock.paths import ACTIONS, STREAMED, call_of

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelAnswer, ModelRequest

#: What the calls are called whose answers have forms.
_CALLS: Final = {"converse": "converse", "converse-stream": "converse", "count-tokens": "count"}


class BedrockClient(UntranslatedClient):
    """How callers speak it."""

    wire = "bedrock"
    claims: Sequence[Claim] = (
        *(Claim(f"/model/*/{action}") for action in sorted(ACTIONS)),
        Claim("/guardrail/*"),
        Claim("/guardrail-checks/*"),
        Claim("/async-invoke*"),
    )
    markers: Sequence[str] = ("amz-sdk-invocation-id",)
    loss_names: Mapping[str, str] = LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be here before the request can be routed: where a model is called."""
        return exchange.request.method == "POST" and call_of(exchange.request.path) is not None

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted, both from the path."""
        call = call_of(exchange.request.path) if exchange.request.method == "POST" else None
        exchange.model = None if call is None else call.model
        exchange.streamed = call is not None and call.action in STREAMED

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        return rules_of(exchange.request.path) if exchange.request.method == "POST" else None

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        from llmproxy_bedrock.conversation import edits  # noqa: PLC0415  # few gateways edit

        return edits(body, messages)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error."""
        return errors.error_reply(error)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        return errors.error_frame(error)

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """Leave it: models are listed by another API of Amazon's."""
        return None

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request; a body in one model's own words cannot be read."""
        from llmproxy_bedrock.counting import read_count  # noqa: PLC0415  # few gateways translate
        from llmproxy_bedrock.decoding import decode_converse  # noqa: PLC0415  # likewise
        from llmproxy_bedrock.values import a_body  # noqa: PLC0415  # likewise

        call = call_of(exchange.request.path)
        if call is None or call.action not in _CALLS:
            raise no_translation()
        if b"content-encoding" in exchange.request.headers.index:
            message = "A compressed request body is not read; send it without Content-Encoding."
            raise BadField("unsupported_encoding", message, status=415)
        told = a_body(body)
        if call.action == "count-tokens":
            return read_count(call.model, told, losses)
        return decode_converse(call.model, told, losses, streamed=call.action in STREAMED)

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        request = exchange.request
        call = call_of(request.path) if request.method == "POST" else None
        kind = "" if call is None else _CALLS.get(call.action, "")
        streamed = exchange.streamed if reply is None else reply.is_frame_stream
        return Form(self.wire, kind, streamed)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept answer in another form."""
        from llmproxy_bedrock.retelling import retell  # noqa: PLC0415  # few answers are told twice

        return retell(body, source, target)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer, named as the exchange is."""
        from llmproxy_bedrock.answers import encode_answer  # noqa: PLC0415  # few gateways translate

        return Reply.json(encode_answer(answer), headers={"x-amzn-requestid": exchange.id})

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""
        from llmproxy_bedrock.telling import ConverseEncoder  # noqa: PLC0415  # likewise

        return ConverseEncoder()

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of a streamed answer."""
        return STREAM
