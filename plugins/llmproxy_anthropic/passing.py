"""Makes an attempt's wire request out of the caller's own: its bytes, changed only where they must be."""

from __future__ import annotations

import orjson

from llmproxy.plugin import ClientRequest, Endpoint, Exchange, UpstreamRequest, passed_headers, patch
from llmproxy_anthropic.reading import READER


def passed(exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL, whose path stands for the caller's `/v1`. The caller's
    `anthropic-version` and `anthropic-beta` go on, for they belong to the body.
    """
    request = exchange.request
    if endpoint.model is not None and exchange.model is not None and endpoint.model != exchange.model:
        member = READER.members_of(exchange, body)["model"]
        body = patch(body, [(member.value_start, member.value_end, orjson.dumps(endpoint.model))])
    return UpstreamRequest(request.method, upstream_target(request), passed_headers(exchange), body)


def upstream_target(request: ClientRequest) -> str:
    """Return path and query without the API's own prefix, `/v1` and what stands before it."""
    _, found, rest = request.path.partition("/v1/")
    path = "/" + rest if found else request.path.removesuffix("/v1")
    if not found and (mounted := path.partition("/anthropic/"))[1]:
        path = "/" + mounted[2]
    return f"{path}?{request.query}" if request.query else path
