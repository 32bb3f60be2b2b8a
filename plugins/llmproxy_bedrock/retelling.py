"""A kept answer in its other form: whole, or as the frames of a stream.

Blocks are carried as they are, those too that nobody here knows; where it is not known what a piece adds to its block,
or how a block would come in pieces, the answer is not told anew.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.plugin import EventStreamDecoder, EventStreamMessage, Form, Untellable
from llmproxy_bedrock.blocks import is_hosted
from llmproxy_bedrock.frames import event_frame

#: Members of an answer that a stream tells with its stop, and those that it tells at its end.
_WITH_STOP: Final = frozenset({"stopReason", "additionalModelResponseFields"})
_AT_END: Final = frozenset({"usage", "metrics", "trace", "performanceConfig", "serviceTier"})
#: What only pads a frame.
_PADDING: Final = "p"


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept answer in another form.

    Raises:
        Untellable: it is not whole, or something of it would be lost.
    """
    answer = _gathered(body) if source.streamed else orjson.loads(body)
    if type(answer) is not dict or not answer.get("stopReason"):
        raise Untellable("it is no answer that is whole")
    return b"".join(_frames(answer)) if target.streamed else orjson.dumps(answer)


def _gathered(body: bytes) -> dict[str, Any]:
    """Return the answer that a stream tells."""
    decoder = EventStreamDecoder()
    message: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    blocks: dict[int, _Block] = {}
    for frame in decoder.feed(body):
        told = _told(frame)
        match frame.event_type:
            case "messageStart" if not message:
                message = told
            case "contentBlockStart" if told["contentBlockIndex"] not in blocks:
                blocks[told["contentBlockIndex"]] = _Block(told["start"])
            case "contentBlockDelta":
                blocks.setdefault(told["contentBlockIndex"], _Block({})).take(told["delta"])
            case "contentBlockStop":
                pass
            case "messageStop" | "metadata":
                rest |= told
            case _:
                raise Untellable("the stream holds what is not known, or two of what comes once")
    if decoder.close():
        raise Untellable("the stream did not end")
    content = [block for place in sorted(blocks) if (block := blocks[place].whole()) is not None]
    return {"output": {"message": {**message, "content": content}}, **rest}


def _told(frame: EventStreamMessage) -> dict[str, Any]:
    if frame.message_type != "event":
        raise Untellable("the stream ended with an error")
    told = frame.json()
    return {key: value for key, value in told.items() if key != _PADDING}


class _Block:
    """A block that is being told."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._text: list[str] = []
        self._citations: list[Any] = []
        self._thought: dict[str, list[str]] = {}
        if start and (start.keys() != {"toolUse"} or is_hosted(start["toolUse"])):
            raise Untellable("a block of it is of a kind whose pieces are not known")

    def take(self, delta: dict[str, Any]) -> None:
        """Take one piece."""
        (kind, told), *more = delta.items()
        if kind == "text" and not self._start:
            self._text.append(told)
        elif kind == "toolUse" and self._start and told.keys() == {"input"}:
            self._text.append(told["input"])
        elif kind == "citation":
            self._citations.append(told)
        elif kind == "reasoningContent" and told.keys() <= {"text", "signature", "redactedContent"}:
            for key, piece in told.items():
                self._thought.setdefault(key, []).append(piece)
        else:
            more = [(kind, told)]
        if more:
            raise Untellable(f"a piece of it is of a kind that is not known: {kind[:40]}")

    def whole(self) -> dict[str, Any] | None:
        """Return the block; None for one of which nothing was told."""
        text, thought = "".join(self._text), self._thought
        if bool(text or self._citations) and thought:
            raise Untellable("a block of it is of two kinds")
        if self._start:
            return {"toolUse": {**self._start["toolUse"], "input": orjson.loads(text or "{}")}}
        if "redactedContent" in thought:
            if len(thought) > 1:
                raise Untellable("a block of it is of two kinds")
            data = b"".join(map(base64.b64decode, thought["redactedContent"]))
            return {"reasoningContent": {"redactedContent": base64.b64encode(data).decode()}}
        if thought:
            told = {key: "".join(pieces) for key, pieces in thought.items()}
            return {"reasoningContent": {"reasoningText": {"text": "", **told}}}
        if self._citations:
            return {"citationsContent": {"content": [{"text": text}], "citations": self._citations}}
        return {"text": text} if text else None


def _frames(answer: dict[str, Any]) -> Iterator[bytes]:
    """Tell a whole answer as a stream."""
    message = answer["output"]["message"]
    if unknown := answer.keys() - _WITH_STOP - _AT_END - {"output"}:
        raise Untellable(f"it holds what is not known: {min(unknown)[:40]}")
    yield event_frame("messageStart", {key: value for key, value in message.items() if key != "content"})
    for place, block in enumerate(message.get("content") or ()):
        yield from _pieces(place, block)
    yield event_frame("messageStop", {key: answer[key] for key in answer if key in _WITH_STOP})
    yield event_frame("metadata", {key: answer[key] for key in answer if key in _AT_END})


def _pieces(place: int, block: dict[str, Any]) -> Iterator[bytes]:
    (kind, told), *more = block.items()
    if more or kind not in ("text", "toolUse", "reasoningContent", "citationsContent"):
        raise Untellable(f"a block of it is of a kind that comes in no pieces: {kind[:40]}")
    if kind == "toolUse":
        if is_hosted(told):
            raise Untellable("a tool was called that Amazon runs")
        start = {key: value for key, value in told.items() if key != "input"}
        yield event_frame("contentBlockStart", {"start": {kind: start}, "contentBlockIndex": place})
        told = {"input": orjson.dumps(told.get("input") or {}).decode()}
    for delta in _deltas(kind, told):
        yield event_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": place})
    yield event_frame("contentBlockStop", {"contentBlockIndex": place})


def _deltas(kind: str, told: Any) -> Iterator[dict[str, Any]]:
    if kind == "citationsContent":
        for piece in told.get("content") or ():
            yield {"text": piece["text"]}
        for citation in told.get("citations") or ():
            yield {"citation": citation}
    elif kind == "reasoningContent":
        for key, value in (told.get("reasoningText") or told).items():
            yield {kind: {key: value}}
    else:
        yield {kind: told}
