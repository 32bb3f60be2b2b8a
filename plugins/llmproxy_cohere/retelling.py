"""A kept chat answer in its other form: whole, or as the events of a stream; members that nobody knows are carried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.plugin import Form, Framer, Untellable, event_data

_LONGEST: Final = 32 * 1024 * 1024
_DONE: Final = b"data: [DONE]\n\n"
_PIECES: Final = ("text", "thinking")


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept answer in another form.

    Raises:
        Untellable: it is not whole, or something of it would be lost.
    """
    answer = _gathered(body) if source.streamed else orjson.loads(body)
    message = answer.get("message") if type(answer) is dict else None
    if type(message) is not dict or not answer.get("finish_reason"):
        raise Untellable("it is no answer that is whole")
    if not target.streamed:
        return orjson.dumps(answer)
    if answer.get("logprobs"):
        raise Untellable("it is not known which piece each of its probabilities belongs to")
    return b"".join(_events(answer, message)) + _DONE


def _gathered(body: bytes) -> dict[str, Any]:
    """Return the answer that a stream tells."""
    gathered, framer = _Gathered(), Framer(max_event=_LONGEST)
    for told in [*framer.feed(body), framer.close()]:
        data = event_data(told).strip()
        if data and data != b"[DONE]":
            gathered.take(orjson.loads(data))
    return gathered.whole()


class _Gathered:
    """An answer that is being told."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._plan = ""
        self._content: dict[int, dict[str, Any]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._citations: list[Any] = []

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        delta, index = event.get("delta") or {}, event.get("index", 0)
        message = delta.get("message") or {}
        if event.get("logprobs"):
            raise Untellable("its probabilities come in pieces")
        match event.get("type"):
            case "message-start":
                self._answer = {"id": event.get("id")}
            case "content-start" if index not in self._content:
                self._content[index] = dict(message["content"])
            case "content-delta":
                _add(self._content[index], message["content"])
            case "tool-plan-delta":
                self._plan += message["tool_plan"]
            case "tool-call-start" | "tool-call-delta":
                self._call(index, message["tool_calls"])
            case "citation-start":
                self._citations.append(message["citations"])
            case "message-end":
                self._answer |= delta
            case "content-end" | "tool-call-end" | "citation-end":
                pass
            case _:
                raise Untellable("it has an event that is not known")

    def _call(self, index: int, told: dict[str, Any]) -> None:
        """Take a piece of a call, the first of which is all of it but its arguments."""
        known = self._calls.get(index)
        if known is None:
            self._calls[index] = {**told, "function": dict(told["function"])}
        elif told.keys() != {"function"} or told["function"].keys() != {"arguments"}:
            raise Untellable("a piece of it is not known")
        else:
            known["function"]["arguments"] += told["function"]["arguments"]

    def whole(self) -> dict[str, Any]:
        """Return it."""
        message: dict[str, Any] = {"role": "assistant"}
        if self._plan:
            message["tool_plan"] = self._plan
        for key, found in (("content", self._content), ("tool_calls", self._calls)):
            if found:
                message[key] = [found[index] for index in sorted(found)]
        if self._citations:
            message["citations"] = self._citations
        return {"id": None, **self._answer, "message": message}


def _add(part: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if key not in _PIECES:
            raise Untellable("a piece of it is not known")
        part[key] = part.get(key, "") + value


def _events(answer: dict[str, Any], message: dict[str, Any]) -> Iterator[bytes]:
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", id=answer.get("id"), delta={"message": start})
    for index, part in enumerate(message.get("content") or ()):
        key = next((key for key in _PIECES if key in part), "text")
        yield _told("content-start", index, content={**part, key: ""})
        yield _told("content-delta", index, content={key: part.get(key, "")})
        yield _event("content-end", index=index)
    for index, citation in enumerate(message.get("citations") or ()):
        yield _told("citation-start", index, citations=citation)
        yield _event("citation-end", index=index)
    if plan := message.get("tool_plan"):
        yield _event("tool-plan-delta", delta={"message": {"tool_plan": plan}})
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield _told("tool-call-start", index, tool_calls={**call, "function": {**function, "arguments": ""}})
        arguments = {"function": {"arguments": function.get("arguments") or ""}}
        yield _told("tool-call-delta", index, tool_calls=arguments)
        yield _event("tool-call-end", index=index)
    ending = {key: value for key, value in answer.items() if key not in {"id", "message", "logprobs"}}
    yield _event("message-end", delta=ending)


def _told(kind: str, index: int, **message: Any) -> bytes:
    return _event(kind, index=index, delta={"message": message})


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))
