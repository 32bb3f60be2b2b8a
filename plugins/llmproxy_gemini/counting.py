"""Counting calls, both ways."""

from __future__ import annotations

from typing import Any

from llmproxy.canonical import CountAnswer, CountRequest, Losses
from llmproxy_gemini.decoding import generate_request
from llmproxy_gemini.encoding import write_request
from llmproxy_gemini.fields import members, unreadable
from llmproxy_gemini.paths import resource_name


def read_count(model: str, told: dict[str, Any], losses: Losses) -> CountRequest:
    """Read a counting call: the contents themselves, or the whole request that would be made."""
    inner = told.get("generateContentRequest")
    if inner is not None:
        told = members(inner, "generateContentRequest")
    return CountRequest(request=generate_request(model, told, losses))


def write_count(request: CountRequest, model: str, losses: Losses, *, vertex: bool = False) -> dict[str, Any]:
    """Return the body of a counting call; Vertex takes the request's own members, the Gemini API wraps them."""
    body = write_request(request.request, model, losses, vertex=vertex)
    if vertex or body.keys() == {"contents"}:
        return body
    return {"generateContentRequest": {"model": resource_name(model), **body}}


def read_count_answer(told: dict[str, Any]) -> CountAnswer:
    """Read how many tokens there are."""
    tokens, cached = told.get("totalTokens"), told.get("cachedContentTokenCount")
    if type(tokens) is not int:
        raise unreadable("the answer tells no number of tokens")
    return CountAnswer(tokens=tokens, cached=cached if type(cached) is int else None)


def write_count_answer(answer: CountAnswer) -> dict[str, Any]:
    """Return the object that Gemini's SDKs read."""
    told = {"totalTokens": answer.tokens}
    if answer.cached:
        told["cachedContentTokenCount"] = answer.cached
    return told
