"""The face of ordinary HTTP APIs: any method, any body, nothing read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.carried import SAID_HERE
from llmproxy.client import connection_fields
from llmproxy.dialects import Untranslated
from llmproxy.messages import HOP_BY_HOP, Headers, Reply, Spellings, UpstreamRequest

if TYPE_CHECKING:
    from llmproxy.dialects import Tap
    from llmproxy.exchange import Endpoint, Exchange

# What the gateway writes itself, or must not pass on as the caller's word.
_passes = Spellings(
    SAID_HERE
    | HOP_BY_HOP
    | {
        b"host",
        b"content-length",
        b"expect",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-request-id",
        b"traceparent",
    }
)


class HttpApi(Untranslated):
    """The upstream face named `http`."""

    wire = "http"

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Pass the request on, with the caller's address and the gateway's request id and trace."""
        request = exchange.request
        listed = connection_fields(request.headers)
        spent = exchange.spent
        headers = Headers(
            [
                pair
                for pair in request.headers.raw
                if _passes[pair[0]] and (name := pair[0].lower()) not in listed and name not in spent
            ]
        )
        headers.raw += [
            (b"X-Forwarded-For", request.client.encode() or b"unknown"),
            (b"X-Forwarded-Proto", request.scheme.encode()),
            (b"X-Forwarded-Host", request.host.encode("latin-1")),
            (b"X-Request-Id", exchange.id.encode()),
            (b"traceparent", exchange.trace.encode()),
        ]
        length = request.headers.index.get(b"content-length")
        if length is not None and not exchange.has_body:
            # The upload streams through, as long as its caller said. A body at hand is measured when it is sent.
            headers.raw.append((b"Content-Length", length))
        return UpstreamRequest(request.method, request.target, headers, body)

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Send the key as a bearer token (RFC 6750 §2.1)."""
        return [(b"Authorization", b"Bearer " + api_key.encode("latin-1"))]

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """There is nothing to read in an answer of unknown meaning."""
        return None
