"""Upstream's chunks as canonical events: each is a whole GenerateContentResponse that holds a piece of the answer.

Text of consecutive chunks is one block; so are thoughts. What ends an answer is told at the end of the stream: some
models give a reason with every chunk, and usage or grounding may come behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.canonical import (
    BlockEnded,
    BlockStarted,
    Choice,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Losses,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    TruncatedStream,
)
from llmproxy.plugin import BadRequest, Framer, Usage, error_of, parse
from llmproxy_gemini.answers import blocked_prompt, created_at, word_of
from llmproxy_gemini.fields import unreadable
from llmproxy_gemini.finishing import read_reason
from llmproxy_gemini.grounding import read_citations
from llmproxy_gemini.logprobs import read_logprobs
from llmproxy_gemini.partials import PartialCall
from llmproxy_gemini.parts import Calls, read_part
from llmproxy_gemini.settling import settled
from llmproxy_gemini.usage import read_usage

#: Bytes of one chunk: pictures come in one piece.
_MOST: Final = 64 * 1024 * 1024
_KNOWN: Final = frozenset({"candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId"})
_DONE: Final = b"[DONE]"
_NOTHING: Final[list[Any]] = []

Events = list[StreamEvent]


class ChunkDecoder:
    """Decodes a stream of server-sent events."""

    __slots__ = ("_blocked", "_counts", "_ended", "_framer", "_next", "_seed", "_started", "_turns")

    def __init__(self) -> None:
        self._framer = Framer(max_event=_MOST)
        self._turns: dict[int, _Turn] = {}
        self._started = False
        self._ended = False
        self._blocked: Choice | None = None
        self._counts: dict[str, Any] | None = None
        self._next = 0
        self._seed = ""

    def feed(self, data: bytes) -> Events:
        """Return the events of the chunks that these bytes complete."""
        out: Events = []
        for block in self._framer.feed(data):
            if block[:6] == b"data: " and block.find(b"\n", 0, len(block) - 4) < 0:
                payload = block[6:]
            else:
                payload = parse(block).data
            if payload and payload.strip() not in (b"", _DONE):
                self.take(orjson.loads(payload), out)
        return out

    def take(self, told: Any, out: Events) -> None:
        """Take one chunk.

        Raises:
            ValueError: it is none.
        """
        if type(told) is list:
            for each in told:
                self.take(each, out)
        elif type(told) is not dict:
            raise unreadable("a chunk of the stream is no object")
        elif "error" in told:
            if not self._ended:
                out.append(Failed(error_of(told)))
            self._ended = True
        elif not self._ended:
            self._chunk(told, out)

    def _chunk(self, told: dict[str, Any], out: Events) -> None:
        if not self._started:
            if told.keys().isdisjoint(_KNOWN):
                return  # new kinds of chunks may come
            self._start(told, out)
        counts = told.get("usageMetadata")
        if type(counts) is dict:
            self._counts = counts
        candidates = told.get("candidates")
        if not candidates:
            self._blocked = self._blocked or blocked_prompt(told)
            return
        if type(candidates) is not list:
            raise unreadable("the candidates are no list")
        for candidate in candidates:
            self._candidate(candidate, out)

    def close(self) -> Events:
        """Return what ends the answer.

        Raises:
            TruncatedStream: nothing told why it ended.
        """
        out: Events = []
        if not self._ended and (told := _last_chunk(self._framer.close())) is not None:
            self.take(told, out)
        if self._ended:
            return out
        if not self._turns and self._blocked is not None:
            blocked = Finished("content_filter", None, self._blocked.detail, self._blocked.explanation)
            return [*out, blocked, *self._counted()]
        if not self._turns or not all(turn.reason for turn in self._turns.values()):
            raise TruncatedStream("the stream ended without a reason to")
        for turn in self._turns.values():
            self._next = turn.close(out, self._next)
        self._ended = True
        return [*out, *self._counted()]

    def _start(self, told: dict[str, Any], out: Events) -> None:
        self._started = True
        self._seed = word_of(told, "responseId")
        counts = told.get("usageMetadata")
        usage = read_usage(counts) if isinstance(counts, dict) else None
        tier = word_of(counts, "serviceTier") if isinstance(counts, dict) else ""
        out.append(Started(self._seed, word_of(told, "modelVersion"), created_at(told), usage, tier))

    def _candidate(self, candidate: Any, out: Events) -> None:
        if type(candidate) is not dict:
            raise unreadable("a candidate is no object")
        given = candidate.get("index")
        index = given if type(given) is int else 0
        turn = self._turns.get(index)
        if turn is None:
            if not 0 <= index < 64:
                raise unreadable("a candidate's index is no small number")
            turn = self._turns[index] = _Turn(index, f"{self._seed}:{index}")
        self._next = turn.take(candidate, out, self._next)

    def _counted(self) -> Iterator[StreamEvent]:
        usage: Usage | None = None if self._counts is None else read_usage(self._counts)
        if usage is not None:
            yield Counted(usage)


def _last_chunk(rest: bytes) -> Any:
    """Return the chunk that no blank line ended, which some servers leave out; half a chunk is no JSON."""
    data = parse(rest).data.strip()
    try:
        return orjson.loads(data) if data not in (b"", _DONE) else None
    except orjson.JSONDecodeError as fault:
        raise TruncatedStream("the stream ended inside an event") from fault


class _Turn:
    """One candidate's answer so far."""

    __slots__ = (
        "_calls",
        "_choice",
        "_kind",
        "_open",
        "_partial",
        "_sealed",
        "_texts",
        "called",
        "end",
        "reason",
    )

    def __init__(self, choice: int, seed: str) -> None:
        self._choice = choice
        self._calls = Calls(seed)
        self._open = -1
        self._kind: type = type(None)
        self._sealed = False
        self._partial: PartialCall | None = None
        #: Each text block's index and pieces, for what is told of them by their bytes.
        self._texts: list[tuple[int, list[str]]] = []
        self.called = False
        self.reason: object = None
        self.end: dict[str, Any] = {}

    def take(self, candidate: dict[str, Any], out: Events, index: int) -> int:
        """Take a piece of it; `index` is that of the next block, and so is what is returned."""
        content = candidate.get("content")
        parts = (content.get("parts") or _NOTHING) if type(content) is dict else _NOTHING
        if type(parts) is not list:
            raise unreadable("a candidate's parts are no list")
        logprobs = read_logprobs(candidate["logprobsResult"]) if "logprobsResult" in candidate else None
        for part in parts:
            if type(part) is not dict:
                raise unreadable("a part is no object")
            text = part.get("text")
            if type(text) is str:
                index = self._text(part, text, logprobs, out, index)
                logprobs = None
            else:
                index = self._whole(part, out, index)
        if candidate.get("finishReason"):
            self.reason, self.end = candidate["finishReason"], candidate
        if "groundingMetadata" in candidate or "citationMetadata" in candidate:
            self._cite(candidate, out)
        return index

    def _text(
        self, part: dict[str, Any], text: str, logprobs: dict[str, Any] | None, out: Events, index: int
    ) -> int:
        kind: type = Reasoning if part.get("thought") else Text
        signature = part.get("thoughtSignature")
        if not (text or signature):
            return index
        if self._kind is not kind or (self._sealed and text):
            self._stop(out)
            self._open, self._kind, self._sealed = index, kind, False
            out.append(BlockStarted(index, _FRESH[kind], self._choice))
            if kind is Text:
                self._texts.append((index, []))
            index += 1
        if text:
            if kind is Text:
                self._texts[-1][1].append(text)
            out.append(Delta(self._open, text, logprobs))
        if type(signature) is str:
            self._sealed = True
            out.append(Signed(self._open, signature))
        return index

    def _whole(self, part: dict[str, Any], out: Events, index: int) -> int:
        """Tell a part that comes in one piece, or a piece of a call."""
        call = part.get("functionCall")
        if type(call) is dict and (
            self._partial is not None or call.keys() & {"willContinue", "partialArgs"}
        ):
            return self._piece(call, part, out, index)
        if call == {}:
            return index
        try:
            block = read_part(settled(part), self._calls, Losses())
        except BadRequest as fault:
            raise ValueError(fault.message) from None
        if block is None:
            return index
        self._stop(out)
        if isinstance(block, ToolCall):
            return self._call(block, out, index)
        out += (BlockStarted(index, block, self._choice), BlockEnded(index))
        return index + 1

    def _call(self, call: ToolCall, out: Events, index: int) -> int:
        self.called = True
        out.append(BlockStarted(index, ToolCall(id=call.id, name=call.name, arguments=""), self._choice))
        out.append(Delta(index, call.arguments))
        if call.signature:
            out.append(Signed(index, call.signature))
        out.append(BlockEnded(index))
        return index + 1

    def _piece(self, call: dict[str, Any], part: dict[str, Any], out: Events, index: int) -> int:
        if self._partial is not None and call.get("name"):
            index = self._end_partial(out, index)
        if self._partial is None:
            self._stop(out)
            self._partial = PartialCall(word_of(call, "name"), word_of(call, "id"))
        self._partial.take(call)
        self._partial.signature = self._partial.signature or word_of(part, "thoughtSignature")
        return index if call.get("willContinue") else self._end_partial(out, index)

    def _end_partial(self, out: Events, index: int) -> int:
        partial, self._partial = self._partial, None
        if partial is None:
            return index
        given = self._calls.opened(partial.name, partial.id, partial.arguments)
        call = ToolCall(id=given, name=partial.name, arguments=partial.arguments, signature=partial.signature)
        return self._call(call, out, index)

    def _stop(self, out: Events) -> None:
        """End the block that is open."""
        if self._kind is not type(None):
            out.append(BlockEnded(self._open))
            self._kind = type(None)

    def _cite(self, candidate: dict[str, Any], out: Events) -> None:
        """Tell the citations of the text that is open; those of earlier ones stand there too, without a place."""
        if self._kind is not Text:
            return
        texts = ["".join(pieces) for _, pieces in self._texts]
        for place, citation in read_citations(candidate, texts):
            if self._texts[place][0] == self._open:
                out.append(Cited(self._open, citation))

    def close(self, out: Events, index: int) -> int:
        """Tell the end."""
        index = self._end_partial(out, index)
        self._stop(out)
        reason = read_reason(self.reason, calls=self.called)
        detail = self.reason if isinstance(self.reason, str) else ""
        out.append(Finished(reason, None, detail, word_of(self.end, "finishMessage"), self._choice))
        return index


_FRESH: Final[dict[type, Text | Reasoning]] = {
    Text: Text(text=""),
    Reasoning: Reasoning(origin="gemini"),
}
