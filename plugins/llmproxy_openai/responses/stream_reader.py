"""Reads a provider's streamed response, event by event.

Theory of operation. Deltas are told as they come; what an item's end says beyond them is told then, for servers leave
out deltas, parts or whole items, and some end with an empty output. A reasoning block begins with its first text, or
with the item's end if there is none: only then is it known whether it can be shown.
"""

from __future__ import annotations

from collections.abc import Callable
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
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    TruncatedStream,
)
from llmproxy.plugin import Framer, error_of
from llmproxy_openai.responses.answer_reader import failure_of
from llmproxy_openai.responses.output_reader import (
    STRANGE,
    blocks_of,
    call_of,
    citations_of,
    created_of,
    finish_of,
    reasoning_of,
    string,
)
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.thoughts import GAP
from llmproxy_openai.taps import event_data
from llmproxy_openai.usage import read_usage

_MOST = 64 * 1024 * 1024

Event = dict[str, Any]


class _Open:
    """A block that is being told: its number, what was told of it; its kind is empty once it is whole."""

    __slots__ = ("cited", "index", "kind", "part", "pieces")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.pieces: list[str] = []
        self.cited = 0
        self.part = 0


class ResponsesDecoder:
    """The events of one response to canonical events."""

    def __init__(self) -> None:
        self._framer = Framer(max_event=_MOST)
        self._out: list[StreamEvent] = []
        self._begun = False
        self._ended = False
        self._called = False
        self._count = 0
        self._open: dict[tuple[Any, Any], _Open] = {}
        self._items: set[Any] = set()
        self._readers: dict[str, Callable[[Event], None]] = {
            "response.output_text.delta": self._text,
            "response.function_call_arguments.delta": self._arguments,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._thought,
            "response.refusal.delta": self._refusal,
            "response.created": self._created,
            "response.in_progress": self._created,
            "response.queued": self._created,
            "response.output_item.added": self._added,
            "response.content_part.added": self._part_added,
            "response.output_text.annotation.added": self._annotation,
            "response.content_part.done": self._part_done,
            "response.output_item.done": self._done,
            "response.completed": self._terminal,
            "response.incomplete": self._terminal,
            "response.failed": self._terminal,
            "error": self._error,
        }

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete.

        Raises:
            ValueError: the bytes are not of this dialect.
        """
        for block in self._framer.feed(data):
            self._read(block)
        out, self._out = self._out, []
        return out

    def close(self) -> list[StreamEvent]:
        """Return what no blank line ended.

        Raises:
            TruncatedStream: the response did not end.
        """
        rest = self._framer.close()
        if rest and not self._ended:
            try:
                self._read(rest)
            except ValueError:
                raise TruncatedStream("the stream was cut within an event") from None
        if not self._ended:
            raise TruncatedStream("the stream ended before the response did")
        out, self._out = self._out, []
        return out

    def _read(self, block: bytes) -> None:
        data = event_data(block)
        if self._ended or not data or data.strip() in (b"", b"[DONE]"):
            return
        event = orjson.loads(data)
        try:
            reader = self._readers.get(event.get("type"))
            if reader is not None:
                reader(event)
            elif event.get("error"):
                self._error(event)
        except STRANGE as fault:
            raise ValueError("an event has another shape than its type says") from fault

    def _begin(self, response: Event) -> None:
        if not self._begun:
            self._begun = True
            tier = string(response, "service_tier")
            self._out.append(
                Started(
                    string(response, "id"),
                    string(response, "model"),
                    created_of(response),
                    None,
                    "" if tier == "auto" else tier,
                )
            )

    def _created(self, event: Event) -> None:
        self._begin(event["response"])

    def _start(self, key: tuple[Any, Any], kind: str, block: Any) -> _Open:
        self._begin({})
        self._items.add(key[0])
        found = self._open[key] = _Open(self._count, kind)
        self._count += 1
        self._out.append(BlockStarted(found.index, block))
        return found

    def _more(self, found: _Open, text: Any, logprobs: Any = None) -> None:
        if not isinstance(text, str):
            raise TypeError
        if text:
            found.pieces.append(text)
            told = {"content": logprobs} if logprobs and isinstance(logprobs, list) else None
            self._out.append(Delta(found.index, text, told))

    def _rest(self, found: _Open, whole: str) -> None:
        """Tell what of a block's whole text was not told yet."""
        told = "".join(found.pieces)
        if whole.startswith(told):
            self._more(found, whole[len(told) :])

    def _text(self, event: Event) -> None:
        key = (event["output_index"], event.get("content_index", 0))
        found = self._open.get(key) or self._start(key, "text", Text(text=""))
        self._more(found, event["delta"], event.get("logprobs"))

    def _refusal(self, event: Event) -> None:
        key = (event["output_index"], event.get("content_index", 0))
        self._more(self._open.get(key) or self._start(key, "refusal", Refusal(text="")), event["delta"])

    def _arguments(self, event: Event) -> None:
        found = self._open.get((event["output_index"], "call"))
        if found is not None:
            self._more(found, event["delta"])

    def _summary(self, event: Event) -> None:
        found = self._thinking(event, "summary")
        part = event.get("summary_index", 0)
        if found is not None:
            if part != found.part and found.pieces:
                self._more(found, GAP)
            found.part = part
            self._more(found, event["delta"])

    def _thought(self, event: Event) -> None:
        found = self._thinking(event, "thought")
        if found is not None:
            self._more(found, event["delta"])

    def _thinking(self, event: Event, kind: str) -> _Open | None:
        """Return the block of a reasoning item, which is either its summary or its text: what comes first."""
        key = (event["output_index"], "reasoning")
        found = self._open.get(key)
        if found is None:
            summary = kind == "summary"
            block = Reasoning(origin=ORIGIN if summary else "", summary=summary, id=string(event, "item_id"))
            found = self._start(key, kind, block)
        return found if found.kind == kind else None

    def _added(self, event: Event) -> None:
        item = event["item"]
        if item["type"] == "function_call":
            self._call(event["output_index"], item)

    def _call(self, place: Any, item: Event) -> _Open:
        self._called = True
        return self._start((place, "call"), "call", call_of(item, ""))

    def _part_added(self, event: Event) -> None:
        key, kind = (event["output_index"], event.get("content_index", 0)), event["part"]["type"]
        if kind == "output_text" and key not in self._open:
            self._start(key, "text", Text(text=""))
        elif kind == "refusal" and key not in self._open:
            self._start(key, "refusal", Refusal(text=""))

    def _annotation(self, event: Event) -> None:
        found = self._open.get((event["output_index"], event.get("content_index", 0)))
        citations = citations_of({"annotations": [event.get("annotation")]})
        if found is not None and citations:
            found.cited += 1
            self._out.append(Cited(found.index, citations[0]))

    def _part_done(self, event: Event) -> None:
        kind = event["part"]["type"]
        if kind in {"output_text", "refusal"}:
            self._end_part((event["output_index"], event.get("content_index", 0)), event["part"])

    def _end_parts(self, place: Any, parts: Any) -> None:
        """Compare parts in their order: some servers number them through all items."""
        keys = [key for key in self._open if key[0] == place]
        for number, part in enumerate(parts):
            if part["type"] in {"output_text", "refusal"}:
                self._end_part(keys.pop(0) if keys else (place, f"more {number}"), part)

    def _end_part(self, key: tuple[Any, Any], part: Event) -> None:
        found = self._open.get(key)
        if found is None:
            refusal = part["type"] == "refusal"
            found = self._start(
                key, "refusal" if refusal else "text", Refusal(text="") if refusal else Text(text="")
            )
        if found.kind == "":
            return
        self._rest(found, string(part, "refusal" if found.kind == "refusal" else "text"))
        for citation in citations_of(part)[found.cited :]:
            self._out.append(Cited(found.index, citation))
        self._end(found)

    def _end(self, found: _Open) -> None:
        if found.kind:
            found.kind = ""
            self._out.append(BlockEnded(found.index))

    def _done(self, event: Event) -> None:
        self._item_done(event["output_index"], event["item"])

    def _item_done(self, place: Any, item: Event) -> None:
        """Tell what an item holds beyond what was told of it."""
        kind = item["type"]
        self._begin({})
        if kind == "message":
            self._end_parts(place, item.get("content") or ())
        elif kind == "function_call":
            self._end_call(place, item)
        elif kind == "reasoning":
            self._end_thought(place, item)
        elif place not in self._items:
            for block in blocks_of(item):
                self._end(self._start((place, "whole"), "whole", block))
        self._items.add(place)

    def _end_call(self, place: Any, item: Event) -> None:
        found = self._open.get((place, "call")) or self._call(place, item)
        if found.kind:
            self._rest(found, string(item, "arguments"))
            self._end(found)

    def _end_thought(self, place: Any, item: Event) -> None:
        thought, found = reasoning_of(item), self._open.get((place, "reasoning"))
        if thought is None or (found is not None and not found.kind):
            return
        if found is None:
            block = Reasoning(
                redacted=thought.redacted, origin=thought.origin, summary=thought.summary, id=thought.id
            )
            found = self._start((place, "reasoning"), "summary" if thought.summary else "thought", block)
        if thought.summary == (found.kind == "summary"):
            self._rest(found, thought.text)
        if thought.signature:
            self._out.append(Signed(found.index, thought.signature))
        self._end(found)

    def _terminal(self, event: Event) -> None:
        response = event["response"]
        self._begin(response)
        self._ended = True
        if event["type"] == "response.failed" or response.get("status") == "failed":
            self._out.append(Failed(failure_of(response)))
            return
        if not self._items:
            for place, item in enumerate(response.get("output") or ()):
                self._item_done(place, item)
        for found in self._open.values():
            self._end(found)
        status = event["type"].removeprefix("response.")
        reason, detail = finish_of({**response, "status": status}, called=self._called)
        self._out.append(Finished(reason or "error", detail=detail))
        usage = response.get("usage")
        counted = read_usage(usage) if isinstance(usage, dict) else None
        if counted is not None:
            self._out.append(Counted(counted))

    def _error(self, event: Event) -> None:
        """An error of its own; the members of it stand in the event, or under `error`."""
        self._begin({})
        self._ended = True
        told = event if isinstance(event.get("message"), str) else {"error": event.get("error")}
        self._out.append(Failed(error_of({key: value for key, value in told.items() if key != "type"})))
