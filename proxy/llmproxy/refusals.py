"""Reads a provider's error out of whatever shape it has, and puts a kind to it. Pure.

The shapes, as recorded: {error: {message, type, param, code}}, {type: error, error, request_id}, {error: {code,
message, status, details}} and the same in a list, {detail}, {message}, {code, error: text}, {errors: [text]}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from llmproxy.errors import GatewayError, ProviderError, UpstreamError

if TYPE_CHECKING:
    from llmproxy.messages import Headers

_KIND_OF_STATUS: Final = {
    400: "invalid_request",
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "invalid_request",
    424: "server",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

#: What providers call their errors, in lower case, and the kind that each is.
_KIND_OF_WORD: Final = {
    "invalid_request_error": "invalid_request",
    "invalid_argument": "invalid_request",
    "failed_precondition": "invalid_request",
    "out_of_range": "invalid_request",
    "validationexception": "invalid_request",
    "invalid_prompt": "invalid_request",
    "context_length_exceeded": "invalid_request",
    "string_above_max_length": "invalid_request",
    "authentication_error": "authentication",
    "invalid_api_key": "authentication",
    "unauthenticated": "authentication",
    "permission_error": "permission",
    "permission_denied": "permission",
    "accessdeniedexception": "permission",
    "not_found_error": "not_found",
    "not_found": "not_found",
    "model_not_found": "not_found",
    "resourcenotfoundexception": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "requests": "rate_limit",
    "tokens": "rate_limit",
    "resource_exhausted": "rate_limit",
    "throttlingexception": "rate_limit",
    "expiredtokenexception": "authentication",
    "unrecognizedclientexception": "authentication",
    "servicequotaexceededexception": "quota",
    "modelnotreadyexception": "overloaded",
    "modelerrorexception": "server",
    "modelstreamerrorexception": "server",
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "overloaded_error": "overloaded",
    "unavailable": "overloaded",
    "serviceunavailableexception": "overloaded",
    "timeout_error": "timeout",
    "deadline_exceeded": "timeout",
    "modeltimeoutexception": "timeout",
    "api_error": "server",
    "server_error": "server",
    "internal": "server",
    "internal_error": "server",
    "internalserverexception": "server",
}

#: The status of an error that came inside a good answer, by its kind.
STATUS_OF_KIND: Final = {
    "invalid_request": 400,
    "authentication": 401,
    "quota": 402,
    "permission": 403,
    "not_found": 404,
    "too_large": 413,
    "rate_limit": 429,
    "server": 500,
    "overloaded": 503,
    "timeout": 504,
}

# Refusals that end by themselves, and those that the SDKs judge better.
_LATER: Final = frozenset({429, 503, 529})
_SOON: Final = frozenset({408, 409})

_LONGEST_MESSAGE: Final = 8192
#: Seconds; more has no place in a header.
_LONGEST_WAIT: Final = 366 * 86400.0
_DURATION: Final = "s"

# What tells a caller when to come back and whom to ask about it.
_TOLD: Final = (
    "retry-after",
    "x-should-retry",
    "x-ratelimit-",
    "anthropic-ratelimit-",
    "request-id",
    "x-request-id",
)


def read_error(status: int, body: bytes, headers: Headers | None = None) -> ProviderError:
    """Read the answer of a failed call."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        # A page of a proxy on the way is no message for a caller.
        told = {"message": "" if text.startswith("<") else text}
    return error_of(told, status, headers)


def error_of(told: Any, status: int = 0, headers: Headers | None = None) -> ProviderError:
    """Read an error object; with no `status` of its own (in a stream) its words and codes say which it is."""
    if isinstance(told, list):
        told = told[0] if told else {}
    outer: Mapping[str, Any] = told if isinstance(told, dict) else {"message": told}
    inner = outer.get("error", outer)
    if not isinstance(inner, dict):
        inner = {**{key: value for key, value in outer.items() if key != "error"}, "message": inner}
    kind_word, code = _word(inner, "type", "status", "__type"), _word(inner, "code", "reason")
    if not 400 <= status <= 599:
        status = _status_within(inner, outer)
    kind = _kind(status, kind_word, code)
    message = _message(inner) or _message(outer) or "The provider gave no reason."
    return ProviderError(
        status or STATUS_OF_KIND[kind],
        code or kind_word or kind,
        message[:_LONGEST_MESSAGE],
        kind=kind,
        type=kind_word,
        param=_word(inner, "param") or None,
        retry_after=_retry_delay(inner),
        headers=() if headers is None else told_headers(headers),
    )


def retry_fields(error: GatewayError) -> dict[str, str]:
    """Return the header fields that tell SDKs whether and when to try again, names in lower case.

    `x-should-retry` is said of the gateway's own refusals only: a provider's errors carry their own, and whether a
    broken attempt is worth another is for the SDK to judge. `retry-after-ms` is what OpenAI's and Anthropic's SDKs
    prefer; both are waited for as they stand, so neither is ever less than the wait.
    """
    fields = {}
    if error.retry_after is not None:
        fields["retry-after"] = str(max(0, math.ceil(error.retry_after)))
        fields["retry-after-ms"] = str(max(0, math.ceil(error.retry_after * 1000)))
    if not isinstance(error, ProviderError | UpstreamError):
        if error.status in _LATER:
            fields["x-should-retry"] = "true"
        elif 400 <= error.status < 500 and error.status not in _SOON:
            fields["x-should-retry"] = "false"
    return fields


def told_headers(headers: Headers) -> list[tuple[str, str]]:
    """Return the header fields that tell a caller when to come back, and the request's name."""
    return [(name, value) for name, value in headers if name.lower().startswith(_TOLD)]


def _kind(status: int, *words: str) -> str:
    found = [_KIND_OF_WORD[word.lower()] for word in words if word.lower() in _KIND_OF_WORD]
    if "quota" in found:
        return "quota"
    if status in _KIND_OF_STATUS and status != 400:
        return _KIND_OF_STATUS[status]
    if found and (status in (0, 400, 500) or not found[0].startswith("server")):
        return found[0]
    return "invalid_request" if 400 <= status < 500 else "server"


def _status_within(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> int:
    for place in (inner, outer):
        for key in ("status_code", "http_code", "code", "status"):
            value = place.get(key)
            if isinstance(value, str) and len(value) == 3 and value.isdecimal():
                value = int(value)
            if type(value) is int and 400 <= value <= 599:
                return value
    return 0


def _word(told: Mapping[str, Any], *keys: str) -> str:
    for key in keys:
        value = told.get(key)
        if isinstance(value, str) and value:
            return value[:200]
        if type(value) is int:
            return str(value)
    return ""


def _message(told: Mapping[str, Any]) -> str:
    for key in ("message", "Message", "detail", "msg", "error_msg", "errors", "error"):
        value = told.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and isinstance(value.get("detail"), str):
            return str(value["detail"])
        if isinstance(value, list | dict) and value:
            try:
                return orjson.dumps(value).decode()
            except orjson.JSONEncodeError:  # too deep to be written
                return ""
    return ""


def _retry_delay(told: Mapping[str, Any]) -> float | None:
    """Return Gemini's wait, which stands in the error itself (google.rpc.RetryInfo)."""
    details = told.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith(_DURATION):
            try:
                seconds = float(delay.removesuffix(_DURATION))
            except ValueError:
                return None
            return min(max(0.0, seconds), _LONGEST_WAIT) if math.isfinite(seconds) else None
    return None
