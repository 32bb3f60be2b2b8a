"""Errors as OpenAI words them."""

from __future__ import annotations

import orjson

from llmproxy.plugin import BadField, GatewayError, ProviderError, Reply, retry_fields

# OpenAI calls most refusals invalid_request_error, a wrong key among them; the code tells them apart.
_TYPES = {403: "permission_error", 429: "rate_limit_error"}

#: OpenAI's type and code for what another provider refused; where there is no code, the provider's own stays.
_OF_KIND = {
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("permission_error", None),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "overloaded": ("server_error", None),
    "timeout": ("server_error", None),
    "server": ("server_error", None),
}


def describe(error: GatewayError) -> dict[str, str | None]:
    """Return the object that OpenAI's SDKs read an error from."""
    kind: str | None
    kind, code = (
        "server_error" if error.status >= 500 else _TYPES.get(error.status, "invalid_request_error"),
        None,
    )
    if isinstance(error, ProviderError):
        kind, code = _OF_KIND.get(error.kind, ("invalid_request_error", None))
    param = error.param if isinstance(error, BadField | ProviderError) else None
    return {"message": error.message, "type": kind, "param": param, "code": code or error.code}


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer."""
    headers = retry_fields(error)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 §11.6.1
    headers.update({name.lower(): value for name, value in error.headers})
    return Reply.json({"error": describe(error)}, error.status, headers)


def error_event(error: GatewayError) -> bytes:
    """Shape an error that ends a stream, for readers of chat chunks and of Responses events alike."""
    problem = describe(error)
    event = {
        "type": "error",
        "error": problem,
        "code": problem["code"],
        "message": problem["message"],
        "param": problem["param"],
    }
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
