"""Whole answers, both ways: those of `/api/chat` and `/api/generate`, and the canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from llmproxy.canonical import Answer, Block, Choice, Reasoning, Refusal, Text, ToolCall
from llmproxy.plugin import Clock, Exchange
from llmproxy_ollama.finishing import read_reason, written_reason
from llmproxy_ollama.logprobs import read_logprobs, written_logprobs
from llmproxy_ollama.paths import call_of
from llmproxy_ollama.toolcalls import OpenCalls, arguments_of, written_call
from llmproxy_ollama.usage import read_usage, written_usage

#: Digits of a second's fraction that are read; Go writes nine.
_MICROSECONDS: Final = 6
_NANO: Final = 1_000_000_000


class Stamp(NamedTuple):
    """What every answer says of itself beside its text: the model's name, when it was made, how long it took.

    `started` and `output` are times on the gateway's clock: of the request, and of the answer's first piece (0 where
    nobody knows).
    """

    model: str
    created: str
    started: float = 0.0
    output: float = 0.0
    #: Whether the answer is one of `/api/generate`.
    plain: bool = False

    def took(self, now: float) -> dict[str, int]:
        """Return the durations in nanoseconds, at the end; to load is what a hosted model need not."""
        output = min(max(self.output or now, self.started), now)
        return {
            "total_duration": round((now - self.started) * _NANO),
            "load_duration": 0,
            "prompt_eval_duration": round((output - self.started) * _NANO),
            "eval_duration": round((now - output) * _NANO),
        }


def stamp_of(exchange: Exchange) -> Stamp:
    """Return what an answer to this exchange says of itself."""
    created = datetime.fromtimestamp(Clock().wall(), UTC).isoformat().replace("+00:00", "Z")
    told = [attempt.first_output_at or attempt.headers_at or 0.0 for attempt in exchange.attempts]
    plain = call_of(exchange.request.path) == "generate"
    return Stamp(exchange.model or "", created, exchange.started, told[-1] if told else 0.0, plain)


def created_at(told: Mapping[str, Any]) -> int:
    """Return the seconds since 1970 of `created_at`, 0 where it tells none."""
    value = told.get("created_at")
    if not isinstance(value, str):
        return 0
    head, dot, rest = value.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :]
    try:
        fraction = f".{digits[:_MICROSECONDS]:0<6}" if dot else ""
        return max(0, int(datetime.fromisoformat(head + fraction + zone).timestamp()))
    except (ValueError, OverflowError):
        return 0


def word_of(told: Mapping[str, Any], key: str) -> str:
    """Return a member that is a text, or an empty one."""
    value = told.get(key)
    return value if isinstance(value, str) else ""


def message_of(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer's message; what `/api/generate` answers stands in the answer itself.

    Raises:
        ValueError: it holds none.
    """
    message = told.get("message")
    if isinstance(message, dict):
        return message
    if "response" in told:
        return {"content": told["response"], "thinking": told.get("thinking")}
    if told.get("done"):
        return {}
    raise ValueError("the answer holds no message")


def read_answer(told: dict[str, Any]) -> Answer:
    """Read a whole answer.

    Raises:
        ValueError: it is none.
    """
    message = message_of(told)
    thought, said = word_of(message, "thinking"), word_of(message, "content")
    blocks: list[Block] = [Reasoning(text=thought)] if thought else []
    if said:
        blocks.append(Text(text=said))
    calls = read_calls(message, OpenCalls(word_of(told, "created_at")))
    blocks += calls
    choice = Choice(
        content=tuple(blocks),
        finish=read_reason(told.get("done_reason"), calls=bool(calls)) if told.get("done", True) else None,
        detail=word_of(told, "done_reason"),
        logprobs=read_logprobs(told.get("logprobs")),
    )
    return Answer(
        model=word_of(told, "model"), created=created_at(told), choices=(choice,), usage=read_usage(told)
    )


def read_calls(message: Mapping[str, Any], known: OpenCalls) -> list[ToolCall]:
    """Return the calls of a message or of a piece of one.

    Raises:
        ValueError: they are none.
    """
    calls = message.get("tool_calls") or []
    found = []
    for each in calls if isinstance(calls, list) else ():
        function = each.get("function") if isinstance(each, dict) else None
        if not isinstance(function, dict):
            raise ValueError("a call names no function")  # noqa: TRY004  # an answer that is not of this dialect
        name, arguments = word_of(function, "name"), arguments_of(function.get("arguments"))
        found.append(
            ToolCall(id=known.opened(name, word_of(each, "id"), arguments), name=name, arguments=arguments)
        )
    return found


def write_answer(answer: Answer, stamp: Stamp, now: float) -> dict[str, Any]:
    """Return the object that callers read: the first choice, for there is no other here."""
    choice = answer.choices[0] if answer.choices else Choice(finish="error")
    said, thought, calls = _told(choice.content)
    told: dict[str, Any] = {"model": stamp.model or answer.model, "created_at": stamp.created}
    if stamp.plain:
        told["response"] = said
        message = told
    else:
        message = told["message"] = {"role": "assistant", "content": said}
    if thought:
        message["thinking"] = thought
    if calls and not stamp.plain:
        message["tool_calls"] = calls
    if logprobs := written_logprobs(choice.logprobs):
        told["logprobs"] = logprobs
    return told | write_end(choice, answer, stamp, now)


def write_end(choice: Choice, answer: Answer, stamp: Stamp, now: float) -> dict[str, Any]:
    """Return what the end of an answer tells."""
    told = {"done": True, "done_reason": written_reason(choice.finish)}
    return told | stamp.took(now) | written_usage(answer.usage)


def _told(blocks: tuple[Block, ...]) -> tuple[str, str, list[dict[str, Any]]]:
    """Return an answer's text, its thoughts and its calls."""
    said = "".join(block.text for block in blocks if isinstance(block, Text | Refusal))
    thought = "".join(block.text for block in blocks if isinstance(block, Reasoning))
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    return said, thought, [written_call(call, place) for place, call in enumerate(calls)]
