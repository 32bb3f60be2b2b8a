"""Ids of tool calls: servers leave them out, or give one to two calls, and results name their calls by them alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from llmproxy.canonical import Answer, Block, BlockStarted, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmproxy.canonical import StreamEvent


class CallIds:
    """The ids of one answer's calls; what has none of its own gets one that `seed` tells from other answers'."""

    __slots__ = ("_seed", "_taken")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._taken: set[str] = set()

    def named(self, call: ToolCall) -> ToolCall:
        """Return the call with an id that no other has."""
        name = call.id
        if not name or name in self._taken:
            told = f"{self._seed}\0{len(self._taken)}\0{call.name}".encode("utf-8", "surrogatepass")
            name = "call_" + hashlib.blake2b(told, digest_size=12).hexdigest()
        self._taken.add(name)
        return call if name == call.id else msgspec.structs.replace(call, id=name)

    def told(self, event: StreamEvent) -> StreamEvent:
        """Return an event of the stream, a call that begins with its id."""
        if type(event) is not BlockStarted or type(event.block) is not ToolCall:
            return event
        call = self.named(event.block)
        return event if call is event.block else msgspec.structs.replace(event, block=call)


def with_ids(answer: Answer, seed: str) -> Answer:
    """Return an answer whose calls all have ids, each its own."""
    ids = CallIds(seed)
    choices = [_named(choice.content, ids) for choice in answer.choices]
    if all(new == choice.content for new, choice in zip(choices, answer.choices, strict=True)):
        return answer
    return msgspec.structs.replace(
        answer,
        choices=tuple(
            msgspec.structs.replace(choice, content=new)
            for new, choice in zip(choices, answer.choices, strict=True)
        ),
    )


def _named(content: Iterable[Block], ids: CallIds) -> tuple[Block, ...]:
    return tuple(ids.named(block) if isinstance(block, ToolCall) else block for block in content)
