"""The two faces of a wire dialect, and the tap that reads an answer as it passes.

A dialect is one plugin with up to two faces. The client face knows how callers speak it, the upstream face how
providers do. Where both speak the same wire format the bytes pass untouched; where they differ, the upstream face's
decoder and the client face's encoder meet in canonical items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from llmproxy.errors import GatewayError
    from llmproxy.exchange import Edit, Endpoint, Exchange, MessageEdit, Usage
    from llmproxy.messages import Reply, UpstreamRequest


@runtime_checkable
class Tap(Protocol):
    """Reads an answer's bytes as they pass, in every lane; a body sink with findings.

    `first_output` is set once the first piece of real output was seen, `usage` once the provider told it, `terminal`
    once the dialect's own end marker was seen (always true for a whole JSON answer).
    """

    first_output: bool
    terminal: bool
    usage: Usage | None

    def feed(self, data: bytes) -> None:
        """Read one piece."""

    def end(self) -> None:
        """The answer is complete."""

    def fail(self, error: BaseException) -> None:
        """The answer broke off."""


class StreamDecoder(Protocol):
    """Upstream bytes to canonical items, incrementally; sans-io."""

    def feed(self, data: bytes) -> Iterable[Any]:
        """Take bytes cut anywhere; return the items they complete."""

    def close(self) -> Iterable[Any]:
        """Return what was held back. Raise if the stream ended in the middle."""


class StreamEncoder(Protocol):
    """Canonical items to the caller's bytes, incrementally; sans-io."""

    def feed(self, item: Any) -> Iterable[bytes]:
        """Return the wire pieces of one item."""

    def close(self) -> Iterable[bytes]:
        """Return the dialect's end marker."""


class ClientFace(Protocol):
    """How callers speak a dialect.

    `paths` are literal path prefixes (`/v1/chat/completions`, `/v1/`), `markers` header names that only this dialect's
    SDKs send; together they say whose shape an early error takes: the longest matching path, then a marker.
    """

    wire: str
    paths: Sequence[str]
    markers: Sequence[str]

    def reads_body(self, exchange: Exchange) -> bool:
        """Whether routing needs this request's body; False lets it stream through unread."""

    def open(self, exchange: Exchange, body: bytes) -> None:
        """Read what routing needs: set `exchange.model`, `exchange.streamed`; raise `BadRequest` for broken input."""

    def edits(self, body: bytes, messages: Sequence[MessageEdit]) -> list[Edit]:
        """Turn message edits into byte ranges of `body`; raise `BadRequest` where it holds no conversation."""

    def error(self, error: GatewayError) -> Reply:
        """Shape an error as this dialect's SDKs expect it."""

    def stream_error(self, exchange: Exchange, error: GatewayError) -> bytes:
        """Return the wire bytes of an error event that ends a stream honestly."""

    def models(self, names: Sequence[str]) -> Reply:
        """Answer a listing of the models that may be used."""

    def encode_reply(self, exchange: Exchange, items: Sequence[Any]) -> Reply:
        """Shape a whole canonical answer."""

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream."""


class UpstreamFace(Protocol):
    """How providers speak a dialect."""

    wire: str

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request. `body` is what the caller sent, after edits."""

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header fields that carry the provider's key."""

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Return a fresh tap for this answer, or None where there is nothing to read."""

    def stream_filter(self, exchange: Exchange) -> ByteFilter | None:
        """Return what takes back out of a stream what `encode` asked for and the caller did not."""

    def decode_reply(self, exchange: Exchange, reply: Reply, body: bytes) -> Sequence[Any]:
        """Read a whole answer into canonical items."""

    def stream_decoder(self, exchange: Exchange) -> StreamDecoder:
        """Return a fresh decoder for one stream."""


@runtime_checkable
class LocalUpstream(Protocol):
    """An upstream face that answers in this process instead of over a socket."""

    async def send(self, exchange: Exchange, request: UpstreamRequest) -> Reply:
        """Answer the wire request."""


class ByteFilter(Protocol):
    """A stream's bytes in, fewer or other bytes out, cut anywhere; sans-io."""

    def feed(self, data: bytes) -> bytes:
        """Return what may leave now."""

    def close(self) -> bytes:
        """Return what was held back."""
