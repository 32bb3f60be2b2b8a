"""A kept message in its other form: whole, or as the events of a stream.

Blocks are carried as they are, those too that nobody here knows: such a block begins whole. Where it is not known what
a piece adds to its block, the message is not put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.plugin import Form, Framer, Untellable, event_data

_LONGEST: Final = 32 * 1024 * 1024

#: What each kind of piece is called, and the member of its block that it adds to.
_PIECES: Final = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
#: Members of a message that are told at its end: in the delta, and beside it.
_ENDING: Final = frozenset({"stop_reason", "stop_sequence", "stop_details", "container"})
_BESIDE: Final = frozenset({"context_management"})
#: Members of blocks that come in pieces, in this order, and the pieces that they come in.
_TOLD: Final = {
    "text": (("text", "text_delta"),),
    "thinking": (("thinking", "thinking_delta"), ("signature", "signature_delta")),
}


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept message in another form.

    Raises:
        Untellable: it is not whole, or something of it would be lost.
    """
    message = _gathered(body) if source.streamed else orjson.loads(body)
    if type(message) is not dict or message.get("type") != "message" or not message.get("stop_reason"):
        raise Untellable("it is no message that is whole")
    return b"".join(_events(message)) if target.streamed else orjson.dumps(message)


def _gathered(body: bytes) -> dict[str, Any]:
    """Return the message that a stream tells."""
    framer, message, ended = Framer(max_event=_LONGEST), dict[str, Any](), False
    blocks: dict[int, _Block] = {}
    for told in [*framer.feed(body), framer.close()]:
        data = event_data(told).strip()
        event = orjson.loads(data) if data else {}
        match event.get("type"):
            case "message_start" if not message:
                message = dict(event["message"])
            case "content_block_start" if event["index"] not in blocks:
                blocks[event["index"]] = _Block(event["content_block"])
            case "content_block_delta":
                blocks[event["index"]].take(event["delta"])
            case "message_delta":
                _end(message, event)
            case "message_stop":
                ended = True
            case "error" | "message_start" | "content_block_start":
                raise Untellable("the stream ended with an error, or another began in it")
            case _:
                pass
    if not ended:
        raise Untellable("the stream did not end")
    message["content"] = [blocks[place].whole() for place in sorted(blocks)]
    return message


def _end(message: dict[str, Any], event: dict[str, Any]) -> None:
    message.update(event["delta"])
    usage = {key: told for key, told in (event.get("usage") or {}).items() if told is not None}
    message["usage"] = {**(message.get("usage") or {}), **usage}
    message.update((key, value) for key, value in event.items() if key not in {"type", "delta", "usage"})


class _Block:
    """A block that is being told."""

    def __init__(self, begun: dict[str, Any]) -> None:
        self._value = dict(begun)
        self._texts: dict[str, list[str]] = {}
        self._input: list[str] = []

    def take(self, delta: dict[str, Any]) -> None:
        """Take one piece."""
        kind = delta["type"]
        if (key := _PIECES.get(kind)) is not None:
            self._texts.setdefault(key, []).append(delta[key])
        elif kind == "input_json_delta":
            self._input.append(delta["partial_json"])
        elif kind == "citations_delta":
            self._value["citations"] = [*(self._value.get("citations") or ()), delta["citation"]]
        else:
            raise Untellable(f"a piece of it is of a kind that is not known: {str(kind)[:40]}")

    def whole(self) -> dict[str, Any]:
        """Return the block."""
        for key, pieces in self._texts.items():
            self._value[key] = (self._value.get(key) or "") + "".join(pieces)
        if given := "".join(self._input):
            self._value["input"] = orjson.loads(given)
        return self._value


def _events(message: dict[str, Any]) -> Iterator[bytes]:
    """Tell a whole message as a stream; what is counted is told at its start and its end alike."""
    usage = message.get("usage")
    begun = {key: value for key, value in message.items() if key not in _BESIDE | _ENDING}
    begun |= {"content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message=begun)
    for place, block in enumerate(message.get("content") or ()):
        yield from _block(place, block)
    delta = {key: message[key] for key in message if key in _ENDING}
    beside = {key: message[key] for key in message if key in _BESIDE}
    yield _event("message_delta", delta=delta, usage=usage, **beside)
    yield _event("message_stop")


def _block(place: int, block: dict[str, Any]) -> Iterator[bytes]:
    kind = block.get("type", "")
    told = [(key, piece) for key, piece in _TOLD.get(kind, ()) if type(block.get(key)) is str]
    begun: dict[str, Any] = {**block, **{key: "" for key, _ in told}}
    given, citations = block.get("input"), block.get("citations") or ()
    # A call that somebody answers is told as its arguments come; other blocks begin whole.
    argued = type(given) is dict and bool(given) and kind.endswith("tool_use")
    if argued:
        begun["input"] = {}
    if citations and kind == "text":
        begun["citations"] = []
    yield _event("content_block_start", index=place, content_block=begun)
    for key, piece in told:
        if block[key]:
            yield _piece(place, piece, **{key: block[key]})
    if kind == "text":
        for citation in citations:
            yield _piece(place, "citations_delta", citation=citation)
    if argued:
        yield _piece(place, "input_json_delta", partial_json=orjson.dumps(given).decode())
    yield _event("content_block_stop", index=place)


def _piece(place: int, kind: str, **members: Any) -> bytes:
    return _event("content_block_delta", index=place, delta={"type": kind, **members})


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))
