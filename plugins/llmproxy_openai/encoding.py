"""Makes an attempt's wire request: the caller's bytes, changed only where they must be."""

from __future__ import annotations

import orjson

from llmproxy.plugin import (
    ClientRequest,
    Endpoint,
    Exchange,
    Member,
    Quirks,
    UpstreamRequest,
    insert_member,
    insertion,
    media_type,
    member_value,
    passed_headers,
    patch,
)
from llmproxy_openai.azure import Azure, below_prefix, deployment_of
from llmproxy_openai.multipart import boundary_of, with_field
from llmproxy_openai.reading import READER, include_usage

_ASK_USAGE = b'{"include_usage":true}'

_USUAL = Quirks()
_CHAT = _USUAL.chat_path


def encode(
    exchange: Exchange,
    endpoint: Endpoint,
    body: bytes,
    quirks: Quirks = _USUAL,
    *,
    rooted: bool = True,
    azure: Azure | None = None,
) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL, whose path stands for the caller's `/v1`; one that is `rooted`
    has no path.
    """
    request = exchange.request
    exchange.usage_added = False
    if exchange.model is not None or exchange.members:
        if exchange.streamed and exchange.route.meter_usage and request.path.endswith("/completions"):
            # Who tells usage unasked may refuse to be asked.
            exchange.usage_added = quirks.stream_usage == "asked" and not asks_usage(exchange, body)
        renamed = endpoint.model is not None and endpoint.model != exchange.model
        if body and (exchange.usage_added or renamed or "/deployments/" in request.path):
            body = _patched(exchange, endpoint, body)
    target = upstream_target(request, rooted=rooted and azure is None)
    if quirks.chat_path is not _CHAT and target.startswith(_CHAT):
        target = quirks.chat_path + target[len(_CHAT) :]
    if exchange.upgraded and exchange.model is not None:
        target = (azure or Azure()).spoken(target, endpoint.model or exchange.model)
    elif azure is not None:
        target = azure.target(target, endpoint.model or exchange.model)
    return UpstreamRequest(request.method, target, passed_headers(exchange), body)


def upstream_target(request: ClientRequest, *, rooted: bool = True) -> str:
    """Return path and query without the API's own prefix, `/v1` and what stands before it.

    Paths of Azure's (`/openai/deployments/NAME/...`) and Google's (`/v1beta/openai/...`) lose theirs too, unless the
    upstream is `rooted`: a base URL without a path is that of a server that has these paths itself.
    """
    _, found, rest = request.path.partition("/v1/")
    path, query = "/" + rest if found else request.path.removesuffix("/v1"), request.query
    if not found and not rooted:
        path, query = below_prefix(path, query)
    return f"{path}?{query}" if query else path


def asks_usage(exchange: Exchange, body: bytes) -> bool:
    """Say whether the caller wants its stream to end with what was used."""
    member = READER.members_of(exchange, body).get("stream_options")
    if member is None:
        return False
    value = member_value(body, member)
    if value == b"null":
        return False
    asked = include_usage(value)
    return asked is not None and member_value(value, asked) == b"true"


def _patched(exchange: Exchange, endpoint: Endpoint, body: bytes) -> bytes:
    if media_type(exchange.request) == b"multipart/form-data":
        return _form_named(exchange, endpoint.model or exchange.model or "", body)
    edits = []
    members = READER.members_of(exchange, body)
    model, name = members.get("model"), endpoint.model or exchange.model
    if model is not None and endpoint.model is not None and endpoint.model != exchange.model:
        edits.append((model.value_start, model.value_end, orjson.dumps(endpoint.model)))
    elif deployment_of(exchange.request.path) is not None:
        # The path has said which model is meant, whatever the body says, or does not say.
        edits += _named(body, model, orjson.dumps(name))
    options = members.get("stream_options")
    if exchange.usage_added and options is not None:
        value = _asking(member_value(body, options))
        edits.append((options.value_start, options.value_end, value))
    body = patch(body, sorted(edits))
    if exchange.usage_added and options is None:
        body = insert_member(body, "stream_options", _ASK_USAGE)
    return body


def _named(body: bytes, model: Member | None, name: bytes) -> list[tuple[int, int, bytes]]:
    if model is None:
        return [insertion(body, "model", name)] if body else []
    same = member_value(body, model) == name
    return [] if same else [(model.value_start, model.value_end, name)]


def _form_named(exchange: Exchange, name: str, body: bytes) -> bytes:
    model = exchange.members.get("model")
    if model is not None:
        return patch(body, [(model.value_start, model.value_end, name.encode())])
    boundary = boundary_of(exchange.request.headers.index.get(b"content-type", b""))
    return body if boundary is None else with_field(body, boundary, "model", name)


def _asking(options: bytes) -> bytes:
    """Return the caller's stream options with usage asked for, all else as it stands."""
    if options == b"null":
        return _ASK_USAGE
    asked = include_usage(options)
    if asked is None:
        return insert_member(options, "include_usage", b"true")
    return patch(options, [(asked.value_start, asked.value_end, b"true")])
