"""A kept answer in its other form: whole, or as lines."""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import Exchange, Form, LineFramer, Reply, Untellable
from llmproxy_ollama.paths import STREAMING, call_of

WIRE: Final = "ollama"
_LONGEST: Final = 64 * 1024 * 1024
#: Members that come in pieces, of a message or of what `/api/generate` answers, and what a piece adds to.
_TEXTS: Final = frozenset({"content", "thinking", "response"})
_LISTS: Final = frozenset({"tool_calls", "logprobs", "images"})


def form_of(exchange: Exchange, reply: Reply | None) -> Form:
    """Return the form that is asked for, or that the reply has."""
    call = call_of(exchange.request.path) if exchange.request.method == "POST" else ""
    if call not in STREAMING and call not in ("embed", "embeddings"):
        return Form(WIRE, "", exchange.streamed)
    return Form(WIRE, call, exchange.streamed if reply is None else reply.is_line_stream)


def retell(body: bytes, source: Form, target: Form) -> bytes:
    """Write a kept answer in another form of the same call.

    Raises:
        Untellable: it is not whole, or something of it would be lost.
    """
    answer = _gathered(body) if source.streamed else orjson.loads(body)
    if type(answer) is not dict or answer.get("done") is not True:
        raise Untellable("it is no answer that is whole")
    return b"".join(_lines(answer)) if target.streamed else orjson.dumps(answer)


def _gathered(body: bytes) -> dict[str, Any]:
    """Return the answer that lines tell: the last one's members, and what came before in pieces."""
    framer = LineFramer(max_line=_LONGEST)
    told = [orjson.loads(line) for line in [*framer.feed(body), framer.close()] if line.strip()]
    if not told or any(type(each) is not dict or each.get("error") for each in told):
        raise Untellable("the stream ended with an error")
    answer: dict[str, Any] = {}
    message: dict[str, Any] = {}
    for each in told:
        if type(each.get("message")) is dict:
            _add(message, each["message"])
        _add(answer, {key: value for key, value in each.items() if key != "message"})
    if not message:
        return answer
    # The message stands where it stands in every line.
    head = {key: answer.pop(key) for key in ("model", "created_at") if key in answer}
    return head | {"message": message} | answer


def _add(known: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        old = known.get(key)
        if key in _TEXTS and type(value) is str:
            known[key] = (old or "") + value
        elif key in _LISTS and type(value) is list:
            known[key] = [*(old or ()), *value]
        elif value is not None or key not in known:
            known[key] = value


def _lines(answer: dict[str, Any]) -> list[bytes]:
    """Tell a whole answer as two lines: all that it says, and its end."""
    said: dict[str, Any] = {key: answer[key] for key in ("model", "created_at") if key in answer}
    end = {key: value for key, value in answer.items() if key not in _TEXTS | _LISTS | {"message"}}
    if type(answer.get("message")) is dict:
        said["message"] = answer["message"]
        end["message"] = {"role": answer["message"].get("role", "assistant"), "content": ""}
    said |= {key: answer[key] for key in answer if key in _TEXTS | _LISTS}
    if "response" in answer:
        end["response"] = ""
    said["done"] = False
    return [orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in (said, end)]
