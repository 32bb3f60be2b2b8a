"""Errors for callers whose dialect is not known: RFC 9457."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from llmproxy.messages import Headers, Reply

if TYPE_CHECKING:
    from llmproxy.errors import GatewayError


def problem(error: GatewayError) -> Reply:
    """Shape an error as `application/problem+json`, with its stable code as an extension member."""
    try:
        title = HTTPStatus(error.status).phrase
    except ValueError:
        title = "Error"
    body = {
        "type": "about:blank",
        "title": title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    headers = Headers([(b"Content-Type", b"application/problem+json")])
    if error.retry_after is not None:
        headers.add(b"Retry-After", str(max(0, math.ceil(error.retry_after))).encode())
    for name, value in error.headers:
        headers.add(name, value)
    return Reply(error.status, headers, orjson.dumps(body))
