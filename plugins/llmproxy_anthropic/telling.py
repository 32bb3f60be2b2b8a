"""Writes a streamed message in the exact order that Anthropic's SDKs rely on.

One message_start; blocks one after another, each with a start, pieces and a stop; one message_delta with why it ended
and what it used; one message_stop. Usage often comes after the end of the answer, so message_delta waits for the
stream's close.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Block,
    BlockEnded,
    BlockStarted,
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
from llmproxy_anthropic.answers import TIERS, stop_of, write_said
from llmproxy_anthropic.citations import write_citation
from llmproxy_anthropic.errors import error_event
from llmproxy_anthropic.thoughts import OWN, proof_of, write_thought
from llmproxy_anthropic.usage import write_usage

_PIECE: Final = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%b}}\n\n'
)
_STOPPED: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_END: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT: Final = (b"text_delta", b"text")
_ARGUMENTS: Final = (b"input_json_delta", b"partial_json")
_THOUGHT: Final = (b"thinking_delta", b"thinking")
_SIGNATURE: Final = (b"signature_delta", b"signature")


class MessageEncoder:
    """Turns canonical events into the bytes of one stream.

    `model` and `name` stand in where the provider tells neither; `estimate` is the input's size until it is known.
    """

    def __init__(self, model: str, name: str, estimate: int) -> None:
        self._model = model
        self._name = name
        self._estimate = estimate
        self._sequencer = Sequencer()
        self._begun = self._failed = self._called = False
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._kind: tuple[bytes, bytes] | None = None
        self._block: Block | None = None

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the wire pieces of one event."""
        if self._failed:
            return []
        out: list[bytes] = []
        kind = type(event)
        if kind is Started:
            self._start(event, out)  # type: ignore[arg-type]  # told by its class
        elif kind is Counted:
            self._usage = event.usage  # type: ignore[union-attr]
        elif kind is Ping:
            out.append(_PING)
        elif not (isinstance(event, BlockStarted) and _opening(event.block) is None):
            # What comes of a block that was not begun the sequencer leaves out.
            for each in self._sequencer.feed(event):
                self._tell(each, out)
        return out

    def close(self) -> list[bytes]:
        """Return the end of the message; nothing after an error."""
        if self._failed:
            return []
        out: list[bytes] = []
        for event in self._sequencer.close():
            self._tell(event, out)
        if not self._begun:
            self._start(Started(), out)
        finished = self._finished
        delta = (
            {"stop_reason": None, "stop_sequence": None}
            if finished is None
            else stop_of(finished.reason, finished.stop_sequence, finished.explanation, called=self._called)
        )
        usage = {"output_tokens": 0} if self._usage is None else write_usage(self._usage)
        return [*out, _event("message_delta", {"delta": delta, "usage": usage}), _END]

    def _start(self, event: Started, out: list[bytes]) -> None:
        self._begun = True
        if event.usage is None:
            usage: dict[str, Any] = {"input_tokens": self._estimate, "output_tokens": 1}
        else:
            self._usage = event.usage
            usage = write_usage(event.usage)
        if event.service_tier in TIERS:
            usage["service_tier"] = TIERS[event.service_tier]
        message: dict[str, Any] = {
            "id": event.id or f"msg_{self._name}",
            "type": "message",
            "role": "assistant",
            "model": event.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        out.append(_event("message_start", {"message": message}))

    def _tell(self, event: StreamEvent, out: list[bytes]) -> None:
        if not self._begun and not isinstance(event, Failed):
            self._start(Started(), out)
        if isinstance(event, Delta):
            if event.text and self._kind is not None:
                out.append(_PIECE % (event.index, *self._kind, orjson.dumps(event.text)))
        elif isinstance(event, BlockStarted):
            self._open(event, out)
        elif isinstance(event, BlockEnded):
            self._end(event.index, out)
        elif isinstance(event, Finished):
            self._finished = event
        elif isinstance(event, Failed):
            self._failed = True
            out.append(error_event(event.error))
        else:
            self._mark(event, out)

    def _open(self, event: BlockStarted, out: list[bytes]) -> None:
        block = self._block = event.block
        out.append(_event("content_block_start", {"index": event.index, "content_block": _opening(block)}))
        text = ""
        if isinstance(block, Text | Refusal):
            self._kind, text = _TEXT, block.text
        elif isinstance(block, ToolCall):
            self._called = True
            self._kind, text = _ARGUMENTS, "" if block.arguments == "{}" else block.arguments
        elif isinstance(block, Reasoning) and not _is_sealed(block):
            self._kind, text = _THOUGHT, block.text
        else:
            self._kind = None
        if text and self._kind is not None:
            out.append(_PIECE % (event.index, *self._kind, orjson.dumps(text)))
        if isinstance(block, Text):
            for citation in block.citations:
                self._mark(Cited(event.index, citation), out)

    def _mark(self, event: StreamEvent, out: list[bytes]) -> None:
        """Tell a citation; keep a thought's signature for its end."""
        block = self._block
        if isinstance(event, Cited) and isinstance(block, Text):
            citation = write_citation(event.citation, asked=False)
            if citation is not None:
                out.append(_PIECE % (event.index, b"citations_delta", b"citation", orjson.dumps(citation)))
        elif isinstance(event, Signed) and isinstance(block, Reasoning):
            self._block = Reasoning(
                signature=event.signature,
                redacted=block.redacted,
                origin=block.origin,
                summary=block.summary,
                id=block.id,
            )

    def _end(self, index: int, out: list[bytes]) -> None:
        block = self._block
        if isinstance(block, Reasoning) and self._kind is _THOUGHT and (proof := proof_of(block)):
            out.append(_PIECE % (index, *_SIGNATURE, orjson.dumps(proof)))
        out.append(_STOPPED % index)
        self._kind = self._block = None


def _opening(block: Block) -> dict[str, Any] | None:
    """Return a block as it begins; None where the dialect has none such."""
    if isinstance(block, Text | Refusal):
        return {"type": "text", "text": ""}
    if isinstance(block, ToolCall):
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
    if isinstance(block, Reasoning):
        return (
            write_thought(block)
            if _is_sealed(block)
            else {"type": "thinking", "thinking": "", "signature": ""}
        )
    return write_said(block)


def _is_sealed(block: Reasoning) -> bool:
    """Say whether nobody but Anthropic can read the thought."""
    return bool(block.redacted) and block.origin in (OWN, "")


def _event(kind: str, told: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **told}))
