"""Makes an attempt's wire request out of the caller's own: its bytes, changed only where they must be."""

from __future__ import annotations

import orjson

from llmproxy.plugin import Endpoint, Exchange, UpstreamRequest, passed_headers, patch
from llmproxy_cohere.calls import upstream_target
from llmproxy_cohere.reading import READER


def passed(exchange: Exchange, endpoint: Endpoint, body: bytes, version: str = "") -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    `version` is that of the API where the upstream's base URL names one; its paths stand below that alone then.
    """
    request = exchange.request
    if endpoint.model is not None and exchange.model is not None and endpoint.model != exchange.model:
        member = READER.members_of(exchange, body)["model"]
        body = patch(body, [(member.value_start, member.value_end, orjson.dumps(endpoint.model))])
    target = upstream_target(request, version)
    return UpstreamRequest(request.method, target, passed_headers(exchange), body)
