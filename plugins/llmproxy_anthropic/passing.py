"""Makes an attempt's wire request out of the caller's own: its bytes, changed only where they must be."""

from __future__ import annotations

from typing import Final

import orjson

from llmproxy.plugin import ClientRequest, Endpoint, Exchange, Headers, Spellings, UpstreamRequest, patch
from llmproxy_anthropic.reading import members_of

# The caller's credentials, what holds for one connection (RFC 9110 §7.6.1), what the core writes itself,
# and what makes another method of the one that was judged here.
_LEFT_OUT: Final = frozenset(
    b"""
    authorization x-api-key api-key x-goog-api-key cookie
    connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer
    transfer-encoding upgrade
    host content-length accept-encoding expect
    x-http-method-override x-http-method x-method-override
    """.split()
)

_passes: Final = Spellings(_LEFT_OUT)


def passed(exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
    """Return the request to send; an unchanged body is the very same object.

    Its target is relative to the upstream's base URL, whose path stands for the caller's `/v1`. The caller's
    `anthropic-version` and `anthropic-beta` go on, for they belong to the body.
    """
    request = exchange.request
    if endpoint.model is not None and exchange.model is not None and endpoint.model != exchange.model:
        member = members_of(exchange, body)["model"]
        body = patch(body, [(member.value_start, member.value_end, orjson.dumps(endpoint.model))])
    headers = passed_headers(request)
    length = request.headers.index.get(b"content-length")
    if length is not None and not exchange.has_body:
        # An upload streams through, as long as its caller said: some servers take no chunked request.
        headers.raw.append((b"Content-Length", length))
    return UpstreamRequest(request.method, upstream_target(request), headers, body)


def upstream_target(request: ClientRequest) -> str:
    """Return path and query without the API's own prefix, `/v1` and what stands before it."""
    _, found, rest = request.path.partition("/v1/")
    path = "/" + rest if found else request.path.removesuffix("/v1")
    if not found and (mounted := path.partition("/anthropic/"))[1]:
        path = "/" + mounted[2]
    return f"{path}?{request.query}" if request.query else path


def passed_headers(request: ClientRequest) -> Headers:
    """Return the headers that travel on, spelled and ordered as they came."""
    raw = request.headers.raw
    kept = [pair for pair in raw if _passes[pair[0]]]
    named = request.headers.index.get(b"connection")
    if named is not None and named.lower() not in (b"keep-alive", b"close"):
        gone = {name.strip().lower() for name in named.split(b",")}
        kept = [pair for pair in kept if pair[0].lower() not in gone]
    return Headers(kept)
