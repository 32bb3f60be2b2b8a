"""Reads a provider's streamed response, event by event; what its end repeats serves those that sent nothing before."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import Counted, Failed, Finished, Started, StreamEvent, TruncatedStream
from llmproxy.plugin import Framer, error_of, event_data, parse
from llmproxy_openai.responses.answer_reader import failure_of
from llmproxy_openai.responses.item_events import Event, ItemEvents
from llmproxy_openai.responses.output_reader import STRANGE, created_of, finish_of, string
from llmproxy_openai.responses.told_blocks import ToldBlocks
from llmproxy_openai.usage import read_usage

#: Bytes of one event; the last one repeats the answer, pictures among it.
_MOST: Final = 64 * 1024 * 1024
_DATA: Final = b"\ndata: "


class ResponsesDecoder:
    """The events of one response to canonical events."""

    def __init__(self) -> None:
        self._framer = Framer(max_event=_MOST)
        self._blocks = ToldBlocks()
        self._items = ItemEvents(self._blocks)
        self._readers = {
            **self._items.readers,
            "response.created": self._started,
            "response.in_progress": self._started,
            "response.queued": self._started,
            "response.completed": self._terminal,
            "response.incomplete": self._terminal,
            "response.failed": self._terminal,
            "error": self._error,
        }
        self._begun = False
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete.

        Raises:
            ValueError: the bytes are not of this dialect.
        """
        for block in self._framer.feed(data):
            self._read(block)
        return self._told()

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
        return self._told()

    def _told(self) -> list[StreamEvent]:
        out, self._blocks.out = self._blocks.out, []
        return out

    def _read(self, block: bytes) -> None:
        if self._ended:
            return
        at = block.find(_DATA)
        # Nearly all events are a line with their name and a line of data.
        plain = at > 0 and block.startswith(b"event: ") and block.find(b"\n", at + 1) == len(block) - 2
        data = block[at + 7 : -2] if plain else event_data(block).strip()
        if not data or data == b"[DONE]":
            return
        event = orjson.loads(data)
        if type(event) is dict and "type" not in event:
            event["type"] = (parse(block).event or b"").decode("utf-8", "replace")
        try:
            self._take(event)
        except STRANGE as fault:
            raise ValueError("an event has another shape than its type says") from fault

    def _take(self, event: Event) -> None:
        reader = self._readers.get(event.get("type", ""))
        if reader is None and event.get("error"):
            reader = self._error
        if reader is None:
            return
        if not self._begun:
            self._begin(event.get("response") or {})
        reader(event)

    def _begin(self, response: Event) -> None:
        self._begun = True
        tier = string(response, "service_tier")
        self._blocks.out.append(
            Started(
                string(response, "id"),
                string(response, "model"),
                created_of(response),
                None,
                "" if tier == "auto" else tier,
            )
        )

    def _started(self, event: Event) -> None:
        """All that it says was told before."""

    def _terminal(self, event: Event) -> None:
        response = event["response"]
        out = self._blocks.out
        if event["type"] == "response.failed" or response.get("status") == "failed":
            out.append(Failed(failure_of(response)))
            self._ended = True
            return
        if not self._items.places:
            for place, item in enumerate(response.get("output") or ()):
                self._items.whole(place, item)
        self._blocks.end_all()
        status = event["type"].removeprefix("response.")
        reason, detail = finish_of({**response, "status": status}, called=self._items.called)
        out.append(Finished(reason or "error", detail=detail))
        usage = response.get("usage")
        counted = read_usage(usage) if isinstance(usage, dict) else None
        if counted is not None:
            out.append(Counted(counted))
        self._ended = True

    def _error(self, event: Event) -> None:
        """An error of its own; the members of it stand in the event, or under `error`."""
        told: dict[str, Any] = {"error": event.get("error")}
        if isinstance(event.get("message"), str):
            told = {key: value for key, value in event.items() if key != "type"}
        self._blocks.out.append(Failed(error_of(told)))
        self._ended = True
