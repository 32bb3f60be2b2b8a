"""Reads the events that tell the items of a streamed response.

Theory of operation. Deltas are told as they come; what an item's end says beyond them is told then, for servers leave
out deltas, parts or whole items. A reasoning block begins with its first text, or with the item's end if there is none:
only then is it known whether it can be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmproxy.canonical import Reasoning, Refusal, Text
from llmproxy_openai.responses.output_reader import (
    TEXTS,
    arguments_of,
    blocks_of,
    call_of,
    citations_of,
    parts_of,
    reasoning_of,
    string,
)
from llmproxy_openai.responses.parts import ORIGIN
from llmproxy_openai.responses.thoughts import GAP
from llmproxy_openai.responses.told_blocks import Key, Told, ToldBlocks

Event = dict[str, Any]

_PARTS = TEXTS | {"refusal"}


class ItemEvents:
    """Events of items, by their type; `places` of items that were seen, `called` if a function was."""

    def __init__(self, blocks: ToldBlocks) -> None:
        self.called = False
        self.places: set[Any] = set()
        self._blocks = blocks
        self._names: dict[str, Any] = {}
        self._last: Any = 0
        self._begun = 0
        self.readers: dict[str, Callable[[Event], None]] = {
            "response.output_text.delta": self._text,
            "response.function_call_arguments.delta": self._arguments,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._thought,
            "response.refusal.delta": self._refusal,
            "response.output_item.added": self._added,
            "response.content_part.added": self._part_added,
            "response.output_text.annotation.added": self._annotation,
            "response.content_part.done": self._part_done,
            "response.output_item.done": self._done,
        }

    def whole(self, place: Any, item: Event) -> None:
        """Tell what an item holds beyond what was told of it."""
        kind = item["type"]
        if kind == "message":
            self._end_parts(place, parts_of(item))
        elif kind == "function_call":
            self._end_call(place, item)
        elif kind == "reasoning":
            self._end_thought(place, item)
        elif place not in self.places:
            for block in blocks_of(item):
                self._blocks.end(self._start((place, "whole"), "whole", block))
        self.places.add(place)

    def _place(self, event: Event, *, begins: bool = False) -> Any:
        """Return where an event's item stands: what it says, or else where its id was last, or the item before."""
        place, item = event.get("output_index"), event.get("item")
        name = string(event, "item_id") or (string(item, "id") if isinstance(item, dict) else "")
        if place is None or type(place) is str:
            self._begun += begins
            place = f"item {self._begun}" if begins else self._names.get(name, self._last)
        self._last = self._names[name] = place
        return place

    def _part_of(self, event: Event) -> Key:
        number = event.get("content_index")
        return self._place(event), number if type(number) is int else 0

    def _start(self, key: Key, kind: str, block: Any) -> Told:
        self.places.add(key[0])
        return self._blocks.start(key, kind, block)

    def _begin_part(self, key: Key, *, refusal: bool) -> Told:
        if refusal:
            return self._start(key, "refusal", Refusal(text=""))
        return self._start(key, "text", Text(text=""))

    def _text(self, event: Event) -> None:
        key = self._part_of(event)
        told = self._blocks.get(key) or self._begin_part(key, refusal=False)
        self._blocks.more(told, event["delta"], event.get("logprobs"))

    def _refusal(self, event: Event) -> None:
        key = self._part_of(event)
        self._blocks.more(self._blocks.get(key) or self._begin_part(key, refusal=True), event["delta"])

    def _arguments(self, event: Event) -> None:
        told = self._blocks.get((self._place(event), "call"))
        if told is not None:
            self._blocks.more(told, event["delta"])

    def _summary(self, event: Event) -> None:
        told = self._thinking(event, "summary")
        part = event.get("summary_index", 0)
        if told is not None:
            if part != told.part and told.pieces:
                self._blocks.more(told, GAP)
            told.part = part
            self._blocks.more(told, event["delta"])

    def _thought(self, event: Event) -> None:
        told = self._thinking(event, "thought")
        if told is not None:
            self._blocks.more(told, event["delta"])

    def _thinking(self, event: Event, kind: str) -> Told | None:
        """Return the block of a reasoning item, which is either its summary or its text: what comes first."""
        key = (self._place(event), "reasoning")
        told = self._blocks.get(key)
        if told is None:
            own = kind == "summary"
            block = Reasoning(origin=ORIGIN if own else "", summary=own, id=string(event, "item_id"))
            told = self._start(key, kind, block)
        return told if told.kind == kind else None

    def _added(self, event: Event) -> None:
        place, item = self._place(event, begins=True), event["item"]
        if item["type"] == "function_call" and string(item, "name"):  # else its end tells the name
            self._call(place, item)

    def _call(self, place: Any, item: Event) -> Told:
        self.called = True
        return self._start((place, "call"), "call", call_of(item, ""))

    def _part_added(self, event: Event) -> None:
        key, kind = self._part_of(event), event["part"].get("type")
        if kind in _PARTS and self._blocks.get(key) is None:
            self._begin_part(key, refusal=kind == "refusal")

    def _annotation(self, event: Event) -> None:
        told = self._blocks.get(self._part_of(event))
        if told is not None and told.kind == "text":
            self._blocks.cite(told, citations_of({"annotations": [event.get("annotation")]}))

    def _part_done(self, event: Event) -> None:
        if event["part"].get("type") in _PARTS:
            self._end_part(self._part_of(event), event["part"])

    def _end_parts(self, place: Any, parts: Any) -> None:
        """Compare parts in their order: some servers number them through all items."""
        keys = self._blocks.of_item(place)
        for number, part in enumerate(parts):
            if part.get("type") in _PARTS:
                self._end_part(keys.pop(0) if keys else (place, f"more {number}"), part)

    def _end_part(self, key: Key, part: Event) -> None:
        told = self._blocks.get(key) or self._begin_part(key, refusal=part["type"] == "refusal")
        if told.kind:
            self._blocks.rest(told, string(part, "refusal" if told.kind == "refusal" else "text"))
            self._blocks.cite(told, citations_of(part)[told.cited :])
            self._blocks.end(told)

    def _done(self, event: Event) -> None:
        self.whole(self._place(event), event["item"])

    def _end_call(self, place: Any, item: Event) -> None:
        told = self._blocks.get((place, "call")) or self._call(place, item)
        if told.kind:
            self._blocks.rest(told, arguments_of(item))
            self._blocks.end(told)

    def _end_thought(self, place: Any, item: Event) -> None:
        thought, told = reasoning_of(item), self._blocks.get((place, "reasoning"))
        if thought is None or (told is not None and not told.kind):
            return
        kind = "summary" if thought.summary else "thought"
        if told is None:
            block = Reasoning(
                redacted=thought.redacted, origin=thought.origin, summary=thought.summary, id=thought.id
            )
            told = self._start((place, "reasoning"), kind, block)
        if told.kind == kind:
            self._blocks.rest(told, thought.text)
        self._blocks.sign(told, thought.signature)
        self._blocks.end(told)
