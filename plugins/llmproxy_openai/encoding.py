"""Makes an attempt's wire request: the caller's bytes, changed only where they must be."""

from __future__ import annotations

import orjson

from llmproxy.plugin import (
    ClientRequest,
    Endpoint,
    Exchange,
    Quirks,
    UpstreamRequest,
    insert_member,
    media_type,
    member_value,
    passed_headers,
    patch,
)
from llmproxy_openai.reading import READER, include_usage

_ASK_USAGE = b'{"include_usage":true}'

# What Azure has below `/openai/deployments/NAME`; a name may hold slashes.
_OF_DEPLOYMENTS = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/images/generations",
    "/images/edits",
)

_USUAL = Quirks()
_CHAT = _USUAL.chat_path


def encode(
    exchange: Exchange, endpoint: Endpoint, body: bytes, quirks: Quirks = _USUAL, *, rooted: bool = True
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
        if exchange.usage_added or (endpoint.model is not None and endpoint.model != exchange.model):
            body = _patched(exchange, endpoint, body)
    target = upstream_target(request, rooted=rooted)
    if quirks.chat_path is not _CHAT and target.startswith(_CHAT):
        target = quirks.chat_path + target[len(_CHAT) :]
    return UpstreamRequest(request.method, target, passed_headers(exchange), body)


def upstream_target(request: ClientRequest, *, rooted: bool = True) -> str:
    """Return path and query without the API's own prefix, `/v1` and what stands before it.

    Paths of Azure's (`/openai/deployments/NAME/...`) and Google's (`/v1beta/openai/...`) lose theirs too, unless the
    upstream is `rooted`: a base URL without a path is that of a server that has these paths itself.
    """
    _, found, rest = request.path.partition("/v1/")
    path, query = "/" + rest if found else request.path.removesuffix("/v1"), request.query
    if not found and not rooted:
        path, query = _unprefixed(path, query)
    return f"{path}?{query}" if query else path


def _unprefixed(path: str, query: str) -> tuple[str, str]:
    _, found, rest = path.partition("/openai/")
    if not found:
        return path, query
    if not rest.startswith("deployments/"):
        return "/" + rest, _without_version(query)
    call = next((call for call in _OF_DEPLOYMENTS if rest.endswith(call)), None)
    return (path, query) if call is None else (call, _without_version(query))


def _without_version(query: str) -> str:
    """Return the query without the version of the API that was asked for, which is Azure's."""
    return "&".join(part for part in query.split("&") if not part.startswith("api-version="))


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
    edits = []
    members = READER.members_of(exchange, body)
    model = members.get("model")
    if model is not None and endpoint.model is not None and endpoint.model != exchange.model:
        edits.append((model.value_start, model.value_end, _model_value(exchange.request, endpoint.model)))
    options = members.get("stream_options")
    if exchange.usage_added and options is not None:
        value = _asking(member_value(body, options))
        edits.append((options.value_start, options.value_end, value))
    body = patch(body, sorted(edits))
    if exchange.usage_added and options is None:
        body = insert_member(body, "stream_options", _ASK_USAGE)
    return body


def _model_value(request: ClientRequest, model: str) -> bytes:
    return model.encode() if media_type(request) == b"multipart/form-data" else orjson.dumps(model)


def _asking(options: bytes) -> bytes:
    """Return the caller's stream options with usage asked for, all else as it stands."""
    if options == b"null":
        return _ASK_USAGE
    asked = include_usage(options)
    if asked is None:
        return insert_member(options, "include_usage", b"true")
    return patch(options, [(asked.value_start, asked.value_end, b"true")])
