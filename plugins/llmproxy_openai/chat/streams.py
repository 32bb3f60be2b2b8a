"""A stream written as chat chunks.

The first chunk of each choice tells the role. A thought that somebody has to prove comes twice: as text for people, and
in the pieces of an item that the caller sends back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llmproxy.canonical import (
    Block,
    BlockEnded,
    BlockStarted,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Image,
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_openai.chat.annotations import write_citations
from llmproxy_openai.chat.answers import write_made_image, write_usage
from llmproxy_openai.chat.finishes import native_finish, write_finish
from llmproxy_openai.chat.lines import ChunkLines
from llmproxy_openai.chat.reasoning import is_proven, write_detail, write_piece
from llmproxy_openai.chat.toolcalls import signed, write_custom
from llmproxy_openai.errors import error_event

_DONE: Final = b"data: [DONE]\n\n"
_KEYS: Final[dict[type, bytes]] = {Text: b"content", Reasoning: b"reasoning_content", Refusal: b"refusal"}


class _Choice:
    """How far one answer has come."""

    __slots__ = ("calls", "details", "index", "length")

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = 0
        self.details = 0
        self.length = 0

    def next_detail(self) -> int:
        """Return the place of the next item of thoughts."""
        self.details += 1
        return self.details - 1

    def next_call(self) -> int:
        """Return the number of the next call."""
        self.calls += 1
        return self.calls - 1


class _Open:
    """A block that is being told; `head` stands before each piece of its text, `call` is its number among calls."""

    __slots__ = ("block", "call", "choice", "detail", "ended", "head", "signature", "told")

    def __init__(self, block: Block, choice: _Choice, head: bytes) -> None:
        self.block = block
        self.choice = choice
        self.head = head
        self.call = -1
        #: The place of a thought's item; -1 before its first piece.
        self.detail = -1
        self.told = 0
        self.signature = ""
        self.ended = False


class ChunkEncoder:
    """Writes the stream of one answer; `told` stands in for what the provider does not say of it.

    `legacy` callers know one function call, not several tool calls.
    """

    def __init__(self, told: Started, *, include_usage: bool, legacy: bool) -> None:
        self._lines = ChunkLines(told, include_usage=include_usage)
        self._include_usage = include_usage
        self._legacy = legacy
        self._usage: Usage | None = None
        self._failed = False
        self._blocks: dict[int, _Open] = {}
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the chunks of one event."""
        write = _WRITERS.get(type(event))
        return [] if write is None else write(self, event)

    def close(self) -> list[bytes]:
        """Return the usage, if it was asked for, and the end mark; a failed stream has none."""
        if self._failed:
            return []
        if self._include_usage and self._usage is not None:
            return [self._lines.usage(write_usage(self._usage)), _DONE]
        return [_DONE]

    def _start(self, event: Started) -> list[bytes]:
        self._lines.take(event)
        self._usage = event.usage
        return []

    def _choice(self, index: int, out: list[bytes]) -> _Choice:
        """Return a choice; its first chunk tells the role."""
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
            out.append(self._lines.delta(index, {"role": "assistant", "content": "", "refusal": None}))
        return choice

    def _begin(self, event: BlockStarted) -> list[bytes]:
        out: list[bytes] = []
        block, choice = event.block, self._choice(event.choice, out)
        key = _KEYS.get(type(block))
        head = b"" if key is None else self._lines.head(event.choice, key)
        opened = self._blocks[event.index] = _Open(block, choice, head)
        if isinstance(block, ToolCall):
            out.append(self._begin_call(opened, block))
        elif isinstance(block, Text | Reasoning | Refusal) and block.text:
            out += self._more(Delta(event.index, block.text))
        elif isinstance(block, Image) and (image := write_made_image(block)) is not None:
            out.append(self._lines.delta(event.choice, {"images": [image]}))
        elif isinstance(block, Foreign) and (custom := write_custom(block)) is not None:
            item = {"index": choice.next_call(), **custom}
            out.append(self._lines.delta(event.choice, {"tool_calls": [item]}))
        return out

    def _begin_call(self, opened: _Open, call: ToolCall) -> bytes:
        opened.call = opened.choice.next_call()
        arguments = "" if call.arguments == "{}" else call.arguments
        opened.told = len(arguments)
        function = {"name": call.name, "arguments": arguments}
        if self._legacy:
            return self._lines.delta(opened.choice.index, {"function_call": function})
        item: dict[str, Any] = {
            "index": opened.call,
            "id": call.id,
            "type": "function",
            "function": function,
        }
        if call.signature:
            item["extra_content"] = signed(call.signature)
        return self._lines.delta(opened.choice.index, {"tool_calls": [item]})

    def _more(self, event: Delta) -> list[bytes]:
        opened = self._blocks.get(event.index)
        if opened is None:
            return []
        text = event.text
        opened.told += len(text)
        if opened.head:
            if isinstance(opened.block, Reasoning) and (opened.block.origin or is_proven(opened.block)):
                return [self._think(opened, opened.block, text)]
            return [self._lines.text(opened.head, text, event.logprobs)]
        return [self._argue(opened, text)] if opened.call >= 0 else []

    def _argue(self, opened: _Open, arguments: str) -> bytes:
        if self._legacy:
            return self._lines.delta(opened.choice.index, {"function_call": {"arguments": arguments}})
        item = {"index": opened.call, "function": {"arguments": arguments}}
        return self._lines.delta(opened.choice.index, {"tool_calls": [item]})

    def _sign(self, event: Signed) -> list[bytes]:
        opened = self._blocks.get(event.index)
        if opened is None:
            return []
        extra = {"extra_content": signed(event.signature)}
        if isinstance(opened.block, Reasoning):
            opened.signature += event.signature
        elif opened.call >= 0 and not self._legacy:
            # The SDK takes no piece of a call without its function.
            item = {"index": opened.call, "function": {"arguments": ""}, **extra}
            return [self._lines.delta(opened.choice.index, {"tool_calls": [item]})]
        elif isinstance(opened.block, Text):
            return [self._lines.delta(opened.choice.index, extra)]
        return []

    def _cite(self, event: Cited) -> list[bytes]:
        opened = self._blocks.get(event.index)
        if opened is None:
            return []
        start = opened.choice.length
        written = write_citations([event.citation], start, start + opened.told)
        return [self._lines.delta(opened.choice.index, {"annotations": written})] if written else []

    def _end(self, event: BlockEnded) -> list[bytes]:
        opened = self._blocks.get(event.index)
        return [] if opened is None or opened.ended else self._ended(opened)

    def _ended(self, opened: _Open) -> list[bytes]:
        opened.ended = True
        if opened.call >= 0:
            return [] if opened.told else [self._argue(opened, "{}")]
        if isinstance(opened.block, Text):
            opened.choice.length += opened.told
        if isinstance(opened.block, Reasoning):
            return self._proof(opened, opened.block)
        return []

    def _think(self, opened: _Open, block: Reasoning, text: str) -> bytes:
        item = self._piece(opened, Reasoning(text, "", "", block.origin, block.summary, block.id))
        delta = {"reasoning_content": text, "reasoning_details": [item]}
        return self._lines.delta(opened.choice.index, delta)

    def _piece(self, opened: _Open, piece: Reasoning) -> dict[str, Any]:
        first = opened.detail < 0
        if first:
            opened.detail = opened.choice.next_detail()
        return write_piece(piece, opened.detail, first=first)

    def _proof(self, opened: _Open, block: Reasoning) -> list[bytes]:
        """Tell what proves a thought, once it is whole."""
        items: list[dict[str, Any]] = []
        signature = block.signature + opened.signature
        if signature:
            items.append(
                self._piece(opened, Reasoning("", signature, "", block.origin, block.summary, block.id))
            )
        if block.redacted:
            sealed = Reasoning("", "", block.redacted, block.origin, False, block.id)
            items += write_detail(sealed, opened.choice.next_detail())
        return [self._lines.delta(opened.choice.index, {"reasoning_details": items})] if items else []

    def _finish(self, event: Finished) -> list[bytes]:
        out: list[bytes] = []
        choice = self._choice(event.choice, out)
        for opened in self._blocks.values():
            if opened.choice is choice and not opened.ended:
                out += self._ended(opened)
        word = write_finish(event.reason, calls=choice.calls > 0, legacy=self._legacy)
        out.append(self._lines.finish(event.choice, word, native_finish(event.reason, event.detail)))
        return out

    def _fail(self, event: Failed) -> list[bytes]:
        self._failed = True
        return [error_event(event.error)]

    def _count(self, event: Counted) -> list[bytes]:
        self._usage = event.usage
        return []


_WRITERS: Final[dict[type, Callable[[ChunkEncoder, Any], list[bytes]]]] = {
    Started: ChunkEncoder._start,
    BlockStarted: ChunkEncoder._begin,
    Delta: ChunkEncoder._more,
    Signed: ChunkEncoder._sign,
    Cited: ChunkEncoder._cite,
    BlockEnded: ChunkEncoder._end,
    Finished: ChunkEncoder._finish,
    Failed: ChunkEncoder._fail,
    Counted: ChunkEncoder._count,
}
