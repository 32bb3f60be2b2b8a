"""A kept answer in its other forms: whole, as server-sent events, as one JSON array of chunks.

Each chunk is an answer of its own, so a whole one is a stream of one chunk. Chunks are put together part by part; where
two of them say different things of the same, and it is not known which counts, they are not.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import Exchange, Form, Framer, Reply, Untellable, parse
from llmproxy_gemini.paths import call_of, streams_events

#: The manner of a stream that is one JSON array.
ARRAY: Final = "array"

_LONGEST: Final = 64 * 1024 * 1024
_TEXT: Final = frozenset({"text", "thought"})
#: Members of which the last word counts: of answers, and of candidates.
_LATEST: Final = frozenset(
    {
        "usageMetadata",
        "createTime",
        "finishReason",
        "finishMessage",
        "safetyRatings",
        "tokenCount",
        "avgLogprobs",
        "modelStatus",
    }
)
#: Members that are lists of what has come, or objects of such lists.
_GROWING: Final = frozenset({"citationMetadata", "logprobsResult"})


#: What the verbs' answers are called.
_CALLS: Final = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed-batch",
}


def form_of(exchange: Exchange, reply: Reply | None) -> Form:
    """Return the form that is asked for, or that the reply has; an array looks no other than a whole answer."""
    request = exchange.request
    call = call_of(request.path) if request.method == "POST" else None
    array = exchange.streamed and not streams_events(request.query)
    streamed = exchange.streamed if reply is None or array else reply.is_event_stream
    kind = "" if call is None else _CALLS.get(call.verb, "")
    return Form("gemini", kind, streamed, ARRAY if array and streamed else "")


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept answer in another form.

    Raises:
        Untellable: it is not whole, or something of it would be lost.
    """
    chunks = _chunks(body, source)
    if not chunks or any(type(chunk) is not dict or chunk.get("error") for chunk in chunks):
        raise Untellable("it is no good answer")
    if not any(_ended(chunk) for chunk in chunks):
        raise Untellable("it has no end")
    if not target.streamed:
        return orjson.dumps(chunks[0] if len(chunks) == 1 else _gathered(chunks))
    told = [orjson.dumps(chunk) for chunk in chunks]
    if target.manner == ARRAY:
        return b"[%b\n]\n" % b",\r\n".join(told)
    return b"".join(b"data: %b\r\n\r\n" % chunk for chunk in told)


def _chunks(body: bytes, source: Form) -> list[Any]:
    if not source.streamed:
        return [orjson.loads(body)]
    if source.manner == ARRAY:
        told = orjson.loads(body)
        return told if type(told) is list else [told]
    framer = Framer(max_event=_LONGEST)
    blocks = [parse(block).data.strip() for block in [*framer.feed(body), framer.close()]]
    return [orjson.loads(data) for data in blocks if data]


def _ended(chunk: dict[str, Any]) -> bool:
    if (chunk.get("promptFeedback") or {}).get("blockReason"):
        return True
    return any(candidate.get("finishReason") for candidate in chunk.get("candidates") or ())


def _gathered(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that the chunks are of."""
    answer: dict[str, Any] = {}
    candidates: dict[int, _Candidate] = {}
    for chunk in chunks:
        for candidate in chunk.get("candidates") or ():
            place = candidate.get("index") or 0
            candidates.setdefault(place, _Candidate()).take(candidate)
        for key, value in chunk.items():
            if key != "candidates":
                _put(answer, key, value)
    told = [candidates[place].whole() for place in sorted(candidates)]
    return ({"candidates": told} if told else {}) | answer


class _Candidate:
    """A candidate that is being told."""

    def __init__(self) -> None:
        self._value: dict[str, Any] = {}
        self._content: dict[str, Any] = {}
        self._parts: list[dict[str, Any]] = []

    def take(self, told: dict[str, Any]) -> None:
        """Take what a chunk says of it."""
        for key, value in told.items():
            if key != "content":
                _put(self._value, key, value)
        for key, value in (told.get("content") or {}).items():
            if key != "parts":
                _put(self._content, key, value)
        for part in (told.get("content") or {}).get("parts") or ():
            self._add(part)

    def _add(self, part: dict[str, Any]) -> None:
        """Add a part: text goes on as long as it is of one kind, and a signature ends it."""
        last = self._parts[-1] if self._parts else {}
        if "partialArgs" in part.get("functionCall", ()) or part.get("functionCall", {}).get("willContinue"):
            raise Untellable("a call of it comes in pieces")
        goes_on = part.keys() - {"thoughtSignature"} <= _TEXT and last.keys() <= _TEXT and "text" in last
        if goes_on and "text" in part and bool(part.get("thought")) == bool(last.get("thought")):
            text = last["text"] + part["text"]
            self._parts[-1] = {**last, **part, "text": text}
        elif part != {"text": ""}:
            self._parts.append(dict(part))

    def whole(self) -> dict[str, Any]:
        """Return it."""
        content = {"parts": self._parts, **self._content} if self._parts else self._content
        return ({"content": content} if content else {}) | self._value


def _put(known: dict[str, Any], key: str, value: Any) -> None:
    """Take a member that is told as a whole; it may be told again."""
    old = known.get(key)
    if old is None or key in _LATEST:
        known[key] = old if value is None else value
    elif old == value or value is None:
        return
    elif key in _GROWING and type(old) is dict and type(value) is dict:
        known[key] = {name: [*(old.get(name) or ()), *(value.get(name) or ())] for name in {**old, **value}}
    else:
        raise Untellable(f"its {key[:40]} is told in pieces that are not known")
