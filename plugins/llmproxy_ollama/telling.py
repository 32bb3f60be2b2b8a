"""Canonical events as the lines that callers read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Refusal,
    Started,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_ollama.answers import Stamp, write_end
from llmproxy_ollama.errors import error_line
from llmproxy_ollama.logprobs import written_logprobs
from llmproxy_ollama.toolcalls import written_call

_GOES_ON: Final = b',"done":false}\n'


class LineEncoder:
    """Writes the lines of one stream; calls leave whole, once their arguments are complete."""

    __slots__ = (
        "_blocks",
        "_called",
        "_clock",
        "_failed",
        "_finished",
        "_output",
        "_pieces",
        "_prefix",
        "_stamp",
        "_usage",
    )

    def __init__(self, stamp: Stamp, clock: Callable[[], float]) -> None:
        self._stamp = stamp
        self._clock = clock
        self._prefix = b""
        self._blocks: dict[int, type | ToolCall] = {}
        self._pieces: dict[int, list[str]] = {}
        self._called = 0
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._failed = False
        self._output = 0.0

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the line of an event, if it makes one."""
        if type(event) is Delta:
            return self._more(event)
        if isinstance(event, BlockStarted):
            return self._begin(event)
        if isinstance(event, BlockEnded):
            return self._end(event.index)
        if isinstance(event, Started):
            if not self._stamp.model:
                self._stamp = self._stamp._replace(model=event.model)
            self._usage = event.usage or self._usage
        elif isinstance(event, Finished):
            self._finished = self._finished if event.choice else event
        elif isinstance(event, Counted):
            self._usage = event.usage
        elif isinstance(event, Failed):
            self._failed = True
            return [error_line(event.error)]
        return []

    def close(self) -> list[bytes]:
        """Return the last line, with the reason, the durations and the usage."""
        if self._failed:
            return []
        out = [line for index in list(self._blocks) for line in self._end(index)]
        told: dict[str, Any] = {"model": self._stamp.model, "created_at": self._stamp.created}
        if self._stamp.plain:
            told["response"] = ""
        else:
            told["message"] = {"role": "assistant", "content": ""}
        choice = Choice(finish="error" if self._finished is None else self._finished.reason)
        stamp = self._stamp._replace(output=self._output or self._stamp.output)
        told |= write_end(choice, Answer(usage=self._usage), stamp, self._clock())
        return [*out, orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)]

    def _begin(self, event: BlockStarted) -> list[bytes]:
        if event.choice:
            return []
        block = event.block
        if isinstance(block, ToolCall):
            self._blocks[event.index] = block
            self._pieces[event.index] = ["" if block.arguments == "{}" else block.arguments]
        elif isinstance(block, Text | Reasoning | Refusal):
            self._blocks[event.index] = type(block)
            if block.text:
                return self._more(Delta(event.index, block.text))
        return []

    def _more(self, event: Delta) -> list[bytes]:
        kind = self._blocks.get(event.index)
        if kind is None:
            return []
        if isinstance(kind, ToolCall):
            self._pieces[event.index].append(event.text)
            return []
        thought = kind is Reasoning
        if event.logprobs:
            return [self._line(event.text, thought, written_logprobs(event.logprobs))]
        if not event.text:
            return []
        return [self._line(event.text, thought)]

    def _line(self, said: str, thought: bool, logprobs: list[dict[str, Any]] | None = None) -> bytes:
        text = orjson.dumps(said)
        if self._stamp.plain:
            inner = b'"response":"","thinking":' + text if thought else b'"response":' + text
        else:
            inner = b'"message":{"role":"assistant","content":'
            inner += b'"","thinking":%b}' % text if thought else text + b"}"
        if logprobs:
            inner += b',"logprobs":' + orjson.dumps(logprobs)
        return self._begun() + inner + _GOES_ON

    def _begun(self) -> bytes:
        """Return how every line begins."""
        if not self._prefix:
            told = {"model": self._stamp.model, "created_at": self._stamp.created}
            self._prefix = orjson.dumps(told)[:-1] + b","
            self._output = self._clock()
        return self._prefix

    def _end(self, index: int) -> list[bytes]:
        block = self._blocks.pop(index, None)
        if not isinstance(block, ToolCall) or self._stamp.plain:
            return []
        arguments = "".join(self._pieces.pop(index)) or "{}"
        call = written_call(msgspec.structs.replace(block, arguments=arguments), self._called)
        self._called += 1
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
        return [self._begun() + b'"message":' + orjson.dumps(message) + _GOES_ON]
