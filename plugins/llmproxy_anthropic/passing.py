"""Makes an attempt's wire request out of the caller's own: its bytes, changed only where they must be."""

from __future__ import annotations

from typing import Final

import orjson

from llmproxy.plugin import ClientRequest, Endpoint, Exchange, UpstreamRequest, passed_headers, patch
from llmproxy_anthropic.reading import COUNT, READER

#: Ends of the paths whose calls other clouds have too.
MESSAGES: Final = ("/messages", COUNT)


def passed(exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL, whose path stands for the caller's `/v1`. The caller's
    `anthropic-version` and `anthropic-beta` go on, for they belong to the body.
    """
    request = exchange.request
    if request.path.endswith("Predict") and "/publishers/anthropic/models/" in request.path:
        from llmproxy_anthropic.vertex import unwrapped  # noqa: PLC0415  # few callers are Vertex's

        return unwrapped(exchange, endpoint, body)
    body = renamed(exchange, endpoint, body)
    return UpstreamRequest(request.method, upstream_target(request), passed_headers(exchange), body)


def renamed(exchange: Exchange, endpoint: Endpoint, body: bytes) -> bytes:
    """Return a body that names the upstream's model; the very same object where it does already."""
    if endpoint.model is None or exchange.model is None or endpoint.model == exchange.model:
        return body
    member = READER.members_of(exchange, body)["model"]
    return patch(body, [(member.value_start, member.value_end, orjson.dumps(endpoint.model))])


def upstream_target(request: ClientRequest) -> str:
    """Return path and query without the API's own prefix, `/v1` and what stands before it."""
    _, found, rest = request.path.partition("/v1/")
    path = "/" + rest if found else request.path.removesuffix("/v1")
    if not found and (mounted := path.partition("/anthropic/"))[1]:
        path = "/" + mounted[2]
    return f"{path}?{request.query}" if request.query else path
