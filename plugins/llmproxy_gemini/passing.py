"""Makes an attempt's wire request on the raw path: the caller's bytes, changed only where they must be."""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from llmproxy.plugin import (
    Endpoint,
    Exchange,
    JsonFault,
    UpstreamRequest,
    elements,
    member_value,
    passed_headers,
    patch,
    scan,
)
from llmproxy_gemini.paths import (
    after_version,
    call_of,
    interacts,
    parent_of,
    resource_name,
    target,
    within,
    without_secrets,
    written,
)
from llmproxy_gemini.uploads import rooted_path

_KEYS: Final = frozenset({"model", "requests", "generateContentRequest", "generate_content_request"})

Patch = tuple[int, int, bytes]


def encode(
    exchange: Exchange, endpoint: Endpoint, body: bytes, *, publisher: str = "", base: str = ""
) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL, whose path stands for the caller's version. `publisher` is
    what Vertex wants before the name of a model, where the base URL does not end in it; `base` is that URL's path.
    """
    request, rooted = exchange.request, None
    model = endpoint.model if endpoint.model != exchange.model else None
    call = call_of(request.path)
    if call is None:
        rest = after_version(request.path)
        rooted = rooted_path(request.path, base, rest)
        path = "/" + within(rest, base) if rooted is None else rooted
    else:
        parent = parent_of(call, publisher, base, renamed=model is not None)
        path = target(call.verb, call.inside if model is None else written(model), parent)
    if model is not None and b'"model"' in body:
        if call is not None:
            body = renamed(body, resource_name(model))
        elif interacts(request):
            body = renamed(body, model)
    query = without_secrets(request.query)
    headers = passed_headers(exchange)
    wire = UpstreamRequest(request.method, f"{path}?{query}" if query else path, headers, body)
    wire.rooted = rooted is not None
    return wire


def renamed(body: bytes, name: str) -> bytes:
    """Return a body whose inner mentions of the model say `name`: Google refuses one that the path contradicts.

    Counting and embedding calls repeat it, once a request. What cannot be read goes on as it is: whether it is right
    is for the provider to say.
    """
    try:
        return patch(body, sorted(_mentions(body, 0, orjson.dumps(name))))
    except (JsonFault, msgspec.DecodeError):
        return body


def _mentions(body: bytes, offset: int, name: bytes) -> list[Patch]:
    """Return the changes in an object that stands at `offset`."""
    changes: list[Patch] = []
    for key, member in scan(body, _KEYS).items():
        value = member_value(body, member)
        at = offset + member.value_start
        if key == "model" and value[:1] == b'"':
            changes.append((at, at + len(value), name))
        elif key == "requests" and value[:1] == b"[":
            for start, end in elements(body, member):
                if body[start : start + 1] == b"{":
                    changes += _mentions(body[start:end], offset + start, name)
        elif value[:1] == b"{":
            changes += _mentions(value, at, name)
    return changes
