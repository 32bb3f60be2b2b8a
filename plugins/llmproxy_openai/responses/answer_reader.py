"""Reads a provider's whole response."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.canonical import Answer, Block, Choice, ToolCall
from llmproxy.plugin import GatewayError, error_of
from llmproxy_openai.responses.output_reader import STRANGE, blocks_of, created_of, finish_of, string
from llmproxy_openai.usage import read_usage


def read_answer(body: bytes) -> Answer:
    """Read a good answer.

    Raises:
        GatewayError: the response failed.
        ValueError: it is not of this dialect.
    """
    told = orjson.loads(body)
    try:
        return _answer(told)
    except STRANGE as fault:
        raise ValueError("the answer has another shape than a response") from fault


def _answer(told: Any) -> Answer:
    if not isinstance(told, dict) or not isinstance(told.get("output", []), list):
        raise ValueError("the answer is no response")  # noqa: TRY004  # what is wrong is a value
    if told.get("type") == "error" and "output" not in told:
        raise error_of({key: value for key, value in told.items() if key != "type"})
    if told.get("status") == "failed" or (told.get("error") and not told.get("output")):
        raise failure_of(told)
    if "output" not in told:
        raise ValueError("the answer is no response")
    blocks = tuple(block for item in told["output"] for block in blocks_of(item))
    usage = told.get("usage")
    return Answer(
        id=string(told, "id"),
        model=string(told, "model"),
        created=created_of(told),
        choices=(_choice(told, blocks),),
        usage=read_usage(usage) if isinstance(usage, dict) else None,
        service_tier=string(told, "service_tier"),
    )


def failure_of(response: dict[str, Any]) -> GatewayError:
    """Return the error that a response says it failed with."""
    error = response.get("error")
    if not error:
        error = {"code": "server_error", "message": "The provider failed without a reason."}
    return error_of({"error": error})


def _choice(told: dict[str, Any], blocks: tuple[Block, ...]) -> Choice:
    finish, detail = finish_of(told, called=any(isinstance(block, ToolCall) for block in blocks))
    tokens = [
        token
        for item in told["output"]
        if isinstance(item, dict) and item.get("type") == "message"
        for token in _tokens(item.get("content"))
    ]
    return Choice(
        content=blocks, finish=finish, detail=detail, logprobs={"content": tokens} if tokens else None
    )


def _tokens(parts: Any) -> list[Any]:
    if not isinstance(parts, list):
        return []
    return [
        token
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("logprobs"), list)
        for token in part["logprobs"]
    ]
