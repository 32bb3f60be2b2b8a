"""A kept response in its other form: whole, or as the events of a stream.

The end of a stream repeats the whole response, so nothing needs to be put together. The other way each item is told
with the events that OpenAI's SDKs expect of its kind; of a kind that nobody here knows, with its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from llmproxy.plugin import Form, Framer, Untellable, event_data

_MOST: Final = 64 * 1024 * 1024
_GOOD: Final = ("completed", "incomplete")
_ENDS: Final = frozenset(f"response.{status}" for status in _GOOD)
_BAD: Final = frozenset({"error", "response.failed"})

_Tell = Callable[..., None]


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept response in another form.

    Raises:
        Untellable: it is not whole.
    """
    response = _ended(body) if source.streamed else orjson.loads(body)
    if type(response) is not dict or response.get("status") not in _GOOD or response.get("error"):
        raise Untellable("it is no response that is whole")
    return _Events(response).told() if target.streamed else orjson.dumps(response)


def _ended(body: bytes) -> Any:
    """Return the response that a stream ended with."""
    framer, items, ended = Framer(max_event=_MOST), dict[int, Any](), dict[str, Any]()
    for block in [*framer.feed(body), framer.close()]:
        data = event_data(block).strip()
        if not data or data == b"[DONE]":
            continue
        event = orjson.loads(data)
        kind = event.get("type")
        if kind in _BAD or ended:
            raise Untellable("the stream did not end well")
        if kind == "response.output_item.done":
            items[event["output_index"]] = event["item"]
        elif kind in _ENDS:
            ended = event["response"]
    # Some servers do not repeat what they have told.
    return ended if ended.get("output") else {**ended, "output": [*items.values()]}


class _Events:
    """Tells a whole response as a stream."""

    def __init__(self, response: dict[str, Any]) -> None:
        self._response = response
        self._pieces: list[bytes] = []

    def told(self) -> bytes:
        """Return the stream."""
        response = self._response
        begun = {**response, "status": "in_progress", "output": []}
        begun |= {key: None for key in ("usage", "completed_at", "incomplete_details") if key in response}
        self._tell("response.created", response=begun)
        self._tell("response.in_progress", response=begun)
        for place, item in enumerate(response.get("output") or ()):
            self._item(place, item)
        self._tell(f"response.{response['status']}", response=response)
        return b"".join(self._pieces)

    def _tell(self, kind: str, **members: Any) -> None:
        event = {"type": kind, **members, "sequence_number": len(self._pieces)}
        self._pieces.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event)))

    def _item(self, place: int, item: dict[str, Any]) -> None:
        empty = {key: type(item[key])() for key in _EMPTIED.get(item["type"], ()) if item.get(key)}
        if empty and "status" in item:
            empty["status"] = "in_progress"
        self._tell("response.output_item.added", output_index=place, item={**item, **empty})
        at = {"item_id": item.get("id") or "", "output_index": place}
        for key, inside in _INSIDE:
            if empty.get(key) is not None:
                inside(self._tell, at, item)
        self._tell("response.output_item.done", output_index=place, item=item)


def _contents(tell: _Tell, at: dict[str, Any], item: dict[str, Any]) -> None:
    for number, part in enumerate(item["content"]):
        here, kind = {**at, "content_index": number}, part["type"]
        key = "refusal" if kind == "refusal" else "text"
        emptied: dict[str, Any] = {key: ""} if type(part.get(key)) is str else {}
        emptied |= {name: [] for name in ("annotations", "logprobs") if part.get(name)}
        tell("response.content_part.added", **here, part={**part, **emptied})
        if kind in ("output_text", "refusal", "reasoning_text") and part[key]:
            _text(tell, f"response.{kind}", here, key, part)
        tell("response.content_part.done", **here, part=part)


def _text(tell: _Tell, name: str, here: dict[str, Any], key: str, part: dict[str, Any]) -> None:
    scores = {"logprobs": part.get("logprobs") or []} if name == "response.output_text" else {}
    tell(f"{name}.delta", **here, delta=part[key], **scores)
    for number, note in enumerate(part.get("annotations") or ()):
        tell(f"{name}.annotation.added", **here, annotation_index=number, annotation=note)
    tell(f"{name}.done", **here, **{key: part[key]}, **scores)


def _summary(tell: _Tell, at: dict[str, Any], item: dict[str, Any]) -> None:
    for number, part in enumerate(item["summary"]):
        here, name = {**at, "summary_index": number}, "response.reasoning_summary"
        tell(f"{name}_part.added", **here, part={**part, "text": ""})
        tell(f"{name}_text.delta", **here, delta=part["text"])
        tell(f"{name}_text.done", **here, text=part["text"])
        tell(f"{name}_part.done", **here, part=part)


def _arguments(tell: _Tell, at: dict[str, Any], item: dict[str, Any]) -> None:
    name = _ARGUED[item["type"]]
    tell(f"{name}.delta", **at, delta=item["arguments"])
    named = {"name": item["name"]} if item["type"] == "function_call" else {}
    tell(f"{name}.done", **at, **named, arguments=item["arguments"])


def _input(tell: _Tell, at: dict[str, Any], item: dict[str, Any]) -> None:
    tell("response.custom_tool_call_input.delta", **at, delta=item["input"])
    tell("response.custom_tool_call_input.done", **at, input=item["input"])


_ARGUED: Final = {
    "function_call": "response.function_call_arguments",
    "mcp_call": "response.mcp_call_arguments",
}
#: Members that an item of that kind begins without.
_EMPTIED: Final = {
    "message": ("content",),
    "reasoning": ("summary", "content"),
    "function_call": ("arguments",),
    "mcp_call": ("arguments",),
    "custom_tool_call": ("input",),
}
_INSIDE: Final = (
    ("summary", _summary),
    ("content", _contents),
    ("arguments", _arguments),
    ("input", _input),
)
