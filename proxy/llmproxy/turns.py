"""One request's turn on a connection: from its parsed head to the end of its exchange."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp.http_parser import RawRequestMessage

from llmproxy.body import Body
from llmproxy.client import take_upload
from llmproxy.delivery import deliver
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.exchange import Exchange
from llmproxy.expecting import Expected
from llmproxy.messages import ClientRequest, Headers
from llmproxy.plainrequest import PlainRequest

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from llmproxy.plainreading import Message, Payload
    from llmproxy.routing import Match
    from llmproxy.server import ClientConnection


_VERSIONS = frozenset({(1, 0), (1, 1)})
_NO_HANDSHAKE = GatewayError(
    426,
    "bad_handshake",
    "A WebSocket needs Sec-WebSocket-Key, and Sec-WebSocket-Version 13.",
    headers=[("Sec-WebSocket-Version", "13")],
)


async def take_turn(
    connection: ClientConnection, message: Message, payload: Payload, refusal: GatewayError | None = None
) -> bool:
    """Serve one request, or tell its refusal at the door; return whether the connection may carry another."""
    generation = connection.front.gateway.current
    request = _request(connection, message)
    try:
        if isinstance(message, RawRequestMessage):
            _check(message, request)
        match = generation.match(request)
    except GatewayError as error:
        reply = generation.shape(error, request.path, request.headers)
        # Behind what is spoken differently, nobody knows where the next request begins.
        return await deliver(connection, reply, None, message, payload, last=error.status > 500)
    exchange = _open(connection, match, request, payload)
    upload = exchange.upload
    pipeline = match.route.pipeline
    generation.active += 1
    try:
        if refusal is not None:
            reply = await pipeline.refuse(exchange, refusal)
            exchange.outcome.status = reply.status
            return await deliver(connection, reply, exchange, message, payload)
        if message.upgrade and is_upgrade(request):
            raw, rest = cast("RawRequestMessage", message), cast("StreamReader", payload)
            return await _upgrade(connection, exchange, raw, rest)
        if match.route.keepalive is not None:
            from llmproxy.keepalive import answer_alive  # noqa: PLC0415  # few routes have signs of life

            return await answer_alive(connection, exchange, message, payload)
        reply = await pipeline.answer(exchange)
        exchange.outcome.status = reply.status
        return await deliver(connection, reply, exchange, message, payload)
    except asyncio.CancelledError:
        exchange.outcome.client_gone = connection.transport is None
        exchange.outcome.result = "client_gone" if connection.transport is None else "cut"
        raise
    finally:
        connection.finishing = True
        if isinstance(upload, Body):
            exchange.outcome.bytes_in = upload.size
            upload.abandon()
        await pipeline.finish(exchange)
        generation.leave()


def _check(message: RawRequestMessage, request: ClientRequest) -> None:
    """Refuse what the parser lets through and this gateway does not speak."""
    if message.version not in _VERSIONS:
        raise BadRequest("http_version", "This gateway speaks HTTP/1.1 and HTTP/1.0.", status=505)
    if message.chunked:
        codings = ",".join(request.headers.get_all("transfer-encoding"))
        if codings.strip().lower() != "chunked":
            # The other codings would have to be taken off, or named to the upstream (RFC 9112 §6.1).
            raise BadRequest("transfer_coding", "The only transfer coding known is chunked.", status=501)


def _request(connection: ClientConnection, message: Message) -> ClientRequest:
    front = connection.front
    headers = message.headers if isinstance(message, PlainRequest) else Headers(message.raw_headers)
    peer, scheme = connection.peer, front.scheme
    if front.trusted is not None:
        peer, scheme = front.trusted.resolve(peer, scheme, headers)
    host = headers.index.get(b"host", b"").decode("latin-1")
    version = "1.1" if message.version >= (1, 1) else "1.0"
    return ClientRequest(message.method, message.path, headers, scheme, host, peer, front.address, version)


def _open(
    connection: ClientConnection, match: Match[Any], request: ClientRequest, payload: Payload
) -> Exchange:
    front = connection.front
    index = request.headers.index
    name = front.names.request_id(index.get(front.id_header))
    exchange = Exchange(request, match.route, name, connection.asked)
    exchange.params = match.params
    exchange.client_face = match.face or match.route.face_of(request)
    exchange.tracer = front.names.trace
    exchange.connection = connection
    if isinstance(payload, bytes):
        exchange.upload = payload
        exchange.outcome.bytes_in = len(payload)
    elif index.get(b"expect", b"").lower() == b"100-continue" and not payload.is_eof():
        exchange.upload = Expected(connection, exchange, payload).body
    else:
        exchange.upload = upload = take_upload(payload, front.settings.body_timeout)
        if isinstance(upload, bytes):
            exchange.outcome.bytes_in = len(upload)
    return exchange


async def _upgrade(
    connection: ClientConnection, exchange: Exchange, message: RawRequestMessage, payload: StreamReader
) -> bool:
    """Serve a WebSocket; a refusal is an ordinary reply. Either way the connection ends with it."""
    # Imported when the first one comes: few gateways carry WebSockets.
    from llmproxy.websocket import Upgraded, tunnel  # noqa: PLC0415

    exchange.upgraded = True
    pipeline, index = exchange.route.pipeline, exchange.request.headers.index
    if index.get(b"sec-websocket-version") != b"13" or b"sec-websocket-key" not in index:
        reply = await pipeline.refuse(exchange, _NO_HANDSHAKE)
    else:
        reply = await pipeline.answer(exchange)
    exchange.outcome.status = reply.status
    if isinstance(reply, Upgraded):
        await tunnel(connection, exchange, reply, message, payload)
    else:
        await deliver(connection, reply, exchange, message, payload)
    return False


def is_upgrade(request: ClientRequest) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455 §4.1)."""
    return request.method == "GET" and request.headers.index.get(b"upgrade", b"").lower() == b"websocket"
