"""A stream's bytes, read into canonical events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.canonical import (
    Counted,
    Delta,
    Failed,
    Reasoning,
    Started,
    StreamEvent,
    Text,
    TruncatedStream,
)
from llmproxy.plugin import Framer, GatewayError, Headers, LineFramer, parse
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.telling import Numbers, Told

if TYPE_CHECKING:
    from llmproxy_declared.errors import ErrorReader
    from llmproxy_declared.streaming import Streamed
    from llmproxy_declared.toolcalls import Call

#: An event may hold a whole answer so far.
_MOST: Final = 64 * 1024 * 1024
_DONE: Final = b"[DONE]"


class Decoder:
    """Reads the stream of one answer; `lines` says that its events are lines.

    `seed` makes ids of calls that have none, if the answer has none either.
    """

    def __init__(
        self, streamed: Streamed, errors: ErrorReader, headers: Headers, *, lines: bool, seed: str = ""
    ) -> None:
        self._streamed = streamed
        self._errors = errors
        self._aspects = streamed.aspects
        self._lines = LineFramer(max_line=_MOST) if lines else None
        self._framer = Framer(max_event=_MOST)
        self._numbers = Numbers()
        self._choices: dict[int, Told] = {}
        self._events: list[StreamEvent] = []
        self._counts: dict[str, int] = {}
        self._aspects.usage.read_head(headers, self._counts)
        self._last_calls: dict[int, list[Call]] = {}
        self._name = ""
        self._seed = seed
        self._started = False
        self._spoke = False
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete, the last a failure where they are not as declared.

        Raises:
            EventTooLarge: one of their events is.
        """
        for text, event in self._blocks(data):
            self._take(text, event)
        return self._drain()

    def close(self) -> list[StreamEvent]:
        """Return what was held back: some servers end without the last blank line.

        Raises:
            TruncatedStream: the stream has no end.
        """
        for text, event in self._rest():
            self._take(text, event)
        if not self._ended:
            self._close()
        return self._drain()

    def _blocks(self, data: bytes) -> Iterator[tuple[bytes, str]]:
        if self._lines is not None:
            yield from ((line, "") for line in self._lines.feed(data))
            return
        for block in self._framer.feed(data):
            yield from _data_of(block)

    def _rest(self) -> Iterator[tuple[bytes, str]]:
        rest = self._framer.close() if self._lines is None else self._lines.close()
        if self._lines is not None and rest.strip():
            yield rest, ""
        elif self._lines is None and rest:
            yield from _data_of(rest)

    def _take(self, text: bytes, event: str) -> None:
        """Take one event; what came before a broken one is told all the same, however the bytes were cut."""
        if self._ended:
            return
        try:
            self._take_event(text, event)
        except BadAnswer as fault:
            fault.phase = "body" if self._spoke or any(map(_is_output, self._events)) else "first_token"
            self._fail(fault)

    def _take_event(self, text: bytes, event: str) -> None:
        text = text.strip() if self._streamed.reads_json else text
        if self._streamed.mark and text.strip() == self._streamed.mark:
            self._end()
            return
        if self._streamed.reads_json and text in (b"", _DONE):
            return
        document = self._read(text)
        if self._errors.told(document, event):
            self._fail(self._errors.read(document))
            return
        ends = self._streamed.ends(document, event)
        if not ends or self._streamed.reads_json:
            self._take_document(document, event)
        if ends:
            self._end()

    def _read(self, text: bytes) -> Any:
        if not self._streamed.reads_json:
            return text.decode("utf-8", "replace")
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise BadAnswer("The upstream's stream has an event that is no JSON.") from None

    def _take_document(self, document: Any, event: str) -> None:
        aspects = self._aspects
        aspects.usage.read(document, self._counts)
        name = self._name = self._name or aspects.id.name_in(document)
        if not self._started and (name or not aspects.id):
            self._start(document)
        for number, choice in aspects.choices(document):
            told = self._choices.get(number)
            if told is None:
                told = self._choices[number] = Told(number, self._numbers, self._events.append)
            if self._streamed.counts(document, event):
                self._hear(told, number, choice)
            told.finish = aspects.finish.read(choice) or told.finish

    def _hear(self, told: Told, number: int, choice: Any) -> None:
        aspects = self._aspects
        say = told.say_so_far if self._streamed.cumulative else told.say
        for kind, place in ((Reasoning, aspects.reasoning), (Text, aspects.text)):
            if text := place.text_in(choice):
                if not self._started:
                    self._start(choice)
                say(kind, text)
        calls = aspects.calls.read(choice)
        if calls and self._streamed.cumulative:
            self._last_calls[number] = calls
        else:
            for call in calls:
                if not self._started:
                    self._start(choice)
                told.call(call, self._name or self._seed)

    def _start(self, document: Any) -> None:
        self._started = True
        self._events.append(Started(self._name, self._aspects.model.name_in(document)))

    def _fail(self, error: GatewayError) -> None:
        self._ended = True
        self._tell_usage()
        self._events.append(Failed(error))

    def _close(self) -> None:
        """Take the connection's end for the stream's, where that is declared or the reason to finish was told."""
        streamed = self._streamed
        finished = bool(self._choices) and all(told.finish for told in self._choices.values())
        if not (finished and streamed.finishes) and not (self._choices and streamed.closes):
            raise TruncatedStream("the stream ended before its declared end")
        self._end()

    def _end(self) -> None:
        if not self._choices:
            raise TruncatedStream("the stream ended before the answer began")
        self._ended = True
        if not self._started:
            self._start(None)
        for number in sorted(self._choices):
            told = self._choices[number]
            for call in self._last_calls.get(number, ()):
                told.call(call, self._name or self._seed)
            told.end()
        self._tell_usage()

    def _tell_usage(self) -> None:
        usage = self._aspects.usage.sort(self._counts)
        if usage is not None:
            self._events.append(Counted(usage))

    def _drain(self) -> list[StreamEvent]:
        events = self._events[:]
        self._events.clear()  # choices append to this very list
        self._spoke = self._spoke or any(map(_is_output, events))
        return events


def _is_output(event: StreamEvent) -> bool:
    return type(event) is Delta


def _data_of(block: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the data of a block with its event's name, if it is an event at all."""
    event = parse(block)
    if event.data or event.event is not None:
        yield event.data, (event.event or b"").decode("utf-8", "replace")
