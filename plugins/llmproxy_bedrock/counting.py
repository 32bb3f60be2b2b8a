"""Counting calls, both ways."""

from __future__ import annotations

from typing import Any

from llmproxy.canonical import CountRequest, Losses
from llmproxy.plugin import BadField
from llmproxy_bedrock.decoding import decode_converse
from llmproxy_bedrock.encoding import write_body
from llmproxy_bedrock.values import an_object, refuse, the_one

_COUNTED = frozenset({"messages", "system", "toolConfig", "additionalModelRequestFields"})


def read_count(model: str, told: dict[str, Any], losses: Losses) -> CountRequest:
    """Read a counting call.

    Raises:
        BadRequest: it is broken, or holds a body in a model's own words, which cannot be translated.
    """
    kind, inner = the_one(an_object(told.get("input"), "input"), "input")
    if kind == "invokeModel":
        message = "The body of a natively invoked model cannot be translated; count a Converse request."
        raise BadField("no_translation", message, "input.invokeModel")
    if kind != "converse":
        refuse("input", "must hold converse or invokeModel")
    return CountRequest(request=decode_converse(model, an_object(inner, "input.converse"), losses))


def write_count(request: CountRequest, model: str) -> dict[str, Any]:
    """Return the body of a counting call."""
    body = write_body(model, request.request, Losses())
    return {"input": {"converse": {key: value for key, value in body.items() if key in _COUNTED}}}
