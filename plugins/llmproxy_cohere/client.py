"""How callers speak it. All but what a request is known by is imported with the first that needs it."""

# ruff: noqa: PLC0415  # the imports inside the methods are the point: every gateway with a model has this face

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import (
    Claim,
    Edit,
    Exchange,
    Form,
    GatewayError,
    KeyRules,
    MessageEdit,
    Reply,
    StateKey,
    StreamEncoder,
    UntranslatedClient,
    no_translation,
)
from llmproxy_cohere.calls import call_of
from llmproxy_cohere.names import LOSS_NAMES
from llmproxy_cohere.reading import READER

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelAnswer, ModelRequest, RerankRequest

#: What every SDK of Cohere's sends. Others made by the same generator send it too, but to other paths.
_SDK: Final = "x-fern-sdk-name"

#: What is asked for beside what the canonical form holds: documents, forms of vectors.
_DOCUMENTS: Final = StateKey[Sequence[dict[str, Any]]]("cohere.documents")
_VECTORS: Final = StateKey[tuple[tuple[str, ...], list[str]]]("cohere.vectors")
_RANKING: Final[StateKey[RerankRequest]] = StateKey("cohere.ranking")


def _claims() -> tuple[Claim, ...]:
    own = ("/v2/chat", "/v2/embed", "/v2/rerank", "/v2/parse", "/v2/parse/*", "/v1/embed")
    tokens = ("/v1/tokenize", "/v1/detokenize", "/v1/summarize", "/v1/check-api-key")
    jobs = [f"/v1/{name}{end}" for name in ("embed-jobs", "datasets", "connectors") for end in ("", "/*")]
    #: Paths that other dialects have too.
    shared = ("/v1/chat", "/v1/rerank", "/v1/classify", "/v1/models", "/v1/models/*")
    return (*(Claim(path) for path in (*own, *tokens, *jobs)), *(Claim(path, _SDK) for path in shared))


class CohereClient(UntranslatedClient):
    """How callers speak it."""

    wire = "cohere"
    claims: Sequence[Claim] = _claims()
    markers: Sequence[str] = ()
    loss_names: Mapping[str, str] = LOSS_NAMES

    def reads_body(self, exchange: Exchange) -> bool:
        """Say whether the body must be read before the request can be routed."""
        return READER.needed(exchange.request)

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read the model's name and whether a stream is wanted."""
        READER.read(exchange, body)

    def key_rules(self, exchange: Exchange) -> KeyRules | None:
        """Return what decides the answer of this call."""
        from llmproxy_cohere.keyrules import rules_of

        return rules_of(exchange.request.path) if exchange.request.method == "POST" else None

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges."""
        from llmproxy_cohere import conversation

        return conversation.edits(body, messages)

    def error(self, error: GatewayError) -> Reply:
        """Shape an error."""
        from llmproxy_cohere import errors

        return errors.error_reply(error)

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Shape an error that ends a stream."""
        from llmproxy_cohere import errors

        if call_of(exchange.request.path) == "chat_v1":
            return errors.error_line(error)
        return errors.error_event(error)

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """List the models that may be used, or describe one of them."""
        from llmproxy_cohere import listing

        return listing.models_reply(exchange.request, names)

    def form(self, exchange: Exchange, body: bytes, reply: Reply | None = None) -> Form:
        """Return the form of an answer to this call; those of the first API have one alone."""
        request = exchange.request
        call = call_of(request.path) if request.method == "POST" else ""
        told = exchange.streamed if reply is None else reply.is_event_stream
        return Form(self.wire, "chat" if call == "chat" else "", told)

    def retell(self, body: bytes, source: Form, target: Form) -> bytes:
        """Write a kept answer in another form."""
        from llmproxy_cohere.retelling import retell

        return retell(body, source, target)

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request of a call that can be translated; refuse others."""
        from llmproxy.canonical.values import body_members
        from llmproxy_cohere import decoding, embeddings, reranking

        call = call_of(exchange.request.path)
        if exchange.request.method != "POST" or call in ("", "chat_v1"):
            raise no_translation()
        asked = body_members(body)
        if call == "chat":
            request = decoding.decode_chat(asked, losses, streamed=exchange.streamed)
            exchange.state[_DOCUMENTS] = decoding.documents_of(asked)
            return request
        if call in ("embed", "embed_v1"):
            wanted = embeddings.decode_embed(asked, losses)
            types = embeddings.types_of(asked) or (("float",) if call == "embed" else ())
            exchange.state[_VECTORS] = (types, [str(each) for each in wanted.inputs])
            return wanted
        ranking = exchange.state[_RANKING] = reranking.decode_rerank(asked, losses)
        return ranking

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer."""
        from llmproxy.canonical import Answer, EmbedAnswer, RerankAnswer
        from llmproxy_cohere import answers, embeddings, reranking

        if isinstance(answer, Answer):
            documents = exchange.state.get(_DOCUMENTS) or ()
            return Reply.json(answers.encode_answer(answer, exchange.id, documents))
        if isinstance(answer, EmbedAnswer):
            types, inputs = exchange.state.get(_VECTORS) or (("float",), [])
            return Reply.json(embeddings.encode_vectors(answer, exchange.id, types, inputs))
        if isinstance(answer, RerankAnswer):
            version = "1" if call_of(exchange.request.path) == "rerank_v1" else "2"
            asked = exchange.state.get(_RANKING)
            return Reply.json(reranking.encode_ranking(answer, exchange.id, asked, version))
        raise no_translation()

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""
        from llmproxy_cohere.telling import ChatEncoder

        return ChatEncoder(exchange.id, exchange.state.get(_DOCUMENTS) or ())
