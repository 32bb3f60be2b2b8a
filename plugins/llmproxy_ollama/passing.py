"""Makes an attempt's wire request out of the caller's own: its bytes, changed only where they must be."""

from __future__ import annotations

import orjson

from llmproxy.plugin import (
    BadRequest,
    Endpoint,
    Exchange,
    UpstreamRequest,
    passed_headers,
    patch,
    scan_members,
)
from llmproxy_ollama.paths import after_api, call_of

_NAMES = frozenset({"model", "name"})


def encode(exchange: Exchange, endpoint: Endpoint, body: bytes, *, prefix: str) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL; `prefix` is `/api`, or nothing where the base URL ends in it.

    Raises:
        BadRequest: it is no call of a model: whoever may ask a model may not pull, replace or delete any.
    """
    request = exchange.request
    if not call_of(request.path):
        raise BadRequest(
            "unknown_call", "Only calls of Ollama's that ask a model are served here.", status=404
        )
    if endpoint.model is not None and exchange.model is not None and endpoint.model != exchange.model:
        members = scan_members(body, _NAMES)
        member = members.get("model") or members["name"]
        body = patch(body, [(member.value_start, member.value_end, orjson.dumps(endpoint.model))])
    target = prefix + after_api(request.path)
    return UpstreamRequest(
        request.method,
        f"{target}?{request.query}" if request.query else target,
        passed_headers(exchange),
        body,
    )
