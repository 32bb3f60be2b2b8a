"""Signatures across dialects: what one provider signed and only it can read, kept for callers who cannot hold it.

Theory of operation. A provider that thinks before it calls tools wants its thought back, signed, with the results: an
Anthropic turn must open with its thinking block, a Gemini call must carry its thoughtSignature. Callers of other
dialects have two chances to bring it: in a place of their dialect that they send back unread (there a foreign
signature travels packed, with its origin named), or not at all; then what was kept here under the tool calls' ids, or
under a digest of the answer's text and of what it answered, is put back. Some servers number the calls of every answer
alike, and many answers are a word long: a turn gets back what was kept of the same calls or the same question only, for
a thought of another conversation is nothing that this one's caller may make a model tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.canonical import (
    Answer,
    Block,
    Choice,
    GenerateRequest,
    Message,
    Reasoning,
    Text,
    ToolCall,
)
from llmproxy.canonical.calls import one_spelling
from llmproxy.canonical.packing import is_signed

if TYPE_CHECKING:
    from llmproxy.dialects import Memory

_KIND: Final = "signed"
_RECENT: Final = 64

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(tuple[Block, ...])


async def keep_signatures(answer: Answer, memory: Memory, asked: Iterable[Message] = ()) -> None:
    """Keep each choice's signed blocks under the names that its next turn will bring; `asked` is what it answers."""
    signed = [choice for choice in answer.choices if any(map(is_signed, choice.content))]
    if not signed:
        return  # most answers hold nothing to keep, and need no digest of what was asked
    *_, question = _questions(asked)
    for choice in signed:
        kept = _encoder.encode(_bones(choice))
        for name in _names(choice.content, question)[:_RECENT]:
            await memory.put(_KIND, name, kept)


async def put_back_signatures(request: GenerateRequest, memory: Memory) -> GenerateRequest:
    """Give the turns of the assistant that came without a signature the blocks that were kept of them."""
    if not any(map(_lacks, request.messages)):
        return request
    messages = list(request.messages)
    turns = zip(range(len(messages)), request.messages, _questions(messages), strict=False)
    places = [(place, question) for place, message, question in turns if _lacks(message)]
    for place, question in places[-_RECENT:]:
        content = messages[place].content
        names = _names(content, question)
        kept = await memory.get(_KIND, names[0]) if names else None
        blocks = _read(kept) if kept is not None else ()
        if blocks and _of_the_same_calls(content, blocks):
            messages[place] = msgspec.structs.replace(messages[place], content=_merged(content, blocks))
    return msgspec.structs.replace(request, messages=tuple(messages))


def _read(kept: bytes) -> tuple[Block, ...]:
    try:
        return _decoder.decode(kept)
    except msgspec.MsgspecError:
        return ()  # written by another version: as good as forgotten


def _questions(messages: Iterable[Message]) -> Iterator[bytes]:
    """Tell, for each message and for what follows the last, what the user had said last, as a digest."""
    question = b""
    for message in messages:
        yield question
        if message.role == "user":
            texts = [block.text for block in message.content if isinstance(block, Text)]
            question = _digest(*texts).encode() if texts else question
    yield question


def _names(content: tuple[Block, ...], question: bytes) -> list[str]:
    calls = [block.id for block in content if isinstance(block, ToolCall) and block.id]
    if calls:
        return calls
    texts = [block.text for block in content if isinstance(block, Text)]
    return [_digest(*texts, key=question)] if any(texts) else []


def _digest(*texts: str, key: bytes = b"") -> str:
    whole = "".join(texts).encode("utf-8", "replace")
    return hashlib.blake2b(whole, digest_size=16, key=key).hexdigest()


def _of_the_same_calls(content: tuple[Block, ...], kept: tuple[Block, ...]) -> bool:
    """Whether calls of one id call the same, whatever their arguments went through on their way."""
    known = {block.id: (block.name, block.arguments) for block in kept if isinstance(block, ToolCall)}
    return all(
        known[block.id] == (block.name, _digest(one_spelling(block.arguments)))
        for block in content
        if isinstance(block, ToolCall) and block.id in known
    )


def _lacks(message: Message) -> bool:
    return message.role == "assistant" and bool(message.content) and not any(map(is_signed, message.content))


def _bones(choice: Choice) -> tuple[Block, ...]:
    """Return what has to be put back: thoughts whole, of texts the signature only, of calls a digest besides."""
    return tuple(
        msgspec.structs.replace(block, arguments=_digest(one_spelling(block.arguments)))
        if isinstance(block, ToolCall)
        else Text(text="", signature=block.signature)
        if isinstance(block, Text)
        else block
        for block in choice.content
        if isinstance(block, Reasoning | ToolCall | Text)
    )


def _merged(content: tuple[Block, ...], kept: tuple[Block, ...]) -> tuple[Block, ...]:
    signed = {block.id: block.signature for block in kept if isinstance(block, ToolCall)}
    texts = iter([block.signature for block in kept if isinstance(block, Text)])
    thoughts = any(isinstance(block, Reasoning) for block in kept)
    merged: list[Block] = []
    for block in content:
        if isinstance(block, Reasoning) and thoughts:
            continue  # the caller's copy of the same thought, without its signature
        if isinstance(block, ToolCall) and signed.get(block.id):
            merged.append(msgspec.structs.replace(block, signature=signed[block.id]))
        elif isinstance(block, Text) and (signature := next(texts, "")):
            merged.append(msgspec.structs.replace(block, signature=signature))
        else:
            merged.append(block)
    return _in_order(merged, kept) if thoughts else tuple(merged)


def _in_order(content: list[Block], kept: tuple[Block, ...]) -> tuple[Block, ...]:
    """Put each thought where it stood: before the same text or call."""
    ordered: list[Block] = []
    rest = content[:]
    for block in kept:
        if isinstance(block, Reasoning):
            ordered.append(block)
            continue
        at = next((at for at, other in enumerate(rest) if _same(block, other)), -1)
        ordered += rest[: at + 1]
        del rest[: at + 1]
    return (*ordered, *rest)


def _same(kept: Block, given: Block) -> bool:
    if isinstance(kept, ToolCall):
        return isinstance(given, ToolCall) and given.id == kept.id
    return isinstance(kept, Text) and isinstance(given, Text)
