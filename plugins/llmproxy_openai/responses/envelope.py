"""The response object: what it repeats of the request, how an answer's end reads in it, what it counts."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.canonical import Answer, Choice, FinishReason, Refusal
from llmproxy.plugin import Clock, Exchange, GatewayError, ProviderError, Usage
from llmproxy_openai.responses.asked import Asked

_clock: Final = Clock()

#: What the API itself fills in where a request says nothing.
_DEFAULTS: Final[dict[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}

_INCOMPLETE: Final[dict[FinishReason, str | None]] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": None,
    "malformed": None,
    "error": None,
}

_CODE_OF_KIND: Final = {
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "overloaded": "server_is_overloaded",
    "invalid_request": "invalid_prompt",
}
#: Codes that callers act on, whoever tells them.
_KNOWN_CODES: Final = frozenset({"context_length_exceeded", *_CODE_OF_KIND.values()})


def envelope(
    exchange: Exchange, asked: Asked, *, model: str, created: int, service_tier: str, status: str
) -> dict[str, Any]:
    """Return a response without output, in the order of OpenAI's own."""
    told = asked.told
    value: dict[str, Any] = {
        "id": asked.id,
        "object": "response",
        "created_at": created or int(_clock.wall()),
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model or exchange.model or "",
        "output": [],
        "parallel_tool_calls": told.get("parallel_tool_calls") is not False,
        "reasoning": _reasoning(told.get("reasoning")),
        "service_tier": service_tier or told.get("service_tier") or "default",
        "store": told.get("store") is not False,
        "text": _text(told.get("text")),
        "tools": told.get("tools") or [],
        "metadata": told.get("metadata") or {},
        "usage": None,
    }
    for key, default in _DEFAULTS.items():
        given = told.get(key)
        value[key] = default if given is None else given
    return value


def _reasoning(told: Any) -> dict[str, Any]:
    given = told if isinstance(told, dict) else {}
    return {"effort": given.get("effort"), "summary": given.get("summary")}


def _text(told: Any) -> dict[str, Any]:
    given = told if isinstance(told, dict) else {}
    text = {"format": given.get("format") or {"type": "text"}}
    if given.get("verbosity"):
        text["verbosity"] = given["verbosity"]
    return text


def end(value: dict[str, Any], finish: FinishReason | None, *, refused: bool) -> str:
    """Write into a response how it ended; return its status."""
    if finish in ("stop", "tool_calls") or (finish == "refusal" and refused):
        value["status"] = "completed"
        value["completed_at"] = int(_clock.wall())
    else:
        value["status"] = "incomplete"
        value["incomplete_details"] = {"reason": None if finish is None else _INCOMPLETE[finish]}
    return str(value["status"])


def end_of(value: dict[str, Any], choice: Choice) -> str:
    """Write into a response how a whole answer ended; return its status."""
    return end(value, choice.finish, refused=any(isinstance(block, Refusal) for block in choice.content))


def envelope_of(exchange: Exchange, asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return the response of a whole answer, still without output."""
    return envelope(
        exchange,
        asked,
        model=answer.model,
        created=answer.created,
        service_tier=answer.service_tier,
        status="completed",
    )


def counts(usage: Usage | None) -> dict[str, Any] | None:
    """Write token counts; input includes what came from a cache and what went into one."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input + usage.cache_read + usage.cache_write,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": usage.output + usage.reasoning,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def failure(error: GatewayError) -> dict[str, str]:
    """Write the error of a failed response."""
    code = error.code
    if code not in _KNOWN_CODES:
        kind = error.kind if isinstance(error, ProviderError) else ""
        code = _CODE_OF_KIND.get(kind, "server_error")
    return {"code": code, "message": error.message}
