"""The caller's side: requests in, answers out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from llmproxy.canonical import Answer, EmbedAnswer, RerankAnswer, RerankRequest, Started
from llmproxy.plugin import BadField, Reply, StateKey, no_translation
from llmproxy_openai.calls import RankingManner, call_of, manner_of, media_call_of
from llmproxy_openai.chat.answers import encode_answer as write_answer
from llmproxy_openai.chat.decoding import decode_chat
from llmproxy_openai.chat.streams import ChunkEncoder
from llmproxy_openai.embeddings import decode_embeddings, encode_embeddings
from llmproxy_openai.reranking import decode_rerank, write_ranking

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, ModelAnswer, ModelRequest
    from llmproxy.plugin import Exchange


class Manner(NamedTuple):
    """How a caller wants its answer written."""

    include_usage: bool = False
    #: Whether it knows one function call only, as it was before there were tools.
    legacy: bool = False
    #: Whether vectors shall be base64.
    packed: bool = False


_MANNER: Final = StateKey[Manner]("openai.manner")
_PLAINLY: Final = Manner()
_RANKING: Final = StateKey[tuple[RerankRequest, RankingManner]]("openai.ranking")


def decode_request(exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
    """Read a request for chat, embeddings, a ranking, pictures or sound."""
    call, media = call_of(exchange.request.path), media_call_of(exchange.request.path)
    if media and exchange.request.method == "POST":
        from llmproxy_openai.media import client  # noqa: PLC0415  # few callers want pictures or sound

        return client.decode_request(exchange, media, body, losses)
    if call not in ("chat", "embeddings", "rerank") or exchange.request.method != "POST":
        raise no_translation()
    asked = _parsed(body)
    if call == "rerank":
        ranked = decode_rerank(asked, losses)
        exchange.state[_RANKING] = (ranked, manner_of(body))
        return ranked
    if call == "embeddings":
        wanted = decode_embeddings(asked, losses)
        exchange.state[_MANNER] = Manner(packed=wanted.encoding == "base64")
        return wanted
    losses.names = {**losses.names, **_own_names(asked, body)}
    request = decode_chat(asked, losses)
    legacy = "tools" not in asked and "functions" in asked
    exchange.state[_MANNER] = Manner(request.include_usage, legacy)
    return request


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadField("invalid_json", f"The request's body is not JSON: {fault}.") from None
    if type(asked) is not dict:
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    return asked


def _own_names(asked: dict[str, Any], body: bytes) -> dict[str, str]:
    """Return what this caller calls things that have two names."""
    names = {}
    if asked.get("safety_identifier"):
        names["user"] = "safety_identifier"
    if asked.get("max_completion_tokens") is not None:
        names["max_tokens"] = "max_completion_tokens"
    if b'"prompt_cache_breakpoint"' in body:
        path = "messages[].content[].prompt_cache_breakpoint"
        names |= {"content.cache": path, "system.cache": path}
    return names


def encode_answer(exchange: Exchange, answer: ModelAnswer) -> Reply:
    """Shape a whole answer."""
    manner = exchange.state.get(_MANNER) or _PLAINLY
    if isinstance(answer, EmbedAnswer):
        return Reply.json(encode_embeddings(answer, exchange.model or "", packed=manner.packed))
    if isinstance(answer, RerankAnswer) and (ranking := exchange.state.get(_RANKING)) is not None:
        name = f"rerank-{exchange.id}"
        return Reply.json(write_ranking(answer, *ranking, name, exchange.model or ""))
    if not isinstance(answer, Answer):
        from llmproxy_openai.media import client  # noqa: PLC0415  # likewise

        return client.encode_answer(exchange, answer)
    told = _told(exchange)
    body = write_answer(answer, name=told.id, model=told.model, created=told.created, legacy=manner.legacy)
    return Reply.json(body)


def stream_encoder(exchange: Exchange) -> ChunkEncoder:
    """Return what writes a streamed answer."""
    manner = exchange.state.get(_MANNER) or _PLAINLY
    return ChunkEncoder(_told(exchange), include_usage=manner.include_usage, legacy=manner.legacy)


def _told(exchange: Exchange) -> Started:
    """Return what is said of an answer of which its provider says nothing."""
    now = int(datetime.now(UTC).timestamp())
    return Started(f"chatcmpl-{exchange.id}", exchange.model or "", now)
