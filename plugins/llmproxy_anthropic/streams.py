"""Reads a streamed message, event by event, from bytes cut anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
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
    Foreign,
    Ping,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import BadRequest, Framer, error_of, parse
from llmproxy_anthropic.answers import read_choice, text_in, tier_in, usage_in
from llmproxy_anthropic.blocks import read_block
from llmproxy_anthropic.citations import read_citation
from llmproxy_anthropic.settling import settled
from llmproxy_anthropic.thoughts import thought_of
from llmproxy_anthropic.usage import read_usage

#: The longest event: a search's results, a file that code made.
_LONGEST: Final = 32 * 1024 * 1024


class MessageDecoder:
    """Turns the bytes of one stream into canonical events."""

    def __init__(self) -> None:
        self._framer = Framer(max_event=_LONGEST)
        self._open: dict[int, _Block] = {}
        self._count = 0
        self._usage: dict[str, Any] | None = None
        self._started = self._done = self._failed = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete.

        Raises:
            ValueError: they are not of this dialect.
        """
        out: list[StreamEvent] = []
        for block in self._framer.feed(data):
            if not (self._done or self._failed):
                self._read(block, out)
        return out

    def close(self) -> list[StreamEvent]:
        """Return what no blank line ended.

        Raises:
            TruncatedStream: the message has no end.
            ValueError: the rest is not of this dialect.
        """
        out: list[StreamEvent] = []
        rest = self._framer.close()
        if rest.strip() and not (self._done or self._failed):
            try:
                self._read(rest, out)
            except ValueError as fault:
                raise TruncatedStream("the stream ended within an event") from fault
        if not (self._done or self._failed):
            raise TruncatedStream("the stream ended before its message_stop")
        return out

    def _read(self, block: bytes, out: list[StreamEvent]) -> None:
        told = parse(block)
        if not told.data:
            return
        event = orjson.loads(told.data)
        if told.event and isinstance(event, dict) and "type" not in event:
            event["type"] = told.event.decode("utf-8", "replace")
        self.take(event, out)

    def take(self, event: Any, out: list[StreamEvent]) -> None:
        """Read one event that is parsed already.

        Raises:
            ValueError: it is not of this dialect.
        """
        if not isinstance(event, dict):
            raise ValueError("an event of the stream is no object")  # noqa: TRY004  # what callers wait for
        kind = event.get("type")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None and ("error" in event or str(kind).endswith("_error")):
            reader = MessageDecoder._error  # as servers of other dialects' errors say it
        if reader is None:
            return  # new kinds of events may come within one version of the API
        try:
            reader(self, event, out)
        except (KeyError, TypeError, AttributeError, BadRequest) as fault:
            raise ValueError(f"an event of type {kind} cannot be read") from fault

    def _start(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        message = event["message"]
        self._started = True
        self._usage = usage_in(message)
        usage = read_usage(self._usage)
        out.append(Started(text_in(message, "id"), text_in(message, "model"), 0, usage, tier_in(self._usage)))

    def _block_start(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        place = event["index"]
        if type(place) is not int or place in self._open or not self._started:
            raise ValueError("a block begins where none can")
        self._open[place] = _Block(self._count, event["content_block"], out)
        self._count += 1

    def _block_delta(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        block = self._open.get(event["index"])
        if block is None:
            raise ValueError("a piece of a block that is not open")
        block.take(event["delta"], out)

    def _block_stop(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        block = self._open.pop(event["index"], None)
        if block is None:
            raise ValueError("the end of a block that is not open")
        block.end(out)

    def _delta(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        usage = usage_in(event)
        if usage is not None:
            self._usage = {
                **(self._usage or {}),
                **{key: told for key, told in usage.items() if told is not None},
            }
        choice = read_choice((), event.get("delta") or {})
        if choice.finish is not None:
            out.append(Finished(choice.finish, choice.stop_sequence, choice.detail, choice.explanation))
        counted = read_usage(self._usage)
        if counted is not None:
            out.append(Counted(counted))

    def _stop(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        if not self._started or self._open:
            raise ValueError("the message ends where it cannot")
        self._done = True

    def _ping(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        out.append(Ping())

    def _error(self, event: dict[str, Any], out: list[StreamEvent]) -> None:
        self._failed = True
        out.append(Failed(error_of(event)))


class _Block:
    """A block that is being told; one that only Anthropic has is held back until it is whole."""

    __slots__ = ("_foreign", "_given", "_index", "_kind", "_pieces")

    def __init__(self, index: int, told: dict[str, Any], out: list[StreamEvent]) -> None:
        told = settled(told)
        self._index = index
        self._kind = told["type"]
        self._pieces: list[str] = []
        self._foreign: dict[str, Any] | None = None
        self._given = ""
        block, text = _begun(told)
        if block is None:
            self._foreign = told
            return
        out.append(BlockStarted(index, block))
        if isinstance(block, ToolCall):
            self._given = text  # pieces may follow that tell it again
        elif text:
            out.append(Delta(index, text))
        if isinstance(block, Text):
            citations = [read_citation(each) for each in told.get("citations") or ()]
            out += [Cited(index, each) for each in citations if each is not None]

    def take(self, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        """Take one piece."""
        kind = delta["type"]
        key = _PIECES.get(kind)
        if key is not None:
            self._add(delta.get(key) or "", out)
        elif self._foreign is not None:
            self._foreign.update((key, told) for key, told in delta.items() if key != "type")
        elif kind == "signature_delta":
            if signature := text_in(delta, "signature"):
                out.append(Signed(self._index, thought_of("", signature).signature))
        elif kind == "citations_delta":
            citation = read_citation(delta["citation"])
            if citation is not None:
                out.append(Cited(self._index, citation))

    def _add(self, text: Any, out: list[StreamEvent]) -> None:
        if not isinstance(text, str):
            raise ValueError("a piece of a block is no text")  # noqa: TRY004  # what callers wait for
        if self._foreign is not None:
            self._pieces.append(text)
        elif text:
            self._given = ""
            out.append(Delta(self._index, text))

    def end(self, out: list[StreamEvent]) -> None:
        """Take the end."""
        if self._given:
            out.append(Delta(self._index, self._given))
        if self._foreign is not None:
            value = dict(self._foreign)
            if self._pieces:
                value["input"] = orjson.loads("".join(self._pieces) or "{}")
            out.append(BlockStarted(self._index, Foreign(origin="anthropic", value=value)))
        out.append(BlockEnded(self._index))


def _begun(told: dict[str, Any]) -> tuple[Block | None, str]:
    """Return a block as it starts, and the text that is known of it already; None for one of Anthropic's own."""
    kind = told["type"]
    if kind == "text":
        return Text(text=""), text_in(told, "text")
    if kind == "thinking":
        text, signature = text_in(told, "thinking"), text_in(told, "signature")
        return msgspec.structs.replace(thought_of("", signature), origin="anthropic"), text
    if kind not in ("tool_use", "redacted_thinking"):
        return None, ""
    read: list[Block] = []
    read_block(told, "content_block", None, read)
    block = read[0]
    if isinstance(block, ToolCall):
        text = block.arguments if told.get("input") else ""
        return msgspec.structs.replace(block, arguments=""), text
    return block, ""


_PIECES: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_READERS: Final[dict[str, Callable[[MessageDecoder, dict[str, Any], list[StreamEvent]], None]]] = {
    "content_block_delta": MessageDecoder._block_delta,
    "content_block_start": MessageDecoder._block_start,
    "content_block_stop": MessageDecoder._block_stop,
    "message_start": MessageDecoder._start,
    "message_delta": MessageDecoder._delta,
    "message_stop": MessageDecoder._stop,
    "ping": MessageDecoder._ping,
    "error": MessageDecoder._error,
}
