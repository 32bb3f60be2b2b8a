"""Writes a streamed answer as Amazon streams one.

One block after another: a start for a call only, its pieces, a stop; then why the answer ended, then what it used. Usage
often comes after the end of the answer, so both wait for the stream's close.
"""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import (
    Block,
    BlockEnded,
    BlockStarted,
    Choice,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Ping,
    Reasoning,
    Refusal,
    Sequencer,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage
from llmproxy_bedrock.answers import stop_of
from llmproxy_bedrock.citations import write_citation
from llmproxy_bedrock.errors import error_frame
from llmproxy_bedrock.frames import event_frame
from llmproxy_bedrock.thoughts import is_sealed, proof_of, sealed_data
from llmproxy_bedrock.usage import write_usage

#: What a stream can tell.
_TOLD: Final = (Text, Refusal, ToolCall, Reasoning)


class ConverseEncoder:
    """Turns canonical events into the frames of one stream."""

    def __init__(self) -> None:
        self._sequencer = Sequencer()
        self._begun = self._failed = self._called = self._worded = False
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._block: Block | None = None

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the frames of one event."""
        if self._failed or isinstance(event, Ping):
            return []
        out: list[bytes] = []
        if isinstance(event, Started):
            self._usage = event.usage or self._usage
            self._begin(out)
        elif isinstance(event, Counted):
            self._usage = event.usage
        elif not (isinstance(event, BlockStarted) and not isinstance(event.block, _TOLD)):
            # What comes of a block that was not begun the sequencer leaves out.
            for each in self._sequencer.feed(event):
                self._tell(each, out)
        return out

    def close(self) -> list[bytes]:
        """Return the end of the answer; nothing after an error."""
        if self._failed:
            return []
        out: list[bytes] = []
        for event in self._sequencer.close():
            self._tell(event, out)
        self._begin(out)
        finished = self._finished or Finished("stop")
        choice = Choice(finish=finished.reason, stop_sequence=finished.stop_sequence, detail=finished.detail)
        out.append(event_frame("messageStop", {"stopReason": stop_of(choice, called=self._called)}))
        told: dict[str, Any] = {"usage": write_usage(self._usage or Usage()), "metrics": {"latencyMs": 0}}
        if finished.explanation and finished.reason == "content_filter":
            told["trace"] = {"guardrail": {"actionReason": finished.explanation}}
        return [*out, event_frame("metadata", told)]

    def _begin(self, out: list[bytes]) -> None:
        if not self._begun:
            self._begun = True
            out.append(event_frame("messageStart", {"role": "assistant"}))

    def _tell(self, event: StreamEvent, out: list[bytes]) -> None:
        if isinstance(event, Failed):
            self._failed = True
            out.append(error_frame(event.error))
            return
        self._begin(out)
        if isinstance(event, Delta):
            self._piece(event.index, event.text, out)
        elif isinstance(event, BlockStarted):
            self._open(event, out)
        elif isinstance(event, BlockEnded):
            self._end(event.index, out)
        elif isinstance(event, Finished):
            self._finished = event
        elif isinstance(event, Cited):
            self._cite(event, out)
        elif isinstance(event, Signed) and isinstance(block := self._block, Reasoning):
            self._block = Reasoning(
                signature=event.signature,
                redacted=block.redacted,
                origin=block.origin,
                summary=block.summary,
                id=block.id,
            )

    def _open(self, event: BlockStarted, out: list[bytes]) -> None:
        block = self._block = event.block
        self._worded = False
        text = getattr(block, "text", "")
        if isinstance(block, ToolCall):
            self._called = True
            start = {"toolUse": {"toolUseId": block.id, "name": block.name}}
            out.append(event_frame("contentBlockStart", {"start": start, "contentBlockIndex": event.index}))
            text = "" if block.arguments == "{}" else block.arguments
        self._piece(event.index, text, out)
        for citation in block.citations if isinstance(block, Text) else ():
            self._cite(Cited(event.index, citation), out)

    def _piece(self, index: int, text: str, out: list[bytes]) -> None:
        if not text:
            return
        self._worded = True
        block = self._block
        if isinstance(block, ToolCall):
            _delta(index, {"toolUse": {"input": text}}, out)
        elif isinstance(block, Reasoning):
            _delta(index, {"reasoningContent": {"text": text}}, out)
        else:
            _delta(index, {"text": text}, out)

    def _cite(self, event: Cited, out: list[bytes]) -> None:
        citation = write_citation(event.citation)
        if citation is not None and isinstance(self._block, Text):
            _delta(event.index, {"citation": citation}, out)

    def _end(self, index: int, out: list[bytes]) -> None:
        block = self._block
        if isinstance(block, Reasoning):
            if is_sealed(block) and not self._worded:
                _delta(index, {"reasoningContent": {"redactedContent": sealed_data(block)}}, out)
            elif proof := proof_of(block):
                _delta(index, {"reasoningContent": {"signature": proof}}, out)
        out.append(event_frame("contentBlockStop", {"contentBlockIndex": index}))
        self._block = None


def _delta(index: int, told: dict[str, Any], out: list[bytes]) -> None:
    out.append(event_frame("contentBlockDelta", {"delta": told, "contentBlockIndex": index}))
