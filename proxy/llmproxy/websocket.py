"""WebSocket exchanges: the handshake passes the hooks, then messages pass both ways.

Not the hot path: both ends are aiohttp's own WebSocket (RFC 6455) over our listener and a client session of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import ClientSession, ClientWSTimeout, StreamReader, WSMessage, WSMsgType, web
from aiohttp.client_exceptions import ClientError, WSServerHandshakeError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter

from llmproxy.errors import UpstreamError
from llmproxy.messages import Headers, Reply, UpstreamRequest
from llmproxy.sse import Event

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.hooks import EventTransform
    from llmproxy.route import Target
    from llmproxy.server import ClientConnection

#: RFC 6455 §7.4.1 and the IANA registry: the service restarts, or an endpoint was silent for too long.
SERVICE_RESTART = 1012
#: Bytes of one message.
MAX_MESSAGE = 16 * 1024 * 1024

_HANDSHAKE = frozenset(
    {
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
        b"content-length",
    }
)


class Upgraded(Reply):
    """The reply to an upgrade: the upstream's open WebSocket."""

    __slots__ = ("close", "socket")

    def __init__(self, socket: Any, close: Callable[[], Any]) -> None:
        super().__init__(101)
        self.socket = socket
        self.close = close


async def dial(exchange: Exchange, target: Target, request: UpstreamRequest) -> Reply:
    """Open the upstream's side of a WebSocket; an HTTP refusal comes back as a reply."""
    upstream = target.upstream
    url = upstream.config.base_url.rstrip("/") + request.target
    session = ClientSession(auto_decompress=False)
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in (
            *(pair for pair in request.headers.raw if pair[0].lower() not in upstream.owned),
            *upstream.fixed,
        )
        if name.lower() not in _HANDSHAKE
    ]
    asked = exchange.request.headers.get("sec-websocket-protocol") or ""
    try:
        socket = await session.ws_connect(
            url.replace("http", "ws", 1),
            headers=headers,
            protocols=[p.strip() for p in asked.split(",") if p.strip()],
            max_msg_size=MAX_MESSAGE,
            autoping=True,
            timeout=ClientWSTimeout(ws_close=5.0),
            ssl=upstream.dialer.context or True,
            proxy=upstream.dialer.proxy_url,
        )
    except WSServerHandshakeError as fault:
        await session.close()
        return Reply(
            fault.status, Headers.of({"Content-Type": "text/plain"}), b"The upstream refused the upgrade."
        )
    except (ClientError, OSError, TimeoutError) as fault:
        await session.close()
        message = "The upstream's WebSocket cannot be opened."
        raise UpstreamError("upstream_unreachable", message, phase="connect", sent=False) from fault
    except BaseException:
        await session.close()
        raise
    return Upgraded(socket, session.close)


async def tunnel(
    connection: ClientConnection,
    exchange: Exchange,
    reply: Upgraded,
    message: RawRequestMessage,
    payload: StreamReader,
) -> None:
    """Accept the caller's side and pass messages until the exchange is over."""
    pipeline = exchange.route.pipeline
    try:
        client = await _accept(connection, reply, message, payload)
        transforms = pipeline.transforms(exchange, reply)
        await Relay(client, reply, exchange, transforms).run(connection)
    finally:
        await reply.close()


async def _accept(
    connection: ClientConnection, reply: Upgraded, message: RawRequestMessage, payload: StreamReader
) -> web.WebSocketResponse:
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[None]", asyncio.current_task())
    request = web.BaseRequest(message, payload, connection, StreamWriter(connection, loop), task, loop)
    protocol = reply.socket.protocol
    client = web.WebSocketResponse(protocols=[protocol] if protocol else [], max_msg_size=MAX_MESSAGE)
    await client.prepare(request)
    return client


class Relay:
    """Passes messages between the two sockets until one closes, falls silent, or the gateway drains."""

    def __init__(
        self,
        client: web.WebSocketResponse,
        reply: Upgraded,
        exchange: Exchange,
        transforms: list[EventTransform],
    ) -> None:
        self._client = client
        self._upstream = reply.socket
        self._watch = reply.watch
        self._exchange = exchange
        self._transforms = transforms
        self._idle = exchange.route.idle_timeout

    async def run(self, connection: ClientConnection) -> None:
        """Pass messages until the exchange is over; then both ends are closed."""
        outcome = self._exchange.outcome
        ways = [
            asyncio.ensure_future(self._pass(self._client, self._upstream, b"up")),
            asyncio.ensure_future(self._pass(self._upstream, self._client, b"down")),
            asyncio.ensure_future(connection.until_draining()),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            code = next((way.result() for way in done if way is not ways[2]), SERVICE_RESTART)
            outcome.result = outcome.result or "ok"
            outcome.client_gone = ways[0] in done and self._client.close_code == 1006
        finally:
            for way in ways:
                way.cancel()
            if self._watch is not None:
                self._watch.end()
        await self._client.close(code=code or 1000)
        await self._upstream.close(code=code or 1000)

    async def _pass(self, source: Any, sink: Any, direction: bytes) -> int:
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    message: WSMessage = await source.receive()
            except TimeoutError:
                return SERVICE_RESTART
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return source.close_code or 1000
            text = message.type is WSMsgType.TEXT
            data = message.data.encode() if text else message.data
            for out in self._through(Event(data=data, event=direction)) if self._transforms else (None,):
                piece = data if out is None else out.data
                if direction == b"down":
                    self._exchange.outcome.bytes_out += len(piece)
                    if self._watch is not None:
                        self._watch.feed(data)
                await (sink.send_str(piece.decode()) if text else sink.send_bytes(piece))

    def _through(self, event: Event) -> list[Event]:
        events = [event]
        for transform in self._transforms:
            events = [changed for each in events for changed in transform.feed(each)]
        return events
