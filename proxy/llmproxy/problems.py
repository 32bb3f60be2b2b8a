"""Errors for callers whose dialect is not known: RFC 9457."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from llmproxy.messages import Headers, Reply
from llmproxy.refusals import retry_fields

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
        **error.members,
    }
    headers = Headers([(b"Content-Type", b"application/problem+json")])
    for name, value in retry_fields(error).items():
        headers.add(name, value)
    for name, value in error.headers:
        headers.add(name, value)
    return Reply(error.status, headers, orjson.dumps(body))
