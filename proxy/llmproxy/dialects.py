"""The two faces of a wire dialect, and the tap that reads an answer as it passes.

A dialect is one plugin with up to two faces. The client face knows how callers speak it, the upstream face how
providers do. Where both speak the same wire format the bytes pass untouched; where they differ, the upstream face's
decoder and the client face's encoder meet in canonical items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, runtime_checkable

from llmproxy.errors import BadRequest
from llmproxy.refusals import read_error

if TYPE_CHECKING:
    from llmproxy.canonical import (
        Answer,
        GenerateRequest,
        Link,
        Losses,
        ModelAnswer,
        ModelRequest,
        StreamEvent,
    )
    from llmproxy.errors import GatewayError
    from llmproxy.exchange import Edit, Endpoint, Exchange, MessageEdit, Usage
    from llmproxy.messages import Reply, UpstreamRequest
    from llmproxy.settings import UpstreamConfig


@runtime_checkable
class Tap(Protocol):
    """Reads an answer's bytes as they pass, in every lane; a body sink with findings.

    `first_output` is set once the first piece of real output was seen, `usage` once the provider told it, `terminal`
    once the dialect's own end marker was seen (always true for a whole JSON answer). A tap may have `cut` too: true
    after `end` where an answer of a grammar that it knows has no end, though the bytes came to theirs.
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
    """Upstream bytes to canonical events, incrementally; sans-io."""

    def feed(self, data: bytes) -> Iterable[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete.

        Raises:
            ValueError: the bytes are not of this dialect.
        """

    def close(self) -> Iterable[StreamEvent]:
        """Return what was held back.

        Raises:
            TruncatedStream: the stream ended in the middle.
        """


class StreamEncoder(Protocol):
    """Canonical events to the caller's bytes, incrementally; sans-io."""

    def feed(self, event: StreamEvent) -> Iterable[bytes]:
        """Return the wire pieces of one event."""

    def close(self) -> Iterable[bytes]:
        """Return what still has to be said of a whole stream, and the dialect's end marker."""


class Memory(Protocol):
    """What a translation keeps between calls, for one tenant on one route; bounded, so anything may be gone."""

    async def get(self, kind: str, name: str) -> bytes | None:
        """Return what was kept under that name, or None."""

    async def put(self, kind: str, name: str, value: bytes) -> None:
        """Keep a value."""

    async def drop(self, kind: str, name: str) -> bool:
        """Forget a value; whether it was there."""


class Claim(NamedTuple):
    """A path whose callers speak a dialect: `*` stands for any text; `header`, if given, must be there too.

    Paths count wherever a route mounts them: `/team/v1/messages` is claimed by `/v1/messages`.
    """

    path: str
    header: str = ""


class ToolNames(NamedTuple):
    """Which names of tools are taken: letters, digits, `_` and `signs`, so many characters at most.

    `letter_first` says that only a letter or `_` may be the first. Other names are told as ones that fit, and what the
    model calls by them reaches the caller under its own.
    """

    signs: str = "-"
    longest: int = 64
    letter_first: bool = False


class ClientFace(Protocol):
    """How callers speak a dialect.

    `claims` say which requests are spoken so: the longest path wins, one with a header before one without. `markers`
    are header names that only this dialect's SDKs send, for requests whose path nobody claims.

    A face may have `ticket(request)` too: what a request shows in place of a key (see `llmproxy.tickets`), or None. And
    `answer_here(exchange, body)`: the answer of a call that asks nothing of a model, for upstreams of other dialects.
    """

    wire: str
    claims: Sequence[Claim]
    markers: Sequence[str]

    @property
    def loss_names(self) -> Mapping[str, str]:
        """How callers name what canonical fields hold, for reports of what was lost."""

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

    def models(self, exchange: Exchange, names: Sequence[str]) -> Reply | None:
        """Answer a call for the models that may be used, or for one of them; None where it is another call."""

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Read the whole request; report what the canonical form cannot hold.

        Raises:
            BadRequest: it is broken, or asks for what cannot be translated (a stored conversation, a batch).
        """

    async def recall(self, exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
        """Put back what callers refer to and do not send: an earlier conversation.

        Raises:
            BadRequest: what they refer to is not here.
        """

    async def remember(
        self, exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory
    ) -> None:
        """Keep what `recall` will be asked for, if the caller wants it kept; called once for each whole answer."""

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Shape a whole answer of the kind that was asked for."""

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Return a fresh encoder for one stream; its content type is `stream_type`."""

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of a streamed answer to this request."""


class UpstreamFace(Protocol):
    """How providers speak a dialect; `tool_names` says which names of tools they take, None any.

    A face may have `readdress(exchange, reply)` too: it puts the gateway's own addresses in place of the provider's
    where a reply tells callers to go on, before anything reads it, and returns what is to be awaited first, or None.
    """

    wire: str
    tool_names: ToolNames | None

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the face for one upstream, its provider's peculiarities known."""

    def native(self, exchange: Exchange) -> bool:
        """Whether the caller's request is one that this upstream takes as it is."""

    def encode(self, exchange: Exchange, endpoint: Endpoint, body: bytes) -> UpstreamRequest:
        """Make one attempt's wire request. `body` is what the caller sent, after edits."""

    def credentials(self, api_key: str) -> list[tuple[bytes, bytes]]:
        """Return the header fields that carry the provider's key."""

    def tap(self, exchange: Exchange, reply: Reply) -> Tap | None:
        """Return a fresh tap for this answer, or None where there is nothing to read."""

    def stream_filter(self, exchange: Exchange) -> ByteFilter | None:
        """Return what takes back out of a stream what `encode` asked for and the caller did not."""

    def fetches(self, link: Link, kind: str) -> bool:
        """Whether a link must be replaced by its bytes before `encode_request`: this dialect takes no such URL.

        `kind` is image, audio, video, document, or reference: a picture that another one is to be made from.
        """

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """Write a canonical request; report what this dialect cannot carry. None: it has no such call at all.

        `endpoint.model`, or else the request's own model, is the name to write.

        Raises:
            BadRequest: the request means something that this dialect cannot do.
        """

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Read a whole good answer.

        Raises:
            GatewayError: it says in a good status that it failed.
            ValueError: it is not of this dialect.
        """

    def decode_error(self, exchange: Exchange, reply: Reply, body: bytes) -> GatewayError:
        """Read an answer whose status is 400 or more."""

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """Return a fresh decoder for a streamed answer; None where this one is no stream."""


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


class Untranslated:
    """What an upstream face inherits that only passes on: its wire format has no canonical form."""

    wire = ""
    tool_names: ToolNames | None = None

    def for_upstream(self, config: UpstreamConfig) -> UpstreamFace:
        """Return the same face: no provider is peculiar."""
        return cast("UpstreamFace", self)

    def native(self, exchange: Exchange) -> bool:
        """Whether the caller speaks this wire format."""
        return exchange.client_face is None or exchange.client_face.wire == self.wire

    def stream_filter(self, exchange: Exchange) -> ByteFilter | None:
        """Nothing was added, nothing is taken out."""
        return None

    def fetches(self, link: Link, kind: str) -> bool:
        """Leave every link as it is."""
        return False

    def encode_request(
        self, exchange: Exchange, endpoint: Endpoint, request: ModelRequest, losses: Losses
    ) -> UpstreamRequest | None:
        """There is no such call."""
        return None

    def decode_answer(self, exchange: Exchange, reply: Reply, body: bytes) -> ModelAnswer:
        """Refuse: nothing was translated on the way there."""
        raise ValueError("the upstream's dialect is not translated")

    def decode_error(self, exchange: Exchange, reply: Reply, body: bytes) -> GatewayError:
        """Read an error of any shape."""
        return read_error(reply.status, body, reply.headers)

    def stream_decoder(self, exchange: Exchange, reply: Reply) -> StreamDecoder | None:
        """There is none."""
        return None


class UntranslatedClient:
    """What a client face inherits whose callers only reach upstreams that speak as they do."""

    def decode_request(self, exchange: Exchange, body: bytes, losses: Losses) -> ModelRequest:
        """Refuse: there is no canonical form of it."""
        raise no_translation()

    async def recall(self, exchange: Exchange, request: GenerateRequest, memory: Memory) -> GenerateRequest:
        """Everything was sent."""
        return request

    async def remember(
        self, exchange: Exchange, request: GenerateRequest, answer: Answer, memory: Memory
    ) -> None:
        """Nothing will be asked for."""

    def encode_answer(self, exchange: Exchange, answer: ModelAnswer) -> Reply:
        """Refuse likewise."""
        raise no_translation()

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        """Refuse likewise."""
        raise no_translation()

    def stream_type(self, exchange: Exchange) -> bytes:
        """Return the content type of server-sent events."""
        return b"text/event-stream"


def no_translation() -> GatewayError:
    """Return what callers are told of a request that only its own dialect can carry."""
    message = "This request cannot be translated for the model's provider, which speaks another dialect."
    return BadRequest("no_translation", message)
