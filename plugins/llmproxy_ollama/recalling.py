"""The ids of calls whose thoughts were signed, for callers who do not send ids back: Ollama's own SDK drops them.

The core keeps signed thoughts under the ids of the calls that they led to. Here stands which id a call had, by what led
to it: the instructions, all that the user had said, the call's place among all calls, its name and its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.canonical import Answer, Block, GenerateRequest, Message, Text, ToolCall, ToolResult
from llmproxy.canonical.calls import one_spelling
from llmproxy.canonical.packing import is_signed

if TYPE_CHECKING:
    from llmproxy.plugin import Memory

_KIND: Final = "ollama-call"
#: Ids that were made here, as `toolcalls.made_id` does.
_MADE: Final = re.compile(r"call_[0-9a-f]{20}")
#: Calls of a conversation that are looked for, the last ones.
_RECENT: Final = 64


async def recall(request: GenerateRequest, memory: Memory) -> GenerateRequest:
    """Give calls that came without an id the one that they had, where it is known, and their results too."""
    known: dict[str, str] = {}
    for call, mark in list(_marked(request, ()))[-_RECENT:]:
        if _MADE.fullmatch(call.id) and (own := await memory.get(_KIND, mark)) is not None:
            known[call.id] = own.decode()
    if not known:
        return request
    return msgspec.structs.replace(
        request, messages=tuple(_renamed(each, known) for each in request.messages)
    )


async def remember(request: GenerateRequest, answer: Answer, memory: Memory) -> None:
    """Keep the ids of an answer's calls, if anything of it was signed."""
    content = answer.choices[0].content if answer.choices else ()
    calls = [block for block in content if isinstance(block, ToolCall)]
    if not calls or not any(map(is_signed, content)):
        return
    for call, mark in list(_marked(request, content))[-len(calls) :]:
        await memory.put(_KIND, mark, call.id.encode())


def _marked(request: GenerateRequest, answer: tuple[Block, ...]) -> Iterator[tuple[ToolCall, str]]:
    """Give each call of a conversation, and of the answer to it, with what it is known by."""
    said = blake2b(digest_size=16)
    _add(said, request.system)
    place = 0
    for message in (*request.messages, Message(role="assistant", content=answer)):
        if message.role != "assistant":
            _add(said, message.content)
        for block in message.content:
            if isinstance(block, ToolCall):
                place += 1
                own = said.copy()
                own.update(
                    f"\0{place}\0{block.name}\0{one_spelling(block.arguments)}".encode("utf-8", "replace")
                )
                yield block, own.hexdigest()


def _add(said: blake2b, blocks: Iterable[Block]) -> None:
    for block in blocks:
        if isinstance(block, Text):
            said.update(block.text.encode("utf-8", "replace") + b"\0")


def _renamed(message: Message, known: dict[str, str]) -> Message:
    content = [
        msgspec.structs.replace(block, id=known[block.id])
        if isinstance(block, ToolCall | ToolResult) and block.id in known
        else block
        for block in message.content
    ]
    return msgspec.structs.replace(message, content=tuple(content))
