"""A server's lines as canonical events.

Thoughts of consecutive lines are one block, and so is text; calls come whole. The last line says that it is `done`.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import LineFramer, error_of
from llmproxy_ollama.answers import created_at, message_of, read_calls, word_of
from llmproxy_ollama.finishing import read_reason
from llmproxy_ollama.logprobs import read_logprobs
from llmproxy_ollama.toolcalls import OpenCalls
from llmproxy_ollama.usage import read_usage

#: Bytes of one line: the last one may repeat the prompt as tokens, of a whole window.
_MOST: Final = 64 * 1024 * 1024

Events = list[StreamEvent]


class LineDecoder:
    """Decodes a stream of lines."""

    __slots__ = ("_called", "_calls", "_ended", "_framer", "_kind", "_next", "_open")

    def __init__(self) -> None:
        self._framer = LineFramer(max_line=_MOST)
        self._calls: OpenCalls | None = None
        self._kind: type | None = None
        self._open = -1
        self._next = 0
        self._called = False
        self._ended = False

    def feed(self, data: bytes) -> Events:
        """Return the events of the lines that these bytes complete."""
        out: Events = []
        for line in self._framer.feed(data):
            self._take(line, out)
        return out

    def close(self) -> Events:
        """Return the events of a last line whose end was forgotten.

        Raises:
            TruncatedStream: no line said that it was the last.
        """
        out: Events = []
        rest = self._framer.close()
        if not self._ended and rest.strip():
            try:
                orjson.loads(rest)
            except orjson.JSONDecodeError:
                raise TruncatedStream("the stream ended inside a line") from None
            self._take(rest, out)
        if not self._ended:
            raise TruncatedStream("the stream ended without a line that says so")
        return out

    def _take(self, line: bytes, out: Events) -> None:
        if self._ended or not line.strip():
            return
        told = orjson.loads(line)
        if type(told) is not dict:
            raise ValueError("a line of the stream is no object")
        if told.get("error"):
            self._ended = True
            out.append(Failed(error_of(told)))
            return
        if self._calls is None:
            self._calls = OpenCalls(word_of(told, "created_at"))
            out.append(Started("", word_of(told, "model"), created_at(told)))
        message = message_of(told)
        if thought := word_of(message, "thinking"):
            self._more(Reasoning, thought, None, out)
        logprobs = read_logprobs(told["logprobs"]) if "logprobs" in told else None
        if (said := word_of(message, "content")) or logprobs:
            self._more(Text, said, logprobs, out)
        for call in read_calls(message, self._calls):
            self._call(call, out)
        if told.get("done") is True:
            self._end(told, out)

    def _more(self, kind: type, text: str, logprobs: dict[str, Any] | None, out: Events) -> None:
        if self._kind is not kind:
            self._stop(out)
            self._kind, self._open = kind, self._next
            self._next += 1
            out.append(BlockStarted(self._open, Text(text="") if kind is Text else Reasoning()))
        out.append(Delta(self._open, text, logprobs))

    def _call(self, call: ToolCall, out: Events) -> None:
        self._stop(out)
        self._called = True
        index, self._next = self._next, self._next + 1
        out += (
            BlockStarted(index, ToolCall(id=call.id, name=call.name, arguments="")),
            Delta(index, call.arguments),
            BlockEnded(index),
        )

    def _stop(self, out: Events) -> None:
        if self._kind is not None:
            out.append(BlockEnded(self._open))
            self._kind = None

    def _end(self, told: dict[str, Any], out: Events) -> None:
        self._ended = True
        self._stop(out)
        reason = read_reason(told.get("done_reason"), calls=self._called)
        out.append(Finished(reason, None, word_of(told, "done_reason")))
        if (usage := read_usage(told)) is not None:
            out.append(Counted(usage))
