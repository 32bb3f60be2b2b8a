"""The canonical lane: a caller's request in another dialect's words, and the answer back in the caller's.

Imported with the first request that needs it: a gateway that only passes on never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog

from llmproxy.body import Body
from llmproxy.caching.own import keep_own
from llmproxy.callids import CallIds, with_ids
from llmproxy.canonical import (
    Answer,
    BlockStarted,
    Collector,
    CountRequest,
    Failed,
    GenerateRequest,
    Losses,
    ModelRequest,
    events_of,
)
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.exchange import StateKey
from llmproxy.inflate import Inflate
from llmproxy.lanes import Lane, as_far_as_it_goes, run_whole
from llmproxy.links import Fetches, with_bytes
from llmproxy.memory import StoreMemory
from llmproxy.messages import Headers, Reply, UpstreamRequest
from llmproxy.signatures import keep_signatures, put_back_signatures
from llmproxy.strain import Depth, aside
from llmproxy.tasks import spawn
from llmproxy.toolnames import NamingBack, named_back, with_names
from llmproxy.wholebodies import MOST, as_events, is_events, told_why, too_large, unreadable, whole

if TYPE_CHECKING:
    from llmproxy.canonical import StreamEvent
    from llmproxy.dialects import ByteFilter, ClientFace, StreamDecoder, StreamEncoder, UpstreamFace
    from llmproxy.exchange import Attempt, Endpoint, Exchange

#: Names in the header that tells of losses; all of them stand in the log.
_TOLD: Final = 16

#: What describes the provider's bytes, its connection or its site, and not the answer.
OF_THE_BODY: Final = frozenset(
    b"""
    content-type content-length content-encoding content-disposition content-language content-location content-md5
    content-range transfer-encoding connection keep-alive trailer te upgrade etag last-modified vary accept-ranges
    set-cookie digest alt-svc strict-transport-security
    """.split()
)

_log = structlog.get_logger("llmproxy")


class Asked:
    """One caller's request in the canonical form, and what that form could not hold."""

    __slots__ = ("body", "fetched", "losses", "request")

    def __init__(self, body: bytes, request: ModelRequest, losses: Losses) -> None:
        self.body = body
        self.fetched: Fetches = {}
        self.request = request
        self.losses = losses


_ASKED = StateKey[Asked]("translation.asked")

#: The caller's name for each tool that the provider knows by another.
_NAMES = StateKey[Mapping[str, str]]("translation.names")


async def request_of(exchange: Exchange) -> Asked:
    """Read the caller's request into the canonical form, once for all attempts at the same body."""
    client = client_of(exchange)
    body = await exchange.body()
    asked = exchange.state.get(_ASKED)
    if asked is None or asked.body is not body:
        losses = Losses(client.loss_names)
        with Depth():
            request = await aside(body, lambda: client.decode_request(exchange, body, losses))
        if isinstance(request, GenerateRequest | CountRequest):
            request = await _recalled(exchange, client, request)
        asked = exchange.state[_ASKED] = Asked(body, request, losses)
    return asked


async def _recalled(
    exchange: Exchange, client: ClientFace, request: GenerateRequest | CountRequest
) -> ModelRequest:
    """Put back what was kept of earlier turns; a count is of the same conversation."""
    memory = StoreMemory(await exchange.route.open_memory(), exchange)
    talk = request.request if isinstance(request, CountRequest) else request
    talk = await put_back_signatures(await client.recall(exchange, talk, memory), memory)
    return CountRequest(request=talk) if isinstance(request, CountRequest) else talk


async def outgoing(exchange: Exchange, endpoint: Endpoint, face: UpstreamFace) -> UpstreamRequest | Reply:
    """Return the caller's request as the upstream's dialect says it, or the answer if it need not be asked.

    Raises:
        BadRequest: it cannot be said, or not without a loss that the route refuses.
    """
    if exchange.upgraded:
        raise BadRequest("no_translation", "A WebSocket can only be carried in the upstream's own dialect.")
    exchange.losses = ()
    if (answer_here := getattr(client_of(exchange), "answer_here", None)) is not None:
        here: Reply | None = answer_here(exchange, await exchange.body())
        if here is not None:
            return here
    asked = await request_of(exchange)
    request = await with_bytes(asked.request, face, exchange.route, asked.fetched)
    wire = await aside(asked.body, lambda: written(exchange, endpoint, face, request, asked.losses))
    if wire is None and isinstance(asked.request, CountRequest):
        return await _count_here(exchange, endpoint, asked.request)
    if wire is None:
        kind = type(asked.request).__name__.removesuffix("Request").lower()
        message = f"The provider behind this model has no call that could serve this request ({kind})."
        raise BadRequest("not_supported_by_provider", message)
    refuse_losses(exchange)
    return wire


def written(
    exchange: Exchange, endpoint: Endpoint, face: UpstreamFace, request: ModelRequest, read: Losses
) -> UpstreamRequest | None:
    """Write a canonical request, or return None; what got lost, in reading it too, is the exchange's from here on."""
    losses = Losses(read.names)
    request, exchange.state[_NAMES] = with_names(request, face.tool_names)
    with Depth():
        wire = face.encode_request(exchange, endpoint, request, losses)
    for loss in read:
        losses.add(loss.field, loss.why)
    exchange.losses = () if wire is None else tuple(losses)
    return wire


def refuse_losses(exchange: Exchange) -> None:
    """Refuse a request of which parts got lost, where the route says so."""
    if exchange.losses and exchange.route.lossy == "refuse":
        told = "; ".join(f"{loss.field}: {loss.why}" for loss in exchange.losses[:_TOLD])
        raise BadRequest("lossy_translation", f"This route refuses to lose parts of a request. {told}")


async def incoming(exchange: Exchange, face: UpstreamFace, attempt: Attempt, reply: Reply) -> Reply:
    """Return the upstream's reply as the caller's dialect says it."""
    client = client_of(exchange)
    if reply.status >= 400:
        error = face.decode_error(exchange, reply, await told_why(reply))
        return _finished(exchange, client.error(error), reply)
    if (asked := exchange.state.get(_ASKED)) is not None:
        keep_own(exchange, face, reply, asked.request)
    names = exchange.state.get(_NAMES)
    decoder, body = _decoder(exchange, face, reply), b""
    if decoder is None or not exchange.streamed:
        body = await whole(reply)
    if decoder is None and is_events(body):
        reply = as_events(reply, body)
        decoder = _decoder(exchange, face, reply)
    if decoder is not None and exchange.streamed:
        return _stream(exchange, client, face, decoder, attempt, reply)
    try:
        answer = face.decode_answer(exchange, reply, body) if decoder is None else _collected(decoder, body)
    except GatewayError:
        raise
    except Exception as fault:  # whatever is odd in it, the caller must not get half an answer
        raise unreadable() from fault
    if isinstance(answer, Answer):
        answer = named_back(answer, names) if names and decoder is None else answer
        answer = with_ids(answer, answer.id or exchange.serial)
        await remember(exchange, client, answer)
        if exchange.streamed:
            with Depth(unreadable):
                return _finished(exchange, _as_stream(exchange, client, answer), reply)
    with Depth(unreadable):
        return _finished(exchange, client.encode_answer(exchange, answer), reply)


def tell_losses(exchange: Exchange, reply: Reply) -> None:
    """Tell of what got lost: in a header where the route warns, in the log in any case."""
    if not exchange.losses:
        return
    if exchange.route.lossy == "warn":
        names = [loss.field for loss in exchange.losses]
        more = [f"and {len(names) - _TOLD} more"] if len(names) > _TOLD else []
        text = ", ".join([*names[:_TOLD], *more])
        reply.headers.set("x-llmproxy-losses", text.encode("ascii", "replace").decode())
    _log.info(
        "translation_losses",
        exchange=exchange.id,
        route=exchange.route.name,
        losses={loss.field: loss.why for loss in exchange.losses},
    )


async def _count_here(exchange: Exchange, endpoint: Endpoint, request: CountRequest) -> Reply:
    """Answer a counting call whose provider has none: with the gateway's own count, marked as an estimate."""
    from llmproxy.tokens import count_request  # noqa: PLC0415  # a tokenizer is only loaded where one is asked

    with Depth():
        answer = await asyncio.to_thread(count_request, request.request, endpoint.model or request.model)
    reply = client_of(exchange).encode_answer(exchange, answer)
    reply.headers.set("x-llmproxy-token-count", "estimate" if answer.estimated else "exact")
    return reply


def client_of(exchange: Exchange) -> ClientFace:
    """Return the face of a caller whose request is to be translated."""
    face = exchange.client_face
    if face is None:
        raise BadRequest(
            "no_translation", "This path speaks no dialect that could be translated.", status=404
        )
    return face


def _finished(exchange: Exchange, translated: Reply, reply: Reply) -> Reply:
    """Bring over what the provider told beside the answer, and tell of losses."""
    own = translated.headers.index
    kept = [
        pair for pair in reply.headers.raw if (name := pair[0].lower()) not in OF_THE_BODY and name not in own
    ]
    translated.headers = Headers([*translated.headers.raw, *kept])
    tell_losses(exchange, translated)
    return translated


def _collected(decoder: StreamDecoder, body: bytes) -> Answer:
    """Read a stream that nobody asked for into the whole answer that somebody did."""
    collector = Collector()
    for told in (partial(decoder.feed, body), decoder.close):
        for event in told():
            collector.feed(event)
        if collector.failed is not None:
            raise collector.failed.error
    return collector.answer


def _as_stream(exchange: Exchange, client: ClientFace, answer: Answer) -> Reply:
    """Tell a whole answer as the stream that was asked for."""
    encoder = client.stream_encoder(exchange)
    pieces = [piece for event in events_of(answer) for piece in encoder.feed(event)]
    headers = Headers([(b"Content-Type", client.stream_type(exchange)), (b"Cache-Control", b"no-cache")])
    return Reply(200, headers, b"".join([*pieces, *encoder.close()]))


def _decoder(exchange: Exchange, face: UpstreamFace, reply: Reply) -> StreamDecoder | None:
    names = exchange.state.get(_NAMES)
    decoder = face.stream_decoder(exchange, reply)
    return NamingBack(decoder, names) if decoder is not None and names else decoder


def _stream(
    exchange: Exchange,
    client: ClientFace,
    face: UpstreamFace,
    decoder: StreamDecoder,
    attempt: Attempt,
    reply: Reply,
) -> Reply:
    def ended(answer: Answer | None, failed: GatewayError | None) -> None:
        if failed is not None:
            attempt.error = failed
            if attempt.committed or attempt.first_output_at is not None:
                # Else it is raised, and another place may answer.
                attempt.committed = True
                exchange.outcome.result, exchange.outcome.error = "upstream_error", failed.code
        elif answer is not None:
            _ = spawn(remember(exchange, client, answer), name="remember")

    def machines(decoder: StreamDecoder) -> list[ByteFilter]:
        chain: list[ByteFilter] = [
            Canonical(decoder, client.stream_encoder(exchange), ended, exchange.serial)
        ]
        coding = reply.headers.index.get(b"content-encoding", b"identity")
        return chain if coding == b"identity" else [Inflate(coding), *chain]

    translated = Reply(reply.status, Headers([(b"Content-Type", client.stream_type(exchange))]))
    translated = _finished(exchange, translated, reply)
    if isinstance(reply.body, Body):
        translated.body = Lane(reply.body, machines(decoder))
        return translated
    try:
        translated.body = run_whole(machines(decoder), reply.body)
    except Exception as fault:
        if attempt.first_output_at is None:  # so it need not begin
            raise fault if isinstance(fault, GatewayError) else unreadable() from fault
        again = cast("StreamDecoder", _decoder(exchange, face, reply))
        translated.body = as_far_as_it_goes(machines(again), reply.body)
        attempt.committed = True
    return translated


async def remember(exchange: Exchange, client: ClientFace, answer: object) -> None:
    """Keep what this caller may refer to later: its conversation, signed thoughts. Never raises."""
    asked = exchange.state.get(_ASKED)
    if asked is None or not isinstance(asked.request, GenerateRequest) or not isinstance(answer, Answer):
        return
    try:
        memory = StoreMemory(await exchange.route.open_memory(), exchange)
        await keep_signatures(answer, memory, asked.request.messages)
        await client.remember(exchange, asked.request, answer, memory)
    except Exception:  # the caller shall not lose an answer because it could not be kept
        _log.exception("not_remembered", exchange=exchange.id, route=exchange.route.name)


class Canonical:
    """Translates a stream: the upstream face's decoder, then the client face's encoder.

    `ended` is told once: the whole answer, or the error that the provider ended its stream with.
    """

    __slots__ = ("_collector", "_decoder", "_encoder", "_ended", "_ids", "_left")

    def __init__(
        self,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        ended: Callable[[Answer | None, GatewayError | None], None],
        seed: str = "",
    ) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._ended = ended
        self._collector = Collector()
        self._ids = CallIds(seed)
        self._left = MOST

    def feed(self, data: bytes) -> bytes:
        """Return the translation of what these bytes complete; raise if the stream has no end."""
        self._left -= len(data)
        if self._left < 0:
            # All of it is kept to its end, by encoders too.
            raise too_large(MOST)
        out: list[bytes] = []
        for event in self._decoder.feed(data):
            self._take(event, out)
        return b"".join(out)

    def close(self) -> bytes:
        """Return the translated rest and the caller's end marker; raise if the stream is not whole."""
        out: list[bytes] = []
        if self._collector.failed is None:
            for event in self._decoder.close():
                self._take(event, out)
        out += self._encoder.close()
        if self._collector.failed is None:
            self._ended(self._collector.answer, None)
        return b"".join(out)

    def _take(self, event: StreamEvent, out: list[bytes]) -> None:
        if self._collector.failed is not None:
            return  # nothing that follows an error is part of the answer
        if type(event) is BlockStarted:
            event = self._ids.told(event)
        self._collector.feed(event)
        out += self._encoder.feed(event)
        if type(event) is Failed:
            self._ended(None, event.error)
