"""How callers speak it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import (
    Claim,
    ClientRequest,
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
from llmproxy_gemini import errors
from llmproxy_gemini.keyrules import rules_of
from llmproxy_gemini.models import listing
from llmproxy_gemini.paths import BATCHES, VERBS, call_of, interacts, streams_events
from llmproxy_gemini.retelling import form_of, retell
from llmproxy_gemini.uploads import ticket_of

if TYPE_CHECKING:
    from llmproxy.canonical import (
        Losses,
        ModelAnswer,
        ModelRequest,
    )

_CONFIG: Final = "generationConfig."
_PART: Final = "contents[].parts[]."
_FUNCTION: Final = "tools[].functionDeclarations[]."

#: What callers call the fields of the canonical form.
LOSS_NAMES: Final[Mapping[str, str]] = {
    "system": "systemInstruction",
    "tool_choice": "toolConfig.functionCallingConfig",
    "tool_choice.names": "toolConfig.functionCallingConfig.allowedFunctionNames",
    "max_tokens": _CONFIG + "maxOutputTokens",
    "temperature": _CONFIG + "temperature",
    "top_p": _CONFIG + "topP",
    "top_k": _CONFIG + "topK",
    "stop": _CONFIG + "stopSequences",
    "seed": _CONFIG + "seed",
    "frequency_penalty": _CONFIG + "frequencyPenalty",
    "presence_penalty": _CONFIG + "presencePenalty",
    "logprobs": _CONFIG + "responseLogprobs",
    "top_logprobs": _CONFIG + "logprobs",
    "n": _CONFIG + "candidateCount",
    "format": _CONFIG + "responseMimeType",
    "format.schema": _CONFIG + "responseSchema",
    "modalities": _CONFIG + "responseModalities",
    "thinking": _CONFIG + "thinkingConfig",
    "voice": _CONFIG + "speechConfig",
    "aspect": _CONFIG + "imageConfig.aspectRatio",
    "resolution": _CONFIG + "imageConfig.imageSize",
    "thinking.effort": _CONFIG + "thinkingConfig.thinkingLevel",
    "thinking.budget": _CONFIG + "thinkingConfig.thinkingBudget",
    "thinking.show": _CONFIG + "thinkingConfig.includeThoughts",
    "metadata": "labels",
    "service_tier": "serviceTier",
    "tools.hosted": "tools[]",
    "content.image": _PART + "fileData",
    "content.audio": _PART + "fileData",
    "content.video": _PART + "fileData",
    "content.document": _PART + "fileData",
    "content.foreign": "contents[].parts[]",
    "document.title": _PART + "displayName",
    "reasoning": _PART + "thought",
    "reasoning.signature": _PART + "thoughtSignature",
    "tool_call.signature": _PART + "thoughtSignature",
    "tool_result.is_error": _PART + "functionResponse.response.error",
    "tool_result.content": _PART + "functionResponse.parts",
    "tools.strict": _FUNCTION + "parameters",
    "dimensions": "outputDimensionality",
    "task": "taskType",
    "title": "title",
}


#: What Google's SDK asks for under /v1, where other dialects' callers ask too.
_KEYED: Final = ("models", "models/*", "files*", "batches*", "interactions*")


def _claims() -> tuple[Claim, ...]:
    """Return the paths of Gemini and of Vertex; what else stands under /v1 is other dialects'."""
    calls = [Claim(f"/*:{verb}") for verb in sorted(VERBS | BATCHES)]
    # Shorter than what OpenAI's callers claim, who find its endpoints under /v1beta/openai/.
    rest = [Claim("/v1beta*"), Claim("/v1alpha*")]
    rest += [Claim("/ws/google.*")]
    keyed = [Claim(f"/v1/{name}", "x-goog-api-key") for name in _KEYED]
    vertex = [
        Claim("/v1/publishers/google/*"),
        Claim("/v1/projects/*/publishers/google/*"),
        Claim("/v1/cachedContents*"),
        Claim("/v1/projects/*/cachedContents*"),
    ]
    return (*calls, *rest, *keyed, *vertex)


class GeminiClient(UntranslatedClient):
    """How callers speak it."""

    wire = "gemini"
    claims: Sequence[Claim] = _claims()
    markers: Sequence[str] = ("x-goog-api-client", "x-goog-api-key")
    loss_names: Mapping[str, str] = LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be here before the request can be routed: where a model is called."""
        request = exchange.request
        return request.method == "POST" and (call_of(request.path) is not None or interacts(request))

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted, both from the path; an interaction's body has both."""
        if interacts(exchange.request):
            from llmproxy_gemini.interactions import READER  # noqa: PLC0415  # few callers interact

            READER.read(exchange, body)
            return
        call = call_of(exchange.request.path) if exchange.request.method == "POST" else None
        exchange.model = None if call is None else call.model
        exchange.streamed = call is not None and call.verb == "streamGenerateContent"

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        return rules_of(exchange.request.path) if exchange.request.method == "POST" else None

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        from llmproxy_gemini.conversation import edits  # noqa: PLC0415  # few gateways edit

        return edits(body, messages)

    def ticket(self, request: ClientRequest) -> str | None:
        """Return the name of the upload that a request goes on with."""
        return ticket_of(request)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error."""
        return errors.error_reply(error)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        chunk = errors.error_chunk(error)
        if interacts(exchange.request):
            return b"event: error\ndata: " + errors.error_chunk(error, event_type="error") + b"\n\n"
        if streams_events(exchange.request.query):
            return b"data: " + chunk + b"\r\n\r\n"
        return b",\r\n" + chunk + b"\n]\n"

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """List the models that may be used, or describe one of them."""
        return listing(exchange.request.path, names)

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request."""
        call = call_of(exchange.request.path)
        if call is None:
            raise no_translation()
        from llmproxy_gemini.calls import decode_call  # noqa: PLC0415  # few gateways translate

        return decode_call(exchange, call, body, losses)

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call."""
        return form_of(exchange, reply)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept answer in another form."""
        return retell(body, source, target)

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        from llmproxy_gemini.calls import encode_answer  # noqa: PLC0415  # few gateways translate

        call = call_of(exchange.request.path)
        return encode_answer(answer, "" if call is None else call.verb)

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder: of events, or of one JSON array where no events were asked for."""
        from llmproxy_gemini.chunks import ChunkEncoder  # noqa: PLC0415  # few gateways translate

        return ChunkEncoder(events=streams_events(exchange.request.query))

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of a streamed answer."""
        return b"text/event-stream" if streams_events(exchange.request.query) else b"application/json"
