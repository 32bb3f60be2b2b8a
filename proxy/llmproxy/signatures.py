"""Signatures across dialects: what one provider signed and only it can read, kept for callers who cannot hold it.

Theory of operation. A provider that thinks before it calls tools wants its thought back, signed, with the results: an
Anthropic turn must open with its thinking block, a Gemini call must carry its thoughtSignature. Callers of other
dialects have two chances to bring it: in a place of their dialect that they send back unread (there a foreign
signature travels packed, with its origin named), or not at all; then what was kept here under the tool calls' ids, or
under a digest of the answer's text, is put back.
"""

from __future__ import annotations

import hashlib
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
    pack_signature,
    unpack_signature,
)

if TYPE_CHECKING:
    from llmproxy.dialects import Memory

__all__ = ["keep_signatures", "pack_signature", "put_back_signatures", "unpack_signature"]

_KIND: Final = "signed"
_RECENT: Final = 64

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(tuple[Block, ...])


async def keep_signatures(answer: Answer, memory: Memory) -> None:
    """Keep each choice's signed blocks under the names that its next turn will bring: its tool calls' ids."""
    for choice in answer.choices:
        names = _names(choice.content)
        if names and any(_is_signed(block) for block in choice.content):
            kept = _encoder.encode(_bones(choice))
            for name in names:
                await memory.put(_KIND, name, kept)


async def put_back_signatures(request: GenerateRequest, memory: Memory) -> GenerateRequest:
    """Give the turns of the assistant that came without a signature the blocks that were kept of them."""
    places = [place for place, message in enumerate(request.messages) if _lacks(message)]
    messages = list(request.messages)
    for place in places[-_RECENT:]:
        names = _names(messages[place].content)
        kept = await memory.get(_KIND, names[0]) if names else None
        blocks = _read(kept) if kept is not None else ()
        if blocks:
            messages[place] = msgspec.structs.replace(
                messages[place], content=_merged(messages[place].content, blocks)
            )
    return msgspec.structs.replace(request, messages=tuple(messages)) if places else request


def _read(kept: bytes) -> tuple[Block, ...]:
    try:
        return _decoder.decode(kept)
    except msgspec.MsgspecError:
        return ()  # written by another version: as good as forgotten


def _names(content: tuple[Block, ...]) -> list[str]:
    calls = [block.id for block in content if isinstance(block, ToolCall) and block.id]
    if calls:
        return calls
    text = "".join(block.text for block in content if isinstance(block, Text))
    return [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()] if text else []


def _is_signed(block: Block) -> bool:
    if isinstance(block, Reasoning):
        return bool(block.signature or block.redacted)
    return isinstance(block, ToolCall | Text) and bool(block.signature)


def _lacks(message: Message) -> bool:
    return message.role == "assistant" and bool(message.content) and not any(map(_is_signed, message.content))


def _bones(choice: Choice) -> tuple[Block, ...]:
    """Return what has to be put back: thoughts whole, of calls and texts the signature only."""
    return tuple(
        msgspec.structs.replace(block, arguments="{}")
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
