"""Errors as Anthropic words them."""

from __future__ import annotations

from typing import Final

import orjson

from llmproxy.plugin import BadField, GatewayError, ProviderError, Reply, retry_fields

_TYPE_OF_KIND: Final = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "quota": "billing_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "server": "api_error",
}
_TYPE_OF_STATUS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# The words of Anthropic's own for which no kind stands.
_OWN: Final = frozenset({"conflict_error", "memory_precondition_failed_error", "memory_path_conflict_error"})
_OVERLOADED: Final = 529


class UnsupportedThread(BadField):
    """A conversation is to be held by the provider; the details are Anthropic's own, and have its SDK send all of it."""

    def __init__(self) -> None:
        message = (
            "thread: the provider behind this model holds no conversations; send all of it, without `thread`."
        )
        super().__init__("thread_unsupported_request", message, "thread")
        self.details = {"error_code": self.code}


def type_of(error: GatewayError) -> str:
    """Return Anthropic's word for the error."""
    if isinstance(error, ProviderError):
        return error.type if error.type in _OWN else _TYPE_OF_KIND.get(error.kind, "api_error")
    fallback = "api_error" if error.status >= 500 else "invalid_request_error"
    return _TYPE_OF_STATUS.get(error.status, fallback)


def describe(error: GatewayError) -> dict[str, object]:
    """Return the object that Anthropic's SDKs read an error from."""
    names = {name.lower(): value for name, value in error.headers}
    told: dict[str, object] = {"type": type_of(error), "message": error.message}
    if isinstance(error, UnsupportedThread):
        told["details"] = error.details
    return {"type": "error", "error": told, "request_id": names.get("request-id")}


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer."""
    headers = retry_fields(error)
    headers.update({name.lower(): value for name, value in error.headers})
    return Reply.json(describe(error), _status(error), headers)


def error_event(error: GatewayError) -> bytes:
    """Shape an error that ends a stream."""
    return b"event: error\ndata: " + orjson.dumps(describe(error)) + b"\n\n"


def _status(error: GatewayError) -> int:
    if isinstance(error, ProviderError) and error.kind == "overloaded" and error.status == 503:
        return _OVERLOADED  # the SDKs know an overloaded provider by this one
    return error.status
