"""A stream told as Cohere's SDKs read it: parts one after another, calls counted apart, usage in the last event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.canonical import (
    Block,
    BlockEnded,
    BlockStarted,
    Citation,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Refusal,
    Sequencer,
    Started,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_cohere.answers import written_call
from llmproxy_cohere.citations import Documents, write_citations
from llmproxy_cohere.errors import error_event
from llmproxy_cohere.finishes import write_finish
from llmproxy_cohere.turns import ORIGIN, PLAN
from llmproxy_cohere.usage import written_usage


class ChatEncoder:
    """Writes the stream of one answer; `name` stands in where it has no id of its own."""

    def __init__(self, name: str, documents: Documents = ()) -> None:
        self._name = name
        self._documents = documents
        self._sequencer = Sequencer()
        self._started = self._failed = False
        self._block: Block | None = None
        self._parts = self._calls = self._cited = self._offset = 0
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._finished: Finished | None = None
        self._usage: Usage | None = None

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the wire pieces of one event."""
        if self._failed:
            return []
        return [piece for told in self._sequencer.feed(event) for piece in self._tell(told)]

    def close(self) -> list[bytes]:
        """Return the last event and the end mark."""
        if self._failed:
            return []
        left = [piece for told in self._sequencer.close() for piece in self._tell(told)]
        word = "ERROR"
        if (end := self._finished) is not None:
            word = write_finish(end.reason, end.stop_sequence, end.detail, called=self._calls > 0)
        delta = {
            "finish_reason": word,
            "usage": written_usage(self._usage),
        }
        start = [] if self._started else [self._start("")]
        return [*start, *left, _event("message-end", delta=delta), b"data: [DONE]\n\n"]

    def _tell(self, event: StreamEvent) -> Iterator[bytes]:
        if isinstance(event, Failed):
            self._failed = True
            yield error_event(event.error)
            return
        if isinstance(event, Started):
            self._usage = event.usage or self._usage
            yield from [] if self._started else [self._start(event.id)]
        elif isinstance(event, BlockStarted):
            yield from [] if self._started else [self._start("")]
            yield from self._begin(event.block)
        elif isinstance(event, Delta):
            yield from self._add(event)
        elif isinstance(event, Cited):
            self._citations.append(event.citation)
        elif isinstance(event, BlockEnded):
            yield from self._end()
        elif isinstance(event, Finished):
            self._finished = event
        elif isinstance(event, Counted):
            self._usage = event.usage

    def _start(self, name: str) -> bytes:
        self._started = True
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        return _event("message-start", id=name or self._name, delta={"message": message})

    def _begin(self, block: Block) -> Iterator[bytes]:
        self._block, self._text, self._citations = block, [], []
        if isinstance(block, ToolCall):
            told = {"tool_calls": written_call(block, "")}
            yield _event("tool-call-start", index=self._calls, delta={"message": told})
            if block.arguments not in ("", "{}"):
                yield from self._add(Delta(0, block.arguments))
        elif isinstance(block, Text | Refusal):
            content: dict[str, Any] = {"type": "text", "text": ""}
            yield _event("content-start", index=self._parts, delta={"message": {"content": content}})
            if block.text:
                yield from self._add(Delta(0, block.text))
            if isinstance(block, Text):
                self._citations += block.citations
        elif isinstance(block, Reasoning) and block.text:
            yield from self._add(Delta(0, block.text))

    def _add(self, event: Delta) -> Iterator[bytes]:
        block = self._block
        if isinstance(block, ToolCall):
            told: dict[str, Any] = {"tool_calls": {"function": {"arguments": event.text}}}
            yield _event("tool-call-delta", index=self._calls, delta={"message": told})
        elif isinstance(block, Text | Refusal):
            self._text.append(event.text)
            told = {"content": {"text": event.text}}
            more = {"logprobs": _logprobs(event)} if event.logprobs else {}
            yield _event("content-delta", index=self._parts, delta={"message": told}, **more)
        elif isinstance(block, Reasoning) and block.id == PLAN and block.origin == ORIGIN:
            yield _event("tool-plan-delta", delta={"message": {"tool_plan": event.text}})
        elif isinstance(block, Reasoning):
            if not self._text:
                # One that has no text, being signed or hidden alone, is not told at all.
                content = {"type": "thinking", "thinking": ""}
                yield _event("content-start", index=self._parts, delta={"message": {"content": content}})
            self._text.append(event.text)
            told = {"content": {"thinking": event.text}}
            yield _event("content-delta", index=self._parts, delta={"message": told})

    def _end(self) -> Iterator[bytes]:
        block, self._block = self._block, None
        if isinstance(block, ToolCall):
            yield _event("tool-call-end", index=self._calls)
            self._calls += 1
        elif isinstance(block, Text | Refusal):
            yield from self._cite("".join(self._text))
            yield _event("content-end", index=self._parts)
            self._parts += 1
        elif isinstance(block, Reasoning) and self._text:
            yield _event("content-end", index=self._parts)
            self._parts += 1

    def _cite(self, text: str) -> Iterator[bytes]:
        told = write_citations(self._citations, text, self._parts, self._documents, self._offset)
        self._offset += len(text)
        for citation in told:
            yield _event("citation-start", index=self._cited, delta={"message": {"citations": citation}})
            yield _event("citation-end", index=self._cited)
            self._cited += 1


def _logprobs(event: Delta) -> dict[str, Any]:
    tokens = (event.logprobs or {}).get("content") or ()
    numbers = [token["logprob"] for token in tokens if isinstance(token, dict) and "logprob" in token]
    return {"text": event.text, "token_ids": [], "logprobs": numbers}


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))
