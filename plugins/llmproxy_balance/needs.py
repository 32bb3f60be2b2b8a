"""What a request needs of the model that is to answer it. Pure, but for what it remembers with the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from llmproxy.canonical import (
    Audio,
    Block,
    Document,
    EmbedRequest,
    GenerateRequest,
    Image,
    Message,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.plugin import Exchange, StateKey
from llmproxy_balance.facts import Facts
from llmproxy_balance.reading import request_of, talk_of

#: One of these stands in every body that needs more than text, in any dialect; others need not be read.
_MARKS: Final = (
    b"tool",
    b"function",
    b"image",
    b"audio",
    b"video",
    b"file",
    b"document",
    b"inline",
    b"inlineData",
    b"json",
    b"chema",
    b"thinking",
    b"reasoning",
    b"\\u",
)
#: Members that bound an answer, in all dialects: max_tokens, max_completion_tokens, max_output_tokens, maxOutputTokens.
_BOUNDS: Final = (b"max_", b"maxO", b"\\u")

_OF_A_KIND: Final = {Image: "vision", Audio: "audio", Video: "video"}


class Needs(NamedTuple):
    """What a model must be able to do, as `Capabilities` names it."""

    features: frozenset[str]
    #: The longest answer that was asked for, in tokens; 0 where none is said.
    output: int = 0


_NEEDS: Final[StateKey[tuple[bytes | None, Needs]]] = StateKey("balance.needs")
_TOKENS: Final[StateKey[tuple[bytes | None, int]]] = StateKey("balance.tokens")

_PLAIN: Final = Needs(frozenset())
_STREAM: Final = Needs(frozenset({"streaming"}))


def needs_of(exchange: Exchange) -> Needs:
    """Return what a request needs; nothing where it cannot be read."""
    body = exchange.body_at_hand
    known = exchange.state.get(_NEEDS)
    if known is None or known[0] is not body:
        known = exchange.state[_NEEDS] = (body, _read(exchange, body or b""))
    return known[1]


def tokens_of(exchange: Exchange, facts: Facts) -> int:
    """Return about how many tokens its prompt has; 0 where it cannot be read."""
    body = exchange.body_at_hand
    known = exchange.state.get(_TOKENS)
    if known is None or known[0] is not body:
        talk = talk_of(exchange)
        known = exchange.state[_TOKENS] = (
            body,
            0 if talk is None else facts.tokens(exchange, talk),
        )
    return known[1]


def _read(exchange: Exchange, body: bytes) -> Needs:
    plain = _STREAM if exchange.streamed else _PLAIN
    embeds = "mbed" in exchange.request.path
    if not embeds and not any(mark in body for mark in _MARKS) and not any(mark in body for mark in _BOUNDS):
        return plain
    request = request_of(exchange)
    if isinstance(request, EmbedRequest):
        return Needs(frozenset({"embeddings"}))
    talk = talk_of(exchange)
    if talk is None:
        return plain
    return Needs(plain.features | frozenset(_features(talk)), talk.max_tokens or 0)


def _features(talk: GenerateRequest) -> Iterator[str]:
    if talk.tools:
        yield "tools"
    if talk.format is not None:
        yield "schema" if talk.format.kind == "schema" else "json"
    thinking = talk.thinking
    if thinking is not None and (
        thinking.enabled or thinking.budget or thinking.effort not in {"", "none", "minimal"}
    ):
        yield "thinking"
    if "audio" in talk.modalities:
        yield "audio"
    for message in talk.messages:
        yield from _shown(message)


def _shown(message: Message) -> Iterator[str]:
    for block in _blocks(message.content):
        if isinstance(block, ToolCall):
            yield "tools"
        elif isinstance(block, Document):
            if block.text is None:
                yield "documents"
        elif (feature := _OF_A_KIND.get(type(block))) is not None:
            yield feature


def _blocks(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, ToolResult):
            yield from block.content
