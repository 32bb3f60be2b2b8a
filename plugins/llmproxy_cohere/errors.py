"""Errors as Cohere words them: a message, and here the gateway's own word beside it."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.plugin import BadField, GatewayError, ProviderError, Reply, retry_fields


def describe(error: GatewayError) -> dict[str, Any]:
    """Return the object that Cohere's SDKs show of an error."""
    told: dict[str, Any] = {"message": error.message, "code": error.code}
    param = error.param if isinstance(error, BadField | ProviderError) else None
    return told | ({"param": param} if param else {})


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer."""
    headers = retry_fields(error)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 §11.6.1
    headers.update({name.lower(): value for name, value in error.headers})
    return Reply.json(describe(error), error.status, headers)


def error_event(error: GatewayError) -> bytes:
    """Shape an error that ends a stream: the dialect has no other event for it than the last."""
    delta = {"error": error.message, "code": error.code, "finish_reason": "ERROR"}
    return b"event: message-end\ndata: " + orjson.dumps({"type": "message-end", "delta": delta}) + b"\n\n"


def error_line(error: GatewayError) -> bytes:
    """Shape an error that ends a stream of the first API, which has a line for each event."""
    line = {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "ERROR",
        "response": {"text": "", "finish_reason": "ERROR", **describe(error)},
    }
    return orjson.dumps(line) + b"\n"
