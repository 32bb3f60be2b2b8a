"""The listening side: aiohttp's server protocol, driven without its per-request objects.

`Listening` is aiohttp's `web.Server`; a `ClientConnection` is its `RequestHandler`, whose parser, queue and
flow control are kept, and whose request loop is replaced: one task a request (so that context variables never leak
from one exchange into the next), no task for an idle connection, and replies written straight to the transport.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web import RequestHandler
from aiohttp.web import Server as AiohttpServer

from llmproxy.body import Body
from llmproxy.client import WRITE_HIGH, ClientSink, take_upload, write_head
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.exchange import Exchange
from llmproxy.forwarded import TrustedProxies
from llmproxy.identity import Names
from llmproxy.messages import ClientRequest, Headers, Reply
from llmproxy.routing import BadPath, Match, MethodNotAllowed
from llmproxy.sweep import Watchlist
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.config import ServerSettings
    from llmproxy.gateway import Gateway, Generation

_REQUEST_LINE = re.compile(rb"[A-Z]{1,20} (/[^ ?\r\n]{0,2000})")
_HEADERS = 128
_LINGER = 2.0


@dataclass(slots=True)
class Front:
    """What all connections of one listener share."""

    gateway: Gateway
    settings: ServerSettings
    address: str
    scheme: str = "http"
    trusted: TrustedProxies = field(default_factory=lambda: TrustedProxies(()))
    names: Names = field(default_factory=Names)
    watch: Watchlist = field(default_factory=Watchlist)
    draining: bool = False
    drained: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """From now on every reply says `Connection: close`."""
        self.draining = True
        self.drained.set()


class Listening(AiohttpServer):
    """Makes the connections of one listener."""

    def __init__(self, front: Front) -> None:
        super().__init__(_unused)
        self.front = front

    def __call__(self) -> ClientConnection:
        return ClientConnection(self, self.front)


async def _unused(
    request: object,
) -> Any:  # pragma: no cover  # aiohttp wants a handler; ClientConnection has its own
    raise NotImplementedError


class ClientConnection(RequestHandler):
    """One caller's connection."""

    __slots__ = ("_front", "_line", "busy", "finishing", "paused_since", "peer", "since", "sink", "task")

    def __init__(self, manager: Listening, front: Front) -> None:
        limit = front.settings.max_header_size
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=cast("Any", None),
            tcp_keepalive=False,
            max_line_size=limit,
            max_field_size=limit,
            max_headers=_HEADERS,
            read_bufsize=WRITE_HIGH,
            auto_decompress=False,
        )
        self._front = front
        self._line = b""
        self.busy = False
        self.finishing = False
        self.task: asyncio.Task[None] | None = None
        self.sink: ClientSink | None = None
        self.peer = ""
        self.since = 0.0
        self.paused_since = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        BaseProtocol.connection_made(self, transport)
        transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self.since = self._loop.time()
        cast("AiohttpServer", self._manager).connection_made(self, transport)
        self._front.watch.opened(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._messages:
            if not self.busy and not self._line and data:
                # The first bytes of a header that is still coming: its clock starts.
                self.since = self._loop.time()
                self._line = data[:2048]
        elif not self.busy:
            self._next(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._front.watch.closed(self)
        task = self.task
        super().connection_lost(exc)
        if task is not None and not self.finishing:
            task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused_since = self._loop.time()
        self._front.watch.stalled.add(self)
        if self.sink is not None:
            self.sink.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._front.watch.stalled.discard(self)
        if self.sink is not None:
            self.sink.resume()

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        self._front.watch.deaf.add(self)

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this at the end of every body; there is seldom anything to resume.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _resume_transport_reading(self) -> None:
        super()._resume_transport_reading()
        self._front.watch.deaf.discard(self)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Close at once; draining has had its time."""
        if self.task is not None and not self.finishing:
            self.task.cancel()
        self.force_close()

    def close_if_idle(self) -> None:
        """Close the connection unless it carries an exchange."""
        if not self.busy and self.transport is not None:
            self.transport.close()

    def late(self, now: float, header_timeout: float, keepalive_timeout: float) -> bool:
        """Whether an idle connection, or one with half a header, has had its time."""
        return now - self.since > (header_timeout if self._line else keepalive_timeout)

    def time_out(self) -> None:
        """Close a late connection, telling why if a request had begun."""
        if self._line:
            error = BadRequest("header_timeout", "The request's header took too long.", status=408)
            self._reject(self._line, error)
        elif self.transport is not None:
            self.transport.close()

    # One request after the other.

    def _next(self, data: bytes = b"") -> None:
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if not isinstance(message, RawRequestMessage):
            self._reject(self._line + data)
            return
        self._line = b""
        self.busy = True
        self.finishing = False
        self.task = self._loop.create_task(self._serve(message, payload))

    def _reject(self, seen: bytes, error: GatewayError | None = None) -> None:
        """Answer bytes that are no request, in the dialect of the path if that much can be read; then close."""
        if self.transport is None:
            return
        line = _REQUEST_LINE.match(seen)
        path = line[1].decode("latin-1") if line else ""
        # The parser's own words quote the offending line, credentials included: they stay inside.
        error = error or BadRequest("bad_request", "The request is not valid HTTP/1.1.")
        reply = self._front.gateway.current.shape(error, path)
        extra = b"Date: %b\r\nConnection: close\r\n" % self._front.watch.date
        body = cast("bytes", reply.body)
        self.transport.write(write_head(reply, extra, b"Content-Length: %d\r\n\r\n" % len(body)) + body)
        self.close()
        _ = spawn(self._linger(None), name="linger")

    async def _serve(self, message: RawRequestMessage, payload: StreamReader) -> None:
        keep = False
        try:
            keep = await self._exchange(message, payload)
        except asyncio.CancelledError:
            return
        finally:
            self.task = None
            self.sink = None
            if not keep:
                await self._hang_up(payload)
        self.busy = False
        self.since = self._loop.time()
        if self._messages and not self._force_close:
            self._next()

    async def _hang_up(self, payload: StreamReader) -> None:
        if self.transport is None:
            return
        self.close()
        if payload.is_eof():
            self.transport.close()
        else:
            _ = spawn(self._linger(payload), name="linger")

    async def _linger(self, payload: StreamReader | None) -> None:
        """Take what the caller is still sending for a moment, so that a reset does not destroy the reply."""
        transport = self.transport
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
        try:
            async with asyncio.timeout(_LINGER):
                while self.transport is not None:
                    if payload is None or payload.is_eof() or payload.exception() is not None:
                        await asyncio.sleep(0.05)
                    else:
                        await payload.readany()
        except Exception:  # noqa: S110  # the reply is out; nothing more can be said
            pass
        transport.close()

    async def _exchange(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Serve one request; return whether the connection may carry another."""
        generation = self._front.gateway.current
        request = self._request(message)
        try:
            match = route_of(generation, request)
        except GatewayError as error:
            reply = generation.shape(error, request.path, request.headers)
            return await self._write(reply, None, request.method, message, payload)
        exchange = self._open(match, request, payload)
        pipeline = match.route.pipeline
        generation.active += 1
        try:
            if message.upgrade and is_upgrade(request):
                return await self._upgrade(exchange, message, payload)
            if not payload.is_eof() and request.headers.index.get(b"expect", b"").lower() == b"100-continue":
                self._continue()
            reply = await pipeline.answer(exchange)
            exchange.outcome.status = reply.status
            return await self._write(reply, exchange, request.method, message, payload)
        except asyncio.CancelledError:
            exchange.outcome.client_gone = self.transport is None
            exchange.outcome.result = "client_gone" if self.transport is None else "cut"
            raise
        finally:
            self.finishing = True
            await pipeline.finish(exchange)
            generation.leave()

    def _request(self, message: RawRequestMessage) -> ClientRequest:
        front = self._front
        headers = Headers(message.raw_headers)
        peer, scheme = self.peer, front.scheme
        if front.trusted:
            peer, scheme = front.trusted.resolve(peer, scheme, headers)
        host = headers.index.get(b"host", b"").decode("latin-1")
        version = "1.1" if message.version >= (1, 1) else "1.0"
        return ClientRequest(
            message.method,
            message.path,
            headers,
            scheme=scheme,
            host=host,
            client=peer,
            listener=front.address,
            version=version,
        )

    def _open(self, match: Match[Any], request: ClientRequest, payload: StreamReader) -> Exchange:
        front = self._front
        index = request.headers.index
        name = front.names.request_id(index.get(front.settings.request_id_header.encode()))
        exchange = Exchange(request, match.route, name, front.gateway.process.clock.now())
        exchange.params = match.params  # type: ignore[assignment]
        exchange.client_face = match.route.face
        exchange.trace = front.names.trace(index.get(b"traceparent"))
        exchange.upload = upload = take_upload(payload, front.settings.body_timeout)
        if isinstance(upload, bytes):
            exchange.outcome.bytes_in = len(upload)
        return exchange

    async def _upgrade(self, exchange: Exchange, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Serve a WebSocket; a refusal is an ordinary reply. Either way the connection ends with it."""
        # Imported when the first one comes: few gateways carry WebSockets.
        from llmproxy.websocket import Upgraded, tunnel  # noqa: PLC0415

        exchange.upgraded = True
        reply = await exchange.route.pipeline.answer(exchange)
        exchange.outcome.status = reply.status
        if isinstance(reply, Upgraded):
            await tunnel(self, exchange, reply, message, payload)
        else:
            await self._write(reply, exchange, exchange.request.method, message, payload)
        return False

    async def until_draining(self) -> None:
        """Return when this listener begins to drain."""
        await self._front.drained.wait()

    def _continue(self) -> None:
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The reply.

    async def _write(
        self,
        reply: Reply,
        exchange: Exchange | None,
        method: str,
        message: RawRequestMessage,
        payload: StreamReader,
    ) -> bool:
        transport = self.transport
        if transport is None:
            if isinstance(reply.body, Body):
                reply.body.abandon()
            raise asyncio.CancelledError
        keep = not (message.should_close or message.upgrade or self._front.draining) and payload.is_eof()
        extra = self._extra(reply, exchange, message, keep=keep)
        bodiless = method == "HEAD" or reply.status in {204, 304}
        if exchange is not None:
            exchange.outcome.first_byte_at = self._front.gateway.process.clock.now()
        if isinstance(reply.body, Body) and not bodiless:
            keep = await self._stream(reply, cast("Exchange", exchange), extra, message) and keep
        else:
            self._write_whole(transport, reply, extra, bodiless=bodiless)
            if exchange is not None:
                self._settle(exchange, 0 if bodiless else len(cast("bytes", reply.body)), None)
        if self._paused:
            await self._drain_helper()
        return keep

    def _extra(
        self, reply: Reply, exchange: Exchange | None, message: RawRequestMessage, *, keep: bool
    ) -> bytes:
        index = reply.headers.index
        extra = b"" if b"date" in index else b"Date: %b\r\n" % self._front.watch.date
        name = self._front.settings.request_id_header.encode()
        if exchange is not None and name not in index:
            extra += b"%b: %b\r\n" % (name, exchange.id.encode())
        if not keep:
            return extra + b"Connection: close\r\n"
        return extra if message.version >= (1, 1) else extra + b"Connection: keep-alive\r\n"

    def _write_whole(
        self, transport: asyncio.Transport, reply: Reply, extra: bytes, *, bodiless: bool
    ) -> None:
        if bodiless:
            length = reply.headers.index.get(b"content-length")
            framing = b"Content-Length: %b\r\n\r\n" % length if length and reply.status != 204 else b"\r\n"
            if isinstance(reply.body, Body):
                reply.body.abandon()
            transport.write(write_head(reply, extra, framing))
            return
        body = cast("bytes", reply.body)
        head = write_head(reply, extra, b"Content-Length: %d\r\n\r\n" % len(body))
        if len(body) < WRITE_HIGH:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)

    async def _stream(
        self, reply: Reply, exchange: Exchange, extra: bytes, message: RawRequestMessage
    ) -> bool:
        body = cast("Body", reply.body)
        length = reply.headers.index.get(b"content-length")
        chunked = length is None and message.version >= (1, 1)
        if length is not None:
            framing = b"Content-Length: %b\r\n\r\n" % length
        else:
            framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"
        head = write_head(reply, extra, framing)
        transport = cast("asyncio.Transport", self.transport)
        sink = ClientSink(transport, exchange, body, head, self._loop.create_future(), chunked=chunked)
        self.sink = sink
        body.attach(sink)
        sink.start()
        if self._paused:
            sink.pause()
        try:
            if not sink.done.done():
                await sink.done
        except asyncio.CancelledError:
            body.detach(sink)
            raise
        finally:
            self._settle(exchange, sink.sent, sink.broken)
        return sink.broken is None and (chunked or length is not None)

    def _settle(self, exchange: Exchange, sent: int, broken: BaseException | None) -> None:
        outcome = exchange.outcome
        outcome.bytes_out = sent
        if broken is not None:
            outcome.result = "cut"
            outcome.error = broken.code if isinstance(broken, GatewayError) else "upstream_cut"
        elif not outcome.result:
            outcome.result = "ok" if outcome.status < 500 else "upstream_error"


def is_upgrade(request: ClientRequest) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455 §4.1)."""
    return request.method == "GET" and request.headers.index.get(b"upgrade", b"").lower() == b"websocket"


def route_of(generation: Generation, request: ClientRequest) -> Match[Any]:
    """Find the route of a request, or raise what its caller is told."""
    target = request.target
    if not target.isascii():
        raise BadRequest("bad_target", "The request's target holds characters that are not ASCII.")
    if not target.startswith("/"):
        raise BadRequest("bad_target", "The request's target must be a path, such as /v1/chat/completions.")
    found = generation.router.match(
        request.method, request.host, request.path, request.headers.get, request.query
    )
    if isinstance(found, Match):
        return found
    if isinstance(found, BadPath):
        raise BadRequest("bad_path", found.reason)
    if isinstance(found, MethodNotAllowed):
        allowed = ", ".join(found.allowed)
        message = f"This path takes {allowed}."
        raise GatewayError(405, "method_not_allowed", message, headers=[("Allow", allowed)])
    raise BadRequest("unknown_route", f"No route matches {request.method} {request.path[:200]}.", status=404)
