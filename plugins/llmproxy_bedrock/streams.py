"""Reads a streamed answer, event by event, from bytes cut anywhere."""

from __future__ import annotations

import base64
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
    Image,
    Inline,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import EventStreamDecoder, EventStreamMessage
from llmproxy_bedrock.answers import explanation_in, read_choice
from llmproxy_bedrock.blocks import is_hosted
from llmproxy_bedrock.citations import read_citation
from llmproxy_bedrock.errors import read_exception
from llmproxy_bedrock.media import IMAGES, media_type_of
from llmproxy_bedrock.thoughts import FAMILY, OWN, sealed_thought, thought_of
from llmproxy_bedrock.usage import read_usage


class ConverseDecoder:
    """Turns the frames of one stream into canonical events."""

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()
        self._open: dict[int, _Block] = {}
        self._told = 0
        self._ending: Finished | None = None
        self._started = self._stopped = self._failed = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete.

        Raises:
            ValueError: they are not of this dialect.
        """
        out: list[StreamEvent] = []
        for message in self._frames.feed(data):
            if not self._failed:
                self._read(message, out)
        return out

    def close(self) -> list[StreamEvent]:
        """Return what was held back.

        Raises:
            TruncatedStream: the answer has no end, or a frame after it none.
        """
        rest = self._frames.close()
        if not self._failed and (rest or not self._stopped):
            raise TruncatedStream("the stream ended before its messageStop, or within a frame")
        out: list[StreamEvent] = []
        self._end("", out)
        return out

    def _read(self, message: EventStreamMessage, out: list[StreamEvent]) -> None:
        if message.message_type in ("exception", "error"):
            self._failed = True
            out.append(Failed(read_exception(message)))
            return
        reader = _READERS.get(message.event_type)
        if reader is None:
            return  # new kinds of events may come
        try:
            told = message.json()
            reader(self, told, out)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"an event of type {message.event_type} cannot be read") from fault

    def _start(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        self._go_on(out)

    def _go_on(self, out: list[StreamEvent]) -> None:
        """Begin, if that was not said, and refuse what follows the end."""
        if self._stopped:
            raise ValueError("the answer goes on behind its end")
        if not self._started:
            self._started = True
            out.append(Started())

    def _block_start(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        place = _place(told)
        self._go_on(out)
        if place in self._open:
            raise ValueError("a block begins within another")
        self._open[place] = _Block(self)
        self._open[place].begin(told.get("start") or {}, out)

    def _block_delta(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        place = _place(told)
        self._go_on(out)
        block = self._open.get(place)
        if block is None:
            block = self._open[place] = _Block(self)
        block.take(told["delta"], out)

    def _block_stop(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        block = self._open.pop(_place(told), None)
        if block is not None:  # of an empty text nothing was told but its end
            block.end(out)

    def _stop(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        self._go_on(out)
        self._stopped = True
        for place in sorted(self._open):
            self._open[place].end(out)
        self._open.clear()
        choice = read_choice((), told.get("stopReason"), None)
        ending = Finished(choice.finish or "stop", None, choice.detail)
        if choice.finish == "content_filter":
            self._ending = ending  # what a guardrail's reason was is told behind it
        else:
            out.append(ending)

    def _metadata(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        self._end(explanation_in(told.get("trace")), out)
        usage = read_usage(told.get("usage") or {})
        if usage is not None:
            out.append(Counted(usage))

    def _end(self, explanation: str, out: list[StreamEvent]) -> None:
        if self._ending is not None:
            out.append(msgspec.structs.replace(self._ending, explanation=explanation))
            self._ending = None

    def next_index(self) -> int:
        """Return the index of a block that begins."""
        self._told += 1
        return self._told - 1


def _place(told: dict[str, Any]) -> int:
    place = told["contentBlockIndex"]
    if type(place) is not int:
        raise ValueError("a block has no index")
    return place


class _Block:
    """A block that is being told. Only a tool's call says that it begins: others do so with their first piece."""

    __slots__ = ("_decoder", "_foreign", "_index", "_kind", "_pieces", "_signed")

    def __init__(self, decoder: ConverseDecoder) -> None:
        self._decoder = decoder
        self._index = -1
        self._kind = ""
        self._foreign: dict[str, Any] | None = None
        self._pieces: list[Any] = []
        self._signed = ""

    def begin(self, start: dict[str, Any], out: list[StreamEvent]) -> None:
        """Take what is told of it first."""
        use = start.get("toolUse")
        if isinstance(use, dict) and not is_hosted(use):
            self._kind = "toolUse"
            call = ToolCall(id=use.get("toolUseId") or "", name=use["name"], arguments="")
            self._start(call, out)
        elif start:
            self._kind, self._foreign = "foreign", start

    def _start(self, block: Block, out: list[StreamEvent]) -> None:
        self._index = self._decoder.next_index()
        out.append(BlockStarted(self._index, block))

    def take(self, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        """Take one piece."""
        for kind, told in delta.items():
            if self._foreign is not None:
                self._pieces.append((kind, told))
            elif (reader := _PIECES.get(kind)) is not None:
                reader(self, told, out)

    def _text(self, told: str, out: list[StreamEvent]) -> None:
        if told:
            self._become("text", Text(text=""), out)
            out.append(Delta(self._index, _as_text(told)))

    def _cited(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        citation = read_citation(told)
        if citation is not None:
            self._become("text", Text(text=""), out)
            out.append(Cited(self._index, citation))

    def _argued(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        if self._kind != "toolUse":
            raise ValueError("arguments of no call")
        if text := told.get("input"):
            out.append(Delta(self._index, _as_text(text)))

    def _thought(self, told: dict[str, Any], out: list[StreamEvent]) -> None:
        if (sealed := told.get("redactedContent")) is not None:
            self._become("sealed", None, out)
            self._pieces.append(_as_text(sealed))
            return
        if text := told.get("text"):
            self._become("thought", Reasoning(origin=FAMILY), out)
            out.append(Delta(self._index, _as_text(text)))
        if signature := told.get("signature"):
            self._become("thought", Reasoning(origin=FAMILY), out)
            # What was packed into it cannot be told of a block that has begun, beside its signature.
            self._signed += _as_text(signature)

    def _become(self, kind: str, block: Block | None, out: list[StreamEvent]) -> None:
        """Begin, or end what was begun as another kind; what is told whole is not begun yet."""
        if self._kind == kind:
            return
        if self._kind:
            self.end(out)
        self._kind = kind
        if block is not None:
            self._start(block, out)

    def end(self, out: list[StreamEvent]) -> None:
        """Take the end."""
        if self._foreign is not None:
            self._start(_whole(self._foreign, self._pieces), out)
        elif self._kind == "sealed":
            data = b"".join(base64.b64decode(piece, validate=True) for piece in self._pieces)
            self._start(sealed_thought(base64.b64encode(data).decode()), out)
        elif self._signed:
            out.append(Signed(self._index, thought_of("", self._signed).signature))
        if self._index >= 0:
            out.append(BlockEnded(self._index))
        self._kind, self._signed, self._index, self._foreign, self._pieces = "", "", -1, None, []


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a piece of a block is no text")  # noqa: TRY004  # what callers wait for
    return value


def _whole(start: dict[str, Any], pieces: list[tuple[str, Any]]) -> Block:
    """Return a block that is of use only when it is whole: a picture, or one of a tool that Amazon runs."""
    kind, told = next(iter(start.items()))
    if kind == "image":
        data = "".join(
            piece["source"]["bytes"]
            for name, piece in pieces
            if name == "image" and "bytes" in (piece.get("source") or {})
        )
        return Image(source=Inline(media_type=media_type_of(told["format"], IMAGES, "image"), data=data))
    if kind == "toolUse":
        text = "".join(piece.get("input") or "" for name, piece in pieces if name == kind)
        return Foreign(origin=OWN, value={kind: {**told, "input": _parsed(text)}})
    content = [each for name, piece in pieces if name == kind and isinstance(piece, list) for each in piece]
    return Foreign(origin=OWN, value={kind: {**told, "content": content}})


def _parsed(text: str) -> Any:
    return orjson.loads(text or "{}")


_PIECES: Final[dict[str, Callable[[_Block, Any, list[StreamEvent]], None]]] = {
    "text": _Block._text,
    "citation": _Block._cited,
    "toolUse": _Block._argued,
    "reasoningContent": _Block._thought,
}
_READERS: Final[dict[str, Callable[[ConverseDecoder, Any, list[StreamEvent]], None]]] = {
    "contentBlockDelta": ConverseDecoder._block_delta,
    "contentBlockStart": ConverseDecoder._block_start,
    "contentBlockStop": ConverseDecoder._block_stop,
    "messageStart": ConverseDecoder._start,
    "messageStop": ConverseDecoder._stop,
    "metadata": ConverseDecoder._metadata,
}
