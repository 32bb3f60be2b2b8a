"""Between a whole answer and a stream of events, both ways; and blocks put one after another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from llmproxy.canonical.answers import Answer, Choice
from llmproxy.canonical.blocks import Block, Citation, Reasoning, Refusal, Text, ToolCall
from llmproxy.canonical.events import (
    BlockEnded,
    BlockStarted,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Signed,
    Started,
    StreamEvent,
)
from llmproxy.exchange import Usage


class TruncatedStream(ValueError):
    """A stream ended before its dialect's end: nobody may take it for a whole answer."""


def events_of(answer: Answer) -> Iterator[StreamEvent]:
    """Tell a whole answer as a stream."""
    yield Started(answer.id, answer.model, answer.created, None, answer.service_tier, answer.fingerprint)
    index = 0
    for place, choice in enumerate(answer.choices):
        scored = next((at for at, block in enumerate(choice.content) if isinstance(block, Text | Refusal)), 0)
        for at, block in enumerate(choice.content):
            yield from _told(index, block, place, choice.logprobs if at == scored else None)
            index += 1
        if choice.finish is not None:
            yield Finished(choice.finish, choice.stop_sequence, choice.detail, choice.explanation, place)
    if answer.usage is not None:
        yield Counted(answer.usage)


def _told(index: int, block: Block, choice: int, logprobs: dict[str, Any] | None) -> Iterator[StreamEvent]:
    body, signature = _text_of(block), getattr(block, "signature", "")
    yield BlockStarted(index, _emptied(block), choice)
    if body or logprobs:
        yield Delta(index, body, logprobs)
    if signature:
        yield Signed(index, signature)
    if isinstance(block, Text):
        for citation in block.citations:
            yield Cited(index, citation)
    yield BlockEnded(index)


def _text_of(block: Block) -> str:
    if isinstance(block, ToolCall):
        return block.arguments
    return block.text if isinstance(block, Text | Reasoning | Refusal) else ""


def _emptied(block: Block) -> Block:
    """Return the block as it starts."""
    if isinstance(block, ToolCall):
        return msgspec.structs.replace(block, arguments="", signature="")
    if isinstance(block, Text):
        return msgspec.structs.replace(block, text="", citations=(), signature="")
    if isinstance(block, Reasoning):
        return msgspec.structs.replace(block, text="", signature="")
    return msgspec.structs.replace(block, text="") if isinstance(block, Refusal) else block


class _Open:
    """A block that is being told."""

    __slots__ = ("block", "choice", "citations", "ended", "logprobs", "pieces", "signature")

    def __init__(self, block: Block, choice: int) -> None:
        self.block = block
        self.choice = choice
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[Citation] = []
        self.logprobs: dict[str, Any] = {}
        self.ended = False

    def take(self, event: Delta | Signed | Cited) -> None:
        """Take what one event tells of it."""
        if isinstance(event, Signed):
            self.signature = event.signature
        elif isinstance(event, Cited):
            self.citations.append(event.citation)
        else:
            self.pieces.append(event.text)
            if event.logprobs:
                _add_logprobs(self.logprobs, event.logprobs)

    def whole(self) -> Block:
        """Return the block with what was told of it."""
        block, text = self.block, "".join(self.pieces)
        if isinstance(block, ToolCall):
            arguments = (block.arguments if block.arguments != "{}" else "") + text
            return msgspec.structs.replace(
                block, arguments=arguments or "{}", signature=block.signature + self.signature
            )
        if isinstance(block, Text):
            return msgspec.structs.replace(
                block,
                text=block.text + text,
                citations=(*block.citations, *self.citations),
                signature=block.signature + self.signature,
            )
        if isinstance(block, Reasoning):
            return msgspec.structs.replace(
                block, text=block.text + text, signature=block.signature + self.signature
            )
        return msgspec.structs.replace(block, text=block.text + text) if isinstance(block, Refusal) else block


def _add_logprobs(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Append each kind's tokens; a kind that has none yet may be null, as OpenAI writes it."""
    for kind, tokens in more.items():
        if isinstance(tokens, list):
            if known.get(kind) is None:
                known[kind] = []
            known[kind] += tokens
        else:
            known.setdefault(kind, None)


class Collector:
    """Puts a stream back together; feed it every event, then read `answer`.

    `failed` is the provider's own error, if the stream ended with one. What no stream may tell is refused here, so that
    writers need not bear it.
    """

    def __init__(self) -> None:
        self.started: Started = Started()
        self.failed: Failed | None = None
        self.usage: Usage | None = None
        self._blocks: dict[int, _Open] = {}
        self._finished: dict[int, Finished] = {}

    def feed(self, event: StreamEvent) -> None:
        """Take one event.

        Raises:
            ValueError: it tells more of a block that never began, or has ended.
        """
        if isinstance(event, Delta | Signed | Cited):
            block = self._blocks.get(event.index)
            if block is None or (block.ended and type(event) is Delta):
                raise ValueError("an event of the stream tells of a block that is not open")
            block.take(event)
        elif isinstance(event, BlockEnded):
            if (ended := self._blocks.get(event.index)) is not None:
                ended.ended = True
        elif isinstance(event, BlockStarted):
            self._blocks[event.index] = _Open(event.block, event.choice)
        elif isinstance(event, Started):
            self.started = event
            self.usage = event.usage or self.usage
        elif isinstance(event, Finished):
            self._finished[event.choice] = event
        elif isinstance(event, Counted):
            self.usage = event.usage
        elif isinstance(event, Failed):
            self.failed = event

    @property
    def answer(self) -> Answer:
        """The answer as far as it was told."""
        places = {block.choice for block in self._blocks.values()} | self._finished.keys()
        started = self.started
        return Answer(
            id=started.id,
            model=started.model,
            created=started.created,
            choices=tuple(self._choice(place) for place in range(max(places, default=-1) + 1)),
            usage=self.usage,
            service_tier=started.service_tier,
            fingerprint=started.fingerprint,
        )

    def _choice(self, place: int) -> Choice:
        blocks = [
            self._blocks[index] for index in sorted(self._blocks) if self._blocks[index].choice == place
        ]
        logprobs: dict[str, Any] = {}
        for block in blocks:
            _add_logprobs(logprobs, block.logprobs)
        finished = self._finished.get(place)
        content = tuple(block.whole() for block in blocks)
        if finished is None:
            return Choice(content=content, logprobs=logprobs or None)
        return Choice(
            content=content,
            finish=finished.reason,
            stop_sequence=finished.stop_sequence,
            detail=finished.detail,
            explanation=finished.explanation,
            logprobs=logprobs or None,
        )


class Sequencer:
    """Puts blocks one after another: one is open at a time, what comes of others waits for its end.

    Blocks of a choice other than the first are left out: who needs order has one answer only. Indexes are given
    anew, without gaps.
    """

    def __init__(self) -> None:
        self._names: dict[int, int] = {}
        self._open: int | None = None
        # A plain dict would look over all that has gone each time its first entry is asked for.
        self._waiting: OrderedDict[int, list[BlockStarted | Delta | Signed | Cited | BlockEnded]] = (
            OrderedDict()
        )

    def feed(self, event: StreamEvent) -> list[StreamEvent]:
        """Return what may be told now."""
        if isinstance(event, Delta | Signed | Cited):
            return self._more(event)
        if isinstance(event, BlockStarted):
            return self._started(event)
        if isinstance(event, BlockEnded):
            return self._ended(event)
        if isinstance(event, Finished) and event.choice:
            return []
        return [*self.close(), event] if isinstance(event, Finished | Failed) else [event]

    def close(self) -> list[StreamEvent]:
        """End what is open and tell what waits: a decoder may leave blocks open at the end."""
        out: list[StreamEvent] = []
        while self._open is not None:
            out += self._ended(BlockEnded(self._open))
        return out

    def _more(self, event: Delta | Signed | Cited) -> list[StreamEvent]:
        if event.index == self._open:
            name = self._names[event.index]
            return [event if name == event.index else msgspec.structs.replace(event, index=name)]
        if event.index in self._waiting:
            self._waiting[event.index].append(event)
        return []

    def _started(self, event: BlockStarted) -> list[StreamEvent]:
        if event.choice:
            return []
        if self._open is None:
            return [self._begin(event)]
        self._waiting[event.index] = [event]
        return []

    def _begin(self, event: BlockStarted) -> StreamEvent:
        self._open = event.index
        self._names[event.index] = name = len(self._names)
        return BlockStarted(name, event.block)

    def _ended(self, event: BlockEnded) -> list[StreamEvent]:
        if event.index != self._open:
            if event.index in self._waiting:
                self._waiting[event.index].append(event)
            return []
        out: list[StreamEvent] = [BlockEnded(self._names[event.index])]
        self._open = None
        while self._open is None and self._waiting:
            # Not by way of feed, which comes back here at each end: any number of blocks may wait.
            for waited in self._waiting.popitem(last=False)[1]:
                if isinstance(waited, BlockStarted):
                    out.append(self._begin(waited))
                elif isinstance(waited, BlockEnded):
                    out.append(BlockEnded(self._names[waited.index]))
                    self._open = None
                else:
                    out += self._more(waited)
        return out
