"""Canonical events as the chunks that Gemini's callers read: server-sent events, or elements of one JSON array."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Citation,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Losses,
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_gemini.answers import write_end, write_usage, written_grounding, written_marks
from llmproxy_gemini.blocks import Part, PartWriter, write_call, write_thought
from llmproxy_gemini.errors import error_chunk
from llmproxy_gemini.finishing import written_reason
from llmproxy_gemini.logprobs import write_logprobs

_TEXT: Final = b'{"candidates":[{"content":{"parts":[{"text":'
_THOUGHT: Final = b',"thought":true'
_EMPTY: Final[dict[str, Any]] = {"parts": [{"text": ""}], "role": "model"}


class _Told:
    """A block that is being told."""

    __slots__ = ("block", "choice", "citations", "pieces", "signature", "thought")

    def __init__(self, event: BlockStarted) -> None:
        self.block = event.block
        self.choice = event.choice
        self.thought = isinstance(event.block, Reasoning)
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[Citation] = []


class ChunkEncoder:
    """Writes the chunks of one stream; calls leave whole, once their arguments are complete."""

    __slots__ = (
        "_blocks",
        "_cited",
        "_events",
        "_failed",
        "_finished",
        "_first",
        "_open",
        "_started",
        "_tail",
        "_usage",
    )

    def __init__(self, *, events: bool = True) -> None:
        self._events = events
        self._started = Started()
        self._first = b""
        self._tail = b"}"
        self._usage: Usage | None = None
        self._blocks: dict[int, _Told] = {}
        self._cited: list[_Told] = []
        self._finished: dict[int, Finished] = {}
        self._failed = False
        self._open = False

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the chunk of an event, if it makes one."""
        kind = type(event)
        if kind is Delta:
            return self._more(event)  # type: ignore[arg-type]  # told by its type
        if isinstance(event, BlockStarted):
            return self._begin(event)
        if isinstance(event, BlockEnded):
            return self._end(event)
        if isinstance(event, Signed):
            self._blocks[event.index].signature += event.signature
        elif isinstance(event, Cited):
            told = self._blocks[event.index]
            told.citations.append(event.citation)
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Counted):
            self._usage = event.usage
        elif isinstance(event, Finished):
            self._finished[event.choice] = event
        elif isinstance(event, Failed):
            self._failed = True
            return [self._framed(error_chunk(event.error, usageMetadata=self._counts()))]
        return []

    def close(self) -> list[bytes]:
        """Return the last chunk, with the reasons and the usage, and the array's end."""
        out: list[bytes] = []
        if not self._failed:
            for index in list(self._blocks):
                out += self._end(BlockEnded(index))
            out.append(self._framed(orjson.dumps(self._last())))
        if not self._events:
            out.append(b"\n]\n" if self._open else b"[]")
        return out

    def _start(self, event: Started) -> None:
        self._started = event
        self._usage = event.usage or self._usage
        self._tail = _joined(self._marks())
        told = write_usage(Answer(usage=event.usage, service_tier=event.service_tier))
        self._first = _joined({"usageMetadata": told, **self._marks()}) if told else self._tail

    def _marks(self) -> dict[str, Any]:
        """Return what every chunk ends with."""
        return written_marks(self._started.id, self._started.model, self._started.created)

    def _begin(self, event: BlockStarted) -> list[bytes]:
        told = self._blocks[event.index] = _Told(event)
        block = event.block
        if isinstance(block, Text | Reasoning | Refusal):
            if block.text:
                return self._more(Delta(event.index, block.text))
        elif isinstance(block, ToolCall):
            told.pieces.append("" if block.arguments == "{}" else block.arguments)
            told.signature = block.signature
        else:
            part = PartWriter(Losses(), packs=True).part(block)
            if part is not None:
                return [self._chunk([part], event.choice)]
        return []

    def _more(self, event: Delta) -> list[bytes]:
        told = self._blocks[event.index]
        told.pieces.append(event.text)
        if type(told.block) is ToolCall:
            return []
        if event.logprobs:
            part: Part = {"text": event.text, "thought": True} if told.thought else {"text": event.text}
            return [self._chunk([part], told.choice, write_logprobs(event.logprobs))]
        thought = _THOUGHT if told.thought else b""
        text, tail = orjson.dumps(event.text), self._ending()
        return [
            self._framed(
                b'%b%b%b}],"role":"model"},"index":%d}]%b' % (_TEXT, text, thought, told.choice, tail)
            )
        ]

    def _ending(self) -> bytes:
        """Return how the next chunk ends: the first one tells the usage, if it is known by then."""
        tail, self._first = self._first or self._tail, b""
        return tail

    def _end(self, event: BlockEnded) -> list[bytes]:
        told = self._blocks.pop(event.index, None)
        if told is None:
            return []
        block = told.block
        part: Part | None = None
        if isinstance(block, ToolCall):
            arguments = "".join(told.pieces) or "{}"
            part = write_call(msgspec.structs.replace(block, arguments=arguments, signature=told.signature))
        elif isinstance(block, Text):
            signature = block.signature + told.signature
            part = {"text": "", "thoughtSignature": signature} if signature else None
            if told.citations or block.citations:
                self._cited.append(told)
        elif isinstance(block, Reasoning):
            whole = msgspec.structs.replace(block, text="", signature=block.signature + told.signature)
            part = write_thought(whole)
        return [] if part is None else [self._chunk([part], told.choice)]

    def _last(self) -> dict[str, Any]:
        candidates = [self._candidate(self._finished[choice]) for choice in sorted(self._finished)]
        return {"candidates": candidates, "usageMetadata": self._counts(), **self._marks()}

    def _counts(self) -> dict[str, Any]:
        return write_usage(Answer(usage=self._usage, service_tier=self._started.service_tier))

    def _candidate(self, end: Finished) -> dict[str, Any]:
        told: dict[str, Any] = {"content": _EMPTY}
        told |= write_end(written_reason(end.reason, end.detail), end.explanation)
        told["index"] = end.choice
        own = [each for each in self._cited if each.choice == end.choice]
        return told | written_grounding((0, "".join(each.pieces), tuple(each.citations)) for each in own)

    def _chunk(self, parts: list[Part], choice: int, more: dict[str, Any] | None = None) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": choice, **(more or {})}
        return self._framed(orjson.dumps({"candidates": [candidate]})[:-1] + self._ending())

    def _framed(self, chunk: bytes) -> bytes:
        if self._events:
            return b"data: %b\r\n\r\n" % chunk
        first, self._open = not self._open, True
        return b"[" + chunk if first else b",\r\n" + chunk


def _joined(members: dict[str, Any]) -> bytes:
    """Return members as they stand behind others, to the object's end."""
    return b"," + orjson.dumps(members)[1:]
