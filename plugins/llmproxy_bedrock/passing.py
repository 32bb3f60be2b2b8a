"""Makes an attempt's wire request on the raw path: the caller's bytes, the model's name in the path."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Endpoint, Exchange, Headers, RawHeader, UpstreamRequest, passed_headers
from llmproxy_bedrock.paths import beside_models, call_of, target, written

#: What belongs to the caller's own signature, or to its tries: it is told of another request than the one sent.
_SIGNED: Final = frozenset(
    b"""
    x-amz-date x-amz-security-token x-amz-content-sha256 x-amz-region-set amz-sdk-invocation-id amz-sdk-request
    """.split()
)


def passed(exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
    """Return the request to send; the body is the very same object.

    Its target is relative to the upstream's base URL. Of a caller's signature nothing goes on: its date and token would
    be taken for the gateway's own.
    """
    request = exchange.request
    call = call_of(request.path)
    if call is None:
        path = beside_models(request.path)
    else:
        changed = endpoint.model is not None and endpoint.model != exchange.model
        segment = written(endpoint.model) if changed and endpoint.model is not None else call.segment
        path = target(segment, call.action)
    headers = Headers([pair for pair in passed_headers(exchange).raw if not _is_signed(pair)])
    return UpstreamRequest(
        request.method, f"{path}?{request.query}" if request.query else path, headers, body
    )


def _is_signed(pair: RawHeader) -> bool:
    return pair[0].lower() in _SIGNED
