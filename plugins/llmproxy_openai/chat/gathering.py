"""The chunks of a stream put together, member by member, into the answer that they are of.

Members that are known to come in pieces are joined; others may be told once, or again in the same words. Whatever comes
otherwise is not understood, and the answer not put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llmproxy.plugin import Untellable

_TEXTS: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
#: Members that may change as the answer goes on: the last word counts.
_LATEST: Final = frozenset(
    {
        "usage",
        "system_fingerprint",
        "service_tier",
        "citations",
        "search_results",
        "finish_reason",
        "stop_reason",
        "native_finish_reason",
    }
)
#: Objects that are told member by member.
_MERGED: Final = frozenset({"content_filter_results", "x_groq", "content_filter_offsets"})
#: What is of the stream and not of the answer: padding, a token's number, what is told elsewhere too.
_OF_THE_STREAM: Final = frozenset({"obfuscation", "p", "object", "choices"})
_OF_THE_PIECE: Final = frozenset({"delta", "message", "index", "text", "logprobs"})
_OF_THE_DELTA: Final = frozenset({"token_id", "obfuscation"})
_NAMED_FIRST: Final = frozenset({"id", "created", "model", "provider"})


class Gathered:
    """One answer; feed it each chunk, then read it whole."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {"object": "chat.completion"}
        self._choices: dict[int, _Choice] = {}

    def take(self, chunk: Any) -> None:
        """Take one chunk."""
        if type(chunk) is not dict or chunk.get("error"):
            raise Untellable("the stream ended with an error")
        for key, value in chunk.items():
            if key in _NAMED_FIRST:
                self._head[key] = self._head.get(key) or value
            elif key not in _OF_THE_STREAM:
                _put(self._head, key, value)
        for choice in chunk.get("choices") or ():
            place = choice.get("index") or 0
            self._choices.setdefault(place, _Choice(place)).take(choice)

    def whole(self) -> dict[str, Any]:
        """Return the answer."""
        choices = [self._choices[place].whole() for place in sorted(self._choices)]
        told = [choice.pop("usage", None) for choice in choices]  # Moonshot's place
        groq = self._head.get("x_groq")
        if not self._head.get("usage"):
            hidden = groq.pop("usage", None) if type(groq) is dict else None
            self._head["usage"] = hidden or next(filter(None, told), None)
        elif type(groq) is dict:
            groq.pop("usage", None)
        usage = self._head.pop("usage")
        return {**self._head, "choices": choices, "usage": usage}


class _Choice:
    """One choice."""

    def __init__(self, place: int) -> None:
        self._end: dict[str, Any] = {}
        self._place = place
        self._logprobs: dict[str, Any] | None = None
        self._message: dict[str, Any] = {"role": "assistant"}
        self._calls: list[dict[str, Any]] = []
        self._by_index: dict[int, dict[str, Any]] = {}

    def take(self, choice: dict[str, Any]) -> None:
        """Take what a chunk says of it."""
        for key, value in choice.items():
            if key not in _OF_THE_PIECE:
                _put(self._end, key, value)
        self._score(choice.get("logprobs"))
        # Perplexity repeats beside each delta all that was said before.
        for key, value in (choice.get("delta") or choice.get("message") or {}).items():
            self._say(key, value)

    def whole(self) -> dict[str, Any]:
        """Return it with its message."""
        message = dict(self._message)
        if self._calls:
            message["tool_calls"] = self._calls
        message.setdefault("content", None)
        for key in _TEXTS & message.keys():
            if message[key] is not None:
                message[key] = joined(message[key])
        return {"index": self._place, "message": message, "logprobs": self._logprobs, **self._end}

    def _say(self, key: str, value: Any) -> None:
        said = self._message
        if key == "role":
            said[key] = value or said[key]
        elif value is None:
            said.setdefault(key, None)
        elif key == "tool_calls":
            for item in value:
                self._call(item)
        elif key in _TEXTS:
            _listed(said, key).extend([value] if type(value) is str else value)
        elif key in _JOINED:
            said[key] = _JOINED[key](said.get(key), value)
        elif key == "audio":
            raise Untellable("speech is written in another way in a stream")
        elif key not in _OF_THE_DELTA:
            _put(said, key, value)

    def _call(self, item: dict[str, Any]) -> None:
        """Add a piece of a call; another id, with a name, is another call, however it is numbered."""
        index, name = item.get("index"), item.get("id")
        tool = (item.get("function") or item.get("custom") or {}).get("name")
        call = self._by_index.get(index) if type(index) is int else None
        if call is None or (name and tool and call.get("id") and name != call["id"]):
            call = {"id": "", "type": "function"}
            self._calls.append(call)
            if type(index) is int:
                self._by_index[index] = call
        for key, value in item.items():
            if key in ("function", "custom"):
                call[key] = _function(call.get(key), value)
            elif key == "id":
                call[key] = call[key] or value
            elif key == "type":
                call[key] = value or call[key]
            elif key != "index":
                _put(call, key, value)

    def _score(self, told: Any) -> None:
        if told is None:
            return
        known = self._logprobs = self._logprobs or {}
        for kind, tokens in told.items():
            if type(tokens) is list:
                _listed(known, kind).extend(tokens)
            elif tokens is None:
                known.setdefault(kind, None)
            else:
                _put(known, kind, tokens)


def _listed(known: dict[str, Any], key: str) -> list[Any]:
    """Return the list in which pieces are gathered; many come, so none is copied again."""
    if known.get(key) is None:
        known[key] = []
    pieces: list[Any] = known[key]
    return pieces


def joined(pieces: list[Any]) -> str | list[Any]:
    """Join pieces of text; with Mistral's parts among them they make parts, of a kind each as long as it goes on."""
    if all(type(piece) is str for piece in pieces):
        return "".join(pieces)
    parts: list[dict[str, Any]] = []
    for piece in pieces:
        part = {"type": "text", "text": piece} if type(piece) is str else piece
        last, kind = parts[-1] if parts else {}, part.get("type")
        if kind == "text" and last.get("type") == kind:
            last["text"] += part["text"]
        elif kind == "thinking" and last.get("type") == kind and not last.get("closed"):
            last |= {**part, kind: _thoughts([*last[kind], *part[kind]])}
        elif part != {"type": "text", "text": ""}:
            parts.append(dict(part))
    return parts


def _thoughts(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if any(each.get("type") != "text" for each in told):
        return told
    return [{"type": "text", "text": "".join(each["text"] for each in told)}]


def _function(old: dict[str, Any] | None, told: dict[str, Any] | None) -> dict[str, Any]:
    """Add a piece of a function's name and arguments."""
    known = old or {}
    for key, value in (told or {}).items():
        if key in ("arguments", "input") and type(value) is str:
            known[key] = (known.get(key) or "") + value
        elif value or key not in known:
            _put(known, key, value)
    return known


def _details(old: list[dict[str, Any]] | None, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add pieces of OpenRouter's thoughts: those of one number and kind are one."""
    known = old or []
    for item in told:
        own = [each for each in known if (each.get("index"), each.get("type")) == _thought(item)]
        if not own or (item.get("id") and own[-1].get("id") not in (None, item["id"])):
            known.append(dict(item))
            continue
        for key, value in item.items():
            if key in ("text", "summary"):
                own[-1][key] = (own[-1].get(key) or "") + (value or "")
            else:
                _put(own[-1], key, value)
    return known


def _thought(item: dict[str, Any]) -> tuple[Any, Any]:
    return item.get("index"), item.get("type")


def _put(known: dict[str, Any], key: str, value: Any) -> None:
    """Take a member that is told as a whole; it may be told again."""
    old = known.get(key)
    if old in (None, "") or key in _LATEST:
        known[key] = old if value is None else value
    elif old == value or value in (None, ""):
        return
    elif key in _MERGED and type(old) is dict and type(value) is dict:
        known[key] = old | value
    else:
        raise Untellable(f"its {key[:40]} is told in pieces that are not known")


def _longer(old: list[Any] | None, more: list[Any]) -> list[Any]:
    return [*(old or ()), *more]


_JOINED: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "annotations": _longer,
    "function_call": _function,
    "images": _longer,
    "reasoning_details": _details,
}
