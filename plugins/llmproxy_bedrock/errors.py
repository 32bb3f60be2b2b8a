"""Errors as Amazon words them: an exception's name in a header, its message in the body, both ways.

Source: the errors of the operations in the Bedrock Runtime API reference.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.plugin import (
    EventStreamMessage,
    GatewayError,
    Headers,
    ProviderError,
    Reply,
    error_of,
    retry_fields,
)
from llmproxy_bedrock.frames import exception_frame

#: Where an answer's head names the exception.
ERROR_TYPE: Final = b"x-amzn-errortype"

_NAME_OF_KIND: Final = {
    "invalid_request": "ValidationException",
    "authentication": "AccessDeniedException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "too_large": "ValidationException",
    "rate_limit": "ThrottlingException",
    "quota": "ServiceQuotaExceededException",
    "overloaded": "ServiceUnavailableException",
    "timeout": "ModelTimeoutException",
    "server": "InternalServerException",
}
_NAME_OF_STATUS: Final = {
    401: "AccessDeniedException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}
#: Amazon's own words: the status that each has where a stream tells of it, and the kind.
_OWN: Final = {
    "ValidationException": (400, "invalid_request"),
    "ConflictException": (400, "invalid_request"),
    "ServiceQuotaExceededException": (400, "quota"),
    "AccessDeniedException": (403, "permission"),
    "UnrecognizedClientException": (403, "authentication"),
    "InvalidSignatureException": (403, "authentication"),
    "ExpiredTokenException": (403, "authentication"),
    "MissingAuthenticationTokenException": (403, "authentication"),
    "IncompleteSignatureException": (403, "authentication"),
    "ResourceNotFoundException": (404, "not_found"),
    "ModelTimeoutException": (408, "timeout"),
    "ModelErrorException": (424, "server"),
    "ModelStreamErrorException": (424, "server"),
    "ModelNotReadyException": (429, "overloaded"),
    "ThrottlingException": (429, "rate_limit"),
    "InternalServerException": (500, "server"),
    "InternalFailure": (500, "server"),
    "ServiceUnavailableException": (503, "overloaded"),
}
#: What a stream may end with; everything else is told by one of these.
_IN_STREAMS: Final = {
    "InternalServerException",
    "ModelStreamErrorException",
    "ValidationException",
    "ThrottlingException",
    "ServiceUnavailableException",
}


def name_of(error: GatewayError) -> str:
    """Return Amazon's word for the error."""
    if isinstance(error, ProviderError):
        return error.type if error.type in _OWN else _NAME_OF_KIND.get(error.kind, "InternalServerException")
    fallback = "InternalServerException" if error.status >= 500 else "ValidationException"
    return _NAME_OF_STATUS.get(error.status, fallback)


def error_reply(error: GatewayError) -> Reply:
    """Shape an error that is the whole answer; the SDKs wait as `x-amz-retry-after` says, in milliseconds."""
    headers = retry_fields(error)
    if "retry-after-ms" in headers:
        headers["x-amz-retry-after"] = headers["retry-after-ms"]
    headers.update({name.lower(): value for name, value in error.headers})
    headers[ERROR_TYPE.decode()] = name_of(error)
    return Reply.json({"message": error.message}, error.status, headers)


def error_frame(error: GatewayError) -> bytes:
    """Shape an error that ends a stream."""
    name = name_of(error)
    if name not in _IN_STREAMS:
        name = "ValidationException" if 400 <= error.status < 500 else "InternalServerException"
    return exception_frame(name[:1].lower() + name[1:], {"message": error.message})


def read_refusal(status: int, body: bytes, headers: Headers) -> ProviderError:
    """Read the answer of a failed call, by the name in its head."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        told = {"message": "" if text.startswith("<") else text}
    name = headers.index.get(ERROR_TYPE, b"").decode("latin-1").partition(":")[0].rpartition("#")[2]
    return _named(told, name, status, headers)


def read_exception(message: EventStreamMessage) -> ProviderError:
    """Read what ends a stream: an exception that Amazon documents, or an error that it does not."""
    name = message.exception_type or message.text(":error-code")
    try:
        told: Any = message.json() if message.payload else {}
    except orjson.JSONDecodeError:
        told = {"message": message.payload.decode("utf-8", "replace")}
    if not isinstance(told, dict):
        told = {"message": str(told)}
    if not told.get("message") and (text := message.text(":error-message")):
        told["message"] = text
    return _named(told, name[:1].upper() + name[1:], 0, None)


def _named(told: Any, name: str, status: int, headers: Headers | None) -> ProviderError:
    own, kind = _OWN.get(name, (0, ""))
    error = error_of(told, status or own, headers)
    if kind:
        error.kind, error.type, error.code = kind, name, name
    if headers is not None:
        _add_wait(error, headers)
    return error


def _add_wait(error: ProviderError, headers: Headers) -> None:
    wait = headers.index.get(b"x-amz-retry-after", b"")
    if error.retry_after is None and wait.isdigit() and len(wait) < 12:
        error.retry_after = int(wait) / 1000
