"""A kept chat completion in its other forms: whole, as a stream, as a stream without usage.

Nothing goes by way of the canonical form: members that nobody here knows are carried too. Where it is not known how the
pieces of one make a whole, the answer is not told in the other form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmproxy.plugin import Framer, Untellable, parse
from llmproxy_openai.chat.gathering import Gathered
from llmproxy_openai.filters import UsageEventFilter

#: An event may hold a whole picture.
_MOST: Final = 64 * 1024 * 1024
_DONE: Final = b"data: [DONE]\n\n"
_OF_THE_CHOICE: Final = frozenset({"index", "message", "delta", "logprobs"})
#: What every chunk repeats of the answer.
_COMMON: Final = ("id", "object", "created", "model", "service_tier", "system_fingerprint")


def retell(body: bytes, *, streamed: bool, stream: bool, bare: bool = False) -> bytes:
    """Write a kept answer, which is `streamed` or whole, as a `stream`, perhaps a `bare` one without usage, or whole.

    Raises:
        Untellable: it would lose something.
    """
    if streamed and stream and bare:
        machine = UsageEventFilter()
        return machine.feed(body) + machine.close()
    whole = gather(body) if streamed else orjson.loads(body)
    _check(whole, counted=streamed)
    return b"".join(_chunks(whole, bare=bare)) if stream else orjson.dumps(whole)


def gather(body: bytes) -> dict[str, Any]:
    """Return the whole answer that a stream tells.

    Raises:
        Untellable: it is not whole, or nobody knows how its pieces go together.
    """
    framer, gathered = Framer(max_event=_MOST), Gathered()
    for block in [*framer.feed(body), framer.close()]:
        data = parse(block).data.strip()
        if data == b"[DONE]":
            break
        if data:
            gathered.take(orjson.loads(data))
    return gathered.whole()


def _check(whole: Any, *, counted: bool) -> None:
    """Refuse what is no good and complete answer; one that was a stream must be `counted`, for not all streams are."""
    if type(whole) is not dict or whole.get("error") or not whole.get("choices"):
        raise Untellable("it is no chat completion")
    if counted and not whole.get("usage"):
        raise Untellable("it does not tell its usage")
    for choice in whole["choices"]:
        if not choice.get("finish_reason"):
            raise Untellable("it has no end")
        if choice["message"].get("audio"):
            raise Untellable("speech is written in another way in a stream")


def _chunks(whole: dict[str, Any], *, bare: bool) -> Iterator[bytes]:
    """Tell a whole answer as a stream; what only its head says stands in the first chunk."""
    common = {key: whole[key] for key in _COMMON if key in whole} | {"object": "chat.completion.chunk"}
    rest: dict[str, Any] = {} if bare else {"usage": None}
    once = {key: value for key, value in whole.items() if key not in {*_COMMON, "choices", "usage"}}
    for choice in whole["choices"]:
        for piece in _pieces(choice):
            yield b"data: %b\n\n" % orjson.dumps({**common, **once, "choices": [piece], **rest})
            once = {}
    if not bare:
        yield b"data: %b\n\n" % orjson.dumps({**common, "choices": [], "usage": whole["usage"]})
    yield _DONE


def _pieces(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tell one choice: its role, what it thought, what it said, what it called, its end."""
    index, message = choice.get("index") or 0, choice["message"]
    logprobs = choice.get("logprobs")
    scored = next((key for key in ("content", "refusal") if message.get(key) is not None), "role")

    def piece(delta: dict[str, Any], *, told: bool = False, **more: Any) -> dict[str, Any]:
        scores = logprobs if told else None
        return {"index": index, "delta": delta, "logprobs": scores, "finish_reason": None, **more}

    empty = {key: value for key, value in message.items() if value in (None, "") and key != "role"}
    yield piece(
        {"role": message.get("role") or "assistant", **empty}, told=scored == "role" or scored in empty
    )
    for key in sorted(message.keys() - empty.keys() - {"role", "tool_calls"}, key=_place):
        yield piece({key: message[key]}, told=key == scored)
    for number, call in enumerate(message.get("tool_calls") or ()):
        yield piece({"tool_calls": [{**call, "index": number}]})
    end = {key: value for key, value in choice.items() if key not in _OF_THE_CHOICE}
    yield piece({}, **end)


def _place(key: str) -> tuple[int, str]:
    return 0 if key.startswith("reasoning") else 1 if key == "content" else 2, key
