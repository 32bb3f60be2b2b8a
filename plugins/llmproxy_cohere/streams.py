"""A stream of chat events, read event by event.

Theory of operation. Parts of the content and calls of tools are counted apart, and the plan before the calls is not
counted at all; here each is a block. A part stays open until another begins: its citations may follow its end.
"""

from __future__ import annotations

from collections.abc import Callable
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
    Reasoning,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import Framer, error_of, parse
from llmproxy_cohere.answers import failure
from llmproxy_cohere.citations import read_citations
from llmproxy_cohere.finishes import read_finish
from llmproxy_cohere.logprobs import read_item
from llmproxy_cohere.turns import ORIGIN, PLAN
from llmproxy_cohere.usage import counted_usage

_MOST: Final = 64 * 1024 * 1024
_NULL: Final = "null"


class ChatDecoder:
    """Reads the stream of one answer."""

    def __init__(self) -> None:
        self._framer = Framer(max_event=_MOST)
        self._told: list[StreamEvent] = []
        self._count = 0
        self._open: int | None = None
        self._planning = False
        self._started = self._ended = self._called = False
        #: Of each part of the content its block, and where its text begins in the answer's.
        self._parts: dict[int, tuple[int, int]] = {}
        self._text: int | None = None
        self._said = 0
        self._calls: dict[int, _Call] = {}
        self._takers: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
            "message-start": self._start,
            "content-start": self._begin_part,
            "content-delta": self._add,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._begin_call,
            "tool-call-delta": self._argue,
            "tool-call-end": self._end_call,
            "citation-start": self._cite,
            "message-end": self._end,
        }

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete."""
        for block in self._framer.feed(data):
            if not self._ended:
                self._take(block)
        return self._drain()

    def close(self) -> list[StreamEvent]:
        """Return what was held back; some servers end without the last blank line."""
        rest = self._framer.close()
        if rest and not self._ended:
            try:
                self._take(rest)
            except ValueError as fault:
                raise TruncatedStream("the stream ended in the middle of an event") from fault
        if not self._ended:
            raise TruncatedStream("the stream ended before its answer did")
        return self._drain()

    def _drain(self) -> list[StreamEvent]:
        told, self._told = self._told, []
        return told

    def _take(self, block: bytes) -> None:
        event = parse(block)
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return
        value = orjson.loads(data)
        if type(value) is not dict:
            raise ValueError("an event is an object")
        kind = value.get("type")
        if type(kind) is not str:
            kind = (event.event or b"").decode("utf-8", "replace")
        taker = self._takers.get(kind)
        if taker is not None:
            delta = _members(value, "delta")
            taker(value, delta if kind == "message-end" else _members(delta, "message"))
        elif kind in ("", "error", "message") and ("message" in value or "error" in value):
            self._ended = True
            self._told.append(Failed(error_of(value)))

    def _start(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        if not self._started:
            self._started = True
            self._told.append(Started(_text(value, "id")))

    def _begin(self, block: Block) -> int:
        self._start({}, {})
        self._stop()
        index = self._count
        self._count += 1
        self._told.append(BlockStarted(index, block))
        return index

    def _stop(self) -> None:
        """End the part that is open."""
        if self._open is not None:
            self._told.append(BlockEnded(self._open))
        self._open, self._planning = None, False

    def _begin_part(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        content, place = _members(message, "content"), _index(value)
        thought = content.get("type") == "thinking"
        index = self._open = self._begin(Reasoning(origin=ORIGIN) if thought else Text(""))
        self._parts[place] = (index, self._said)
        if not thought:
            self._text = place
        self._say(index, content, value)

    def _add(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        place = _index(value)
        if place not in self._parts:
            self._begin_part({"index": place}, {"content": {"type": "text"}})
        elif self._parts[place][0] != self._open:
            raise ValueError("a part of the content goes on that has ended")
        self._say(self._parts[place][0], _members(message, "content"), value)

    def _say(self, index: int, content: dict[str, Any], value: dict[str, Any]) -> None:
        text = _text(content, "text")
        self._said += len(text)
        text += _text(content, "thinking")
        logprobs = read_item(value.get("logprobs"))
        if text or logprobs:
            self._told.append(Delta(index, text, logprobs))

    def _plan(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        if not self._planning:
            self._open = self._begin(Reasoning(origin=ORIGIN, id=PLAN))
            self._planning = True
        if (plan := _text(message, "tool_plan")) and self._open is not None:
            self._told.append(Delta(self._open, plan))

    def _begin_call(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        told = _members(message, "tool_calls")
        function = _members(told, "function")
        if "name" not in function:
            raise ValueError("a tool call names its function")
        name = _text(function, "name")
        self._called = True
        call = self._calls[_index(value)] = _Call(self._begin(ToolCall(_text(told, "id"), name, "")))
        self._told += call.take(_text(function, "arguments"))

    def _argue(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        call = self._calls.get(_index(value))
        if call is None or call.ended:
            raise ValueError("a tool call goes on that has not begun")
        self._told += call.take(_text(_members(_members(message, "tool_calls"), "function"), "arguments"))

    def _end_call(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        call = self._calls.get(_index(value))
        if call is not None and not call.ended:
            call.ended = True
            self._told.append(BlockEnded(call.index))

    def _cite(self, value: dict[str, Any], message: dict[str, Any]) -> None:
        told = message.get("citations")
        if type(told) is not dict or told.get("type", "TEXT_CONTENT") != "TEXT_CONTENT":
            return
        place = told.get("content_index")
        part = self._parts.get(place if type(place) is int else -1) or self._parts.get(
            -1 if self._text is None else self._text
        )
        if part is not None:
            self._told += [Cited(part[0], citation) for citation in read_citations(told, part[1])]

    def _end(self, value: dict[str, Any], delta: dict[str, Any]) -> None:
        self._start({}, {})
        self._stop()
        for place in self._calls:
            self._end_call({"index": place}, {})
        self._ended = True
        reason, detail = read_finish(_text(delta, "finish_reason"), called=self._called)
        usage = delta.get("usage")
        counts = counted_usage(usage) if type(usage) is dict else None
        if reason == "error" or delta.get("error"):
            self._told += [*([Counted(counts)] if counts else []), Failed(failure(delta))]
            return
        self._told.append(Finished(reason, None, detail))
        if counts is not None:
            self._told.append(Counted(counts))


class _Call:
    """A tool call that is being told; null in its arguments' place says that there are none."""

    __slots__ = ("_held", "ended", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.ended = False
        self._held: str | None = ""

    def take(self, piece: str) -> list[StreamEvent]:
        """Return what may be told of one piece more."""
        if self._held is not None:
            piece = self._held + piece
            if _NULL.startswith(piece.strip()):
                self._held = piece
                return []
            self._held = None
        return [Delta(self.index, piece)] if piece else []


def _members(where: dict[str, Any], key: str) -> dict[str, Any]:
    value = where.get(key)
    return value if type(value) is dict else {}


def _index(value: dict[str, Any]) -> int:
    index = value.get("index")
    return index if type(index) is int else 0


def _text(where: dict[str, Any], key: str) -> str:
    value = where.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise ValueError("a text of an event is a string")
    return value
