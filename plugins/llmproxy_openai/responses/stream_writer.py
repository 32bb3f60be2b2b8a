"""Writes a streamed response: the order of events that OpenAI's SDKs expect, each with its number.

Theory of operation. Items of a response may overlap in principle, but callers need not follow that; so blocks are put
one after another. Texts that follow one another are parts of one message, which stays open until another kind of item
begins or the answer ends. What ends the stream is written last, for counts may follow the end of the text.
"""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    FinishReason,
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
from llmproxy.plugin import Exchange, GatewayError, Usage
from llmproxy_openai.responses.asked import asked_of
from llmproxy_openai.responses.envelope import counts, end, envelope, failure
from llmproxy_openai.responses.ids import item_id
from llmproxy_openai.responses.open_items import OpenCall, OpenCustom, OpenMessage, OpenThought
from llmproxy_openai.responses.output import whole_item

_PING = b": ping\n\n"


class ResponsesEncoder:
    """Canonical events to the events of one response."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked = asked_of(exchange)
        self._asked.encoder = self
        self._sequencer = Sequencer()
        self._pieces: list[bytes] = []
        self._number = 0
        self._response: dict[str, Any] = {}
        self._output: list[dict[str, Any]] = []
        self._open: OpenMessage | OpenCall | OpenCustom | OpenThought | None = None
        self._in_part = False
        self._finish: FinishReason | None = None
        self._refused = False
        self._usage: Usage | None = None
        self._ended = False

    def feed(self, event: StreamEvent) -> list[bytes]:
        """Return the wire pieces of one event."""
        if self._ended:
            return []
        for each in self._sequencer.feed(event):
            self._take(each)
        return self._told()

    def close(self) -> list[bytes]:
        """Return what ends the response."""
        if self._ended:
            return []
        self._begin(Started())
        for each in self._sequencer.close():
            self._take(each)
        status = end(self._response, self._finish, refused=self._refused)
        self._end_item("completed" if status == "completed" else "incomplete")
        self._finally(f"response.{status}")
        return self._told()

    def fail(self, error: GatewayError) -> bytes:
        """Return what ends a response that breaks off; nothing if it has ended."""
        return b"".join(self.feed(Failed(error)))

    def _told(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _tell(self, kind: str, members: dict[str, Any]) -> None:
        event = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        self._pieces.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event)))

    def _take(self, event: StreamEvent) -> None:
        if type(event) is Delta:
            if self._open is not None:
                self._open.more(event.text, event.logprobs)
        elif isinstance(event, BlockStarted):
            self._begin(Started())
            self._start(event)
        elif isinstance(event, BlockEnded):
            self._end_block()
        elif isinstance(event, Signed):
            if isinstance(self._open, OpenThought):
                self._open.sign(event.signature)
        elif isinstance(event, Cited):
            if isinstance(self._open, OpenMessage):
                self._open.cite(event.citation)
        else:
            self._take_outer(event)

    def _take_outer(self, event: StreamEvent) -> None:
        if isinstance(event, Started):
            self._usage = event.usage or self._usage
            self._begin(event)
        elif isinstance(event, Finished):
            self._finish = event.reason
        elif isinstance(event, Counted):
            self._usage = event.usage
        elif isinstance(event, Failed):
            self._fail(event.error)
        elif isinstance(event, Ping) and self._response:
            self._pieces.append(_PING)

    def _begin(self, started: Started) -> None:
        if self._response:
            return
        self._response = envelope(
            self._exchange,
            self._asked,
            model=started.model,
            created=started.created,
            service_tier=started.service_tier,
            status="in_progress",
        )
        self._tell("response.created", {"response": self._response})
        self._tell("response.in_progress", {"response": self._response})

    def _start(self, event: BlockStarted) -> None:
        block, response = event.block, self._asked.id
        if isinstance(block, Text | Refusal):
            self._refused = self._refused or isinstance(block, Refusal)
            if not isinstance(self._open, OpenMessage):
                self._end_item("completed")
                self._open = OpenMessage(self._tell, item_id("msg", response, event.index), len(self._output))
            self._open.start(block)
            self._in_part = True
        elif isinstance(block, ToolCall):
            self._end_item("completed")
            custom = block.name in self._asked.custom
            name = item_id("ctc" if custom else "fc", response, event.index)
            self._open = (OpenCustom if custom else OpenCall)(self._tell, name, len(self._output), block)
        elif isinstance(block, Reasoning):
            self._end_item("completed")
            self._open = OpenThought(
                self._tell, item_id("rs", response, event.index), len(self._output), block
            )
        elif (item := whole_item(block, response, event.index)) is not None:
            self._end_item("completed")
            self._whole(item)

    def _whole(self, item: dict[str, Any]) -> None:
        members = {"output_index": len(self._output), "item": item}
        self._tell("response.output_item.added", members)
        self._tell("response.output_item.done", members)
        self._output.append(item)

    def _end_block(self) -> None:
        if self._in_part and isinstance(self._open, OpenMessage):
            self._open.end_block()
        self._in_part = False

    def _end_item(self, status: str) -> None:
        if self._open is not None:
            self._output.append(self._open.end(status))
            self._open = None

    def _fail(self, error: GatewayError) -> None:
        self._begin(Started())
        self._end_item("incomplete")
        self._response["status"] = "failed"
        self._response["error"] = failure(error)
        self._finally("response.failed")

    def _finally(self, kind: str) -> None:
        self._response["output"] = self._output
        self._response["usage"] = counts(self._usage)
        self._tell(kind, {"response": self._response})
        self._ended = True


def stream_encoder(exchange: Exchange) -> ResponsesEncoder:
    """Return a fresh encoder for one stream."""
    return ResponsesEncoder(exchange)


def stream_error(exchange: Exchange, error: GatewayError) -> bytes | None:
    """Return what ends a stream that was being translated and broke off; None where none was."""
    encoder = asked_of(exchange).encoder
    passed = exchange.attempts and not exchange.attempts[-1].translated
    return None if encoder is None or passed else encoder.fail(error)
