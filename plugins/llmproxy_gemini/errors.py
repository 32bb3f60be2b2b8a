"""Errors as Google words them: code, status word, details.

Source: google.rpc.Status and google.rpc.error_details of Google's API design guide.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import BadField, GatewayError, ProviderError, Reply, retry_fields

_WORD_OF_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

_WORD_OF_KIND: Final = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "too_large": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "server": "INTERNAL",
}

_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "llmproxy"


def describe(error: GatewayError) -> dict[str, Any]:
    """Return the object that Google's SDKs read an error from."""
    return {
        "code": error.status,
        "message": error.message,
        "status": _word(error),
        "details": _details(error),
    }


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer."""
    headers = retry_fields(error)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 §11.6.1
    headers.update({name.lower(): value for name, value in error.headers})
    return Reply.json({"error": describe(error)}, error.status, headers)


def error_chunk(error: GatewayError, **more: Any) -> bytes:
    """Return an error as it stands in a stream, without the framing; SDKs look for it at the very start."""
    return orjson.dumps({"error": describe(error), **more})


def _word(error: GatewayError) -> str:
    if isinstance(error, ProviderError):
        return _WORD_OF_KIND.get(error.kind, "UNKNOWN")
    return _WORD_OF_STATUS.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")


def _details(error: GatewayError) -> list[dict[str, Any]]:
    """Return what programs read: the gateway's own word, the field in question, the wait."""
    details: list[dict[str, Any]] = [
        {"@type": _TYPE + "ErrorInfo", "reason": _reason(error), "domain": _DOMAIN}
    ]
    param = error.param if isinstance(error, BadField | ProviderError) else None
    if param:
        violation = {"field": param, "description": error.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": _seconds(error.retry_after)})
    return details


def _reason(error: GatewayError) -> str:
    """Return the word that programs match on; a provider whose code is but the status again has told none."""
    return _word(error) if error.code.isdigit() else error.code.upper()


def _seconds(delay: float) -> str:
    """Write a duration as proto JSON does."""
    return f"{max(0.0, delay):.3f}".rstrip("0").rstrip(".") + "s"
