"""Names of tools that a provider refuses, told as others that it takes; what it calls has the caller's name again.

Callers of one dialect name tools as another does not allow: with dots, or longer. A name's stand-in is made from the
name alone, and from the other names only where two would be one, so that a conversation's turns agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.canonical import (
    Answer,
    Block,
    BlockStarted,
    CountRequest,
    GenerateRequest,
    Message,
    Tool,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from llmproxy.canonical import ModelRequest, StreamEvent
    from llmproxy.dialects import StreamDecoder, ToolNames

_DIGITS: Final = 8


def stand_in(name: str, rule: ToolNames) -> str:
    """Return the nearest name that is taken, which may be the name itself; a longer one ends in its digest."""
    if _taken(rule).fullmatch(name) or not name:
        return name
    plain = _others(rule.signs).sub("_", name)
    if rule.letter_first and not (plain[0].isalpha() or plain[0] == "_"):
        plain = f"_{plain}"
    return plain if len(plain) <= rule.longest else _apart(name, plain, rule)


def _apart(name: str, plain: str, rule: ToolNames) -> str:
    digest = blake2b(name.encode("utf-8", "replace"), digest_size=_DIGITS // 2).hexdigest()
    return f"{plain[: rule.longest - _DIGITS - 1]}_{digest}"


@lru_cache(maxsize=16)
def _taken(rule: ToolNames) -> re.Pattern[str]:
    signs = re.escape(rule.signs)
    first = "[a-zA-Z_]" if rule.letter_first else f"[a-zA-Z0-9_{signs}]"
    return re.compile(f"{first}[a-zA-Z0-9_{signs}]{{0,{rule.longest - 1}}}")


@lru_cache(maxsize=16)
def _others(signs: str) -> re.Pattern[str]:
    return re.compile(f"[^a-zA-Z0-9_{re.escape(signs)}]")


def with_names(request: ModelRequest, rule: ToolNames | None) -> tuple[ModelRequest, Mapping[str, str]]:
    """Return the request with names that `rule` takes, and the caller's name for each that was changed."""
    talk = request.request if isinstance(request, CountRequest) else request
    if rule is None or not isinstance(talk, GenerateRequest):
        return request, {}
    changed = _changed(dict.fromkeys(_names_of(talk)), rule)
    if not changed:
        return request, {}
    talk = _renamed(talk, changed)
    back = {other: name for name, other in changed.items()}
    return (CountRequest(request=talk) if isinstance(request, CountRequest) else talk), back


def _names_of(talk: GenerateRequest) -> Iterator[str]:
    yield from (tool.name for tool in talk.tools if isinstance(tool, Tool))
    for message in talk.messages:
        yield from (block.name for block in message.content if isinstance(block, ToolCall))


def _changed(names: Iterable[str], rule: ToolNames) -> dict[str, str]:
    stand_ins = {name: stand_in(name, rule) for name in names}
    changed = {name: other for name, other in stand_ins.items() if name != other}
    if changed:
        taken = Counter(stand_ins.values())
        for name, other in changed.items():
            if taken[other] > 1:
                changed[name] = _apart(name, other, rule)
    return changed


def _renamed(talk: GenerateRequest, names: Mapping[str, str]) -> GenerateRequest:
    choice = talk.tool_choice
    if choice is not None and choice.names:
        told = tuple(names.get(name, name) for name in choice.names)
        choice = msgspec.structs.replace(choice, names=told)
    return msgspec.structs.replace(
        talk,
        tools=tuple(
            msgspec.structs.replace(tool, name=names.get(tool.name, tool.name))
            if isinstance(tool, Tool)
            else tool
            for tool in talk.tools
        ),
        tool_choice=choice,
        messages=tuple(_message(message, names) for message in talk.messages),
    )


def _message(message: Message, names: Mapping[str, str]) -> Message:
    content = _blocks(message.content, names)
    return message if content == message.content else msgspec.structs.replace(message, content=content)


def _blocks(content: tuple[Block, ...], names: Mapping[str, str]) -> tuple[Block, ...]:
    return tuple(
        msgspec.structs.replace(block, name=names[block.name])
        if isinstance(block, ToolCall | ToolResult) and block.name in names
        else block
        for block in content
    )


def named_back(answer: Answer, names: Mapping[str, str]) -> Answer:
    """Return an answer whose calls have the caller's names."""
    return msgspec.structs.replace(
        answer,
        choices=tuple(
            msgspec.structs.replace(choice, content=_blocks(choice.content, names))
            for choice in answer.choices
        ),
    )


class NamingBack:
    """Decodes a stream as another decoder does, its calls under the caller's names."""

    __slots__ = ("_decoder", "_names")

    def __init__(self, decoder: StreamDecoder, names: Mapping[str, str]) -> None:
        self._decoder = decoder
        self._names = names

    def feed(self, data: bytes) -> Iterable[StreamEvent]:
        """Return the events that these bytes complete."""
        return map(self._back, self._decoder.feed(data))

    def close(self) -> Iterable[StreamEvent]:
        """Return what was held back."""
        return map(self._back, self._decoder.close())

    def _back(self, event: StreamEvent) -> StreamEvent:
        if type(event) is not BlockStarted or type(event.block) is not ToolCall:
            return event
        name = self._names.get(event.block.name)
        if name is None:
            return event
        block = msgspec.structs.replace(event.block, name=name)
        return msgspec.structs.replace(event, block=block)
