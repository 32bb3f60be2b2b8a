"""WebSocket exchanges: the handshake passes the hooks, then messages pass both ways.

Not the hot path: both ends are aiohttp's own WebSocket (RFC 6455) over our listener and a client session of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientWSTimeout,
    StreamReader,
    WSMessage,
    WSMsgType,
    web,
)
from aiohttp.client_exceptions import ClientConnectorError, ClientError, WSServerHandshakeError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter

from llmproxy.authorizing import AuthorizedUpstream
from llmproxy.body import Body
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.messages import Reply, Spellings, UpstreamRequest
from llmproxy.pipeline import shape
from llmproxy.sse import Event
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.route import Target
    from llmproxy.server import ClientConnection
    from llmproxy.upstream import Upstream

#: RFC 6455 §7.4.1 and the IANA registry: the service restarts, or an endpoint was silent for too long.
SERVICE_RESTART = 1012
NORMAL, NO_STATUS, ABNORMAL, INTERNAL_ERROR = 1000, 1005, 1006, 1011
#: Seconds that a side gets to answer a close.
CLOSE_WAIT = 2.0
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
    """The reply to an upgrade: the upstream's open WebSocket.

    Its body is what came down, message by message, for those who observe; abandoned, it closes the socket.
    """

    __slots__ = ("close", "socket")

    body: Body

    def __init__(self, socket: Any, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(101, body=Body(abandon=self._abandon))
        self.socket = socket
        self.close = close

    def _abandon(self) -> None:
        self.body.fail(ConnectionAbortedError("the upgrade was given up"))
        _ = spawn(self.close(), name="websocket-close")


async def dial(exchange: Exchange, target: Target, request: UpstreamRequest) -> Reply:
    """Open the upstream's side of a WebSocket; an HTTP refusal comes back as a reply in the caller's dialect."""
    upstream, timeouts = target.upstream, target.timeouts
    if isinstance(upstream, AuthorizedUpstream):
        await upstream.authorize(request, timeouts, exchange.deadline)
    session = ClientSession(auto_decompress=False, middlewares=(_stay,))
    try:
        patience = asyncio.get_running_loop().time() + timeouts.connect + timeouts.headers
        async with asyncio.timeout_at(min(patience, exchange.deadline)):
            socket = await session.ws_connect(
                _url(upstream, request),
                headers=_handshake(upstream, request),
                protocols=_protocols(exchange),
                max_msg_size=MAX_MESSAGE,
                autoping=True,
                timeout=ClientWSTimeout(ws_close=CLOSE_WAIT),
                ssl=upstream.dialer.context or True,
                server_hostname=upstream.dialer.server_name if upstream.dialer.secure else None,
                proxy=upstream.dialer.proxy_url,
            )
    except WSServerHandshakeError as fault:
        await session.close()
        status = fault.status if fault.status >= 400 else 502
        refusal = GatewayError(status, "upgrade_refused", "The upstream refused the upgrade.")
        return shape(exchange, refusal)
    except TimeoutError:
        await session.close()
        raise UpstreamTimeout("headers", timeouts.connect + timeouts.headers, sent=True) from None
    except (ClientError, OSError) as fault:
        await session.close()
        message = "The upstream's WebSocket cannot be opened."
        if isinstance(fault, ClientConnectorError):
            raise UpstreamError("upstream_unreachable", message, phase="connect", sent=False) from fault
        # The handshake may have arrived, with whatever it makes the upstream do.
        raise UpstreamError("upstream_reset", message, phase="headers", sent=True) from fault
    except BaseException:
        await session.close()
        raise
    return Upgraded(socket, session.close)


def _url(upstream: Upstream, request: UpstreamRequest) -> str:
    """Return where to connect: where the upstream is, or the discovered member of it."""
    base = urlsplit(upstream.config.base_url)
    scheme = "wss" if base.scheme == "https" else "ws"
    path = "" if request.rooted else base.path.rstrip("/")
    return f"{scheme}://{upstream.dialer.elsewhere or base.netloc}{path}{request.target}"


async def _stay(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Take a redirect for the refusal it is: followed, it would carry the upstream's credentials elsewhere."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise WSServerHandshakeError(response.request_info, response.history, status=response.status)
    return response


def _handshake(upstream: Upstream, request: UpstreamRequest) -> list[tuple[str, str]]:
    passes = Spellings(upstream.owned)
    own = [pair for pair in request.headers.raw if passes[pair[0]]]
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in (*own, *upstream.fixed[request.key])
        if name.lower() not in _HANDSHAKE
    ]


def _protocols(exchange: Exchange) -> list[str]:
    asked = exchange.request.headers.get_all("sec-websocket-protocol")
    return [name.strip() for name in ",".join(asked).split(",") if name.strip()]


async def tunnel(
    connection: ClientConnection,
    exchange: Exchange,
    reply: Upgraded,
    message: RawRequestMessage,
    payload: StreamReader,
) -> None:
    """Accept the caller's side and pass messages until the exchange is over."""
    try:
        client = await _accept(connection, reply, message, payload)
        # From here on the relay itself sees the caller leave, and closes the upstream in good order.
        connection.finishing = True
        exchange.outcome.first_byte_at = connection.front.gateway.process.clock.now()
        await Relay(client, reply, exchange).run(connection)
    finally:
        reply.body.fail(ConnectionAbortedError("the WebSocket broke off"))
        await reply.close()


async def _accept(
    connection: ClientConnection, reply: Upgraded, message: RawRequestMessage, payload: StreamReader
) -> web.WebSocketResponse:
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[None]", asyncio.current_task())
    request = web.BaseRequest(message, payload, connection, StreamWriter(connection, loop), task, loop)
    protocol = reply.socket.protocol
    client = web.WebSocketResponse(
        timeout=CLOSE_WAIT, protocols=[protocol] if protocol else [], max_msg_size=MAX_MESSAGE
    )
    await client.prepare(request)
    return client


class Unheard:
    """A sink that drops what it gets: the messages leave by the relay."""

    def feed(self, data: bytes) -> None:
        """Drop one message."""

    def end(self) -> None:
        """Nothing follows."""

    def fail(self, error: BaseException) -> None:
        """Nothing follows."""


class Relay:
    """Passes messages between the two sockets until one closes, falls silent, or the gateway drains."""

    def __init__(self, client: web.WebSocketResponse, reply: Upgraded, exchange: Exchange) -> None:
        self._client = client
        self._upstream = reply.socket
        self._body = reply.body
        self._transform = reply.transform
        self._outcome = exchange.outcome
        self._idle = exchange.route.idle_timeout
        self._body.attach(Unheard())

    async def run(self, connection: ClientConnection) -> None:
        """Pass messages until the exchange is over; then both ends are closed."""
        up = spawn(self._pass(self._client, self._upstream, b"up"), name="websocket-up")
        down = spawn(self._pass(self._upstream, self._client, b"down"), name="websocket-down")
        drained = spawn(connection.until_draining(), name="websocket-drain")
        try:
            done, _ = await asyncio.wait({up, down, drained}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in (up, down, drained):
                way.cancel()
        await asyncio.wait({up, down, drained})
        code = next((way.result() for way in (up, down) if way in done), SERVICE_RESTART)
        self._conclude(code, gone=up in done and code == ABNORMAL)
        await self._client.close(code=_sendable(code))
        await self._upstream.close(code=_sendable(code))

    def _conclude(self, code: int, *, gone: bool) -> None:
        outcome = self._outcome
        outcome.client_gone = gone
        if gone or code in {ABNORMAL, INTERNAL_ERROR}:
            outcome.result = "client_gone" if gone else "cut"
            self._body.fail(ConnectionAbortedError("the WebSocket broke off"))
        else:
            outcome.result = outcome.result or "ok"
            self._body.end()

    async def _pass(self, source: Any, sink: Any, direction: bytes) -> int:
        """Pass one direction's messages; return the close code that the other side is to get."""
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    message: WSMessage = await source.receive()
            except TimeoutError:
                return SERVICE_RESTART
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                told = message.type in {WSMsgType.CLOSE, WSMsgType.ERROR}
                return (source.close_code or NORMAL) if told else ABNORMAL
            try:
                await self._forward(message, sink, direction)
            except GatewayError as fault:
                self._outcome.error = fault.code
                return INTERNAL_ERROR
            except ConnectionError:
                return ABNORMAL

    async def _forward(self, message: WSMessage, sink: Any, direction: bytes) -> None:
        text = message.type is WSMsgType.TEXT
        data: bytes = message.data.encode() if text else message.data
        if direction == b"down":
            self._body.feed(data)
        if self._transform is None:
            pieces: Iterable[bytes] = (data,)
        else:
            pieces = [event.data for event in self._transform.feed(Event(data=data, event=direction))]
        for piece in pieces:
            if direction == b"down":
                self._outcome.bytes_out += len(piece)
            else:
                self._outcome.bytes_in += len(piece)
            await (sink.send_str(piece.decode(errors="replace")) if text else sink.send_bytes(piece))


def _sendable(code: int) -> int:
    """Return the code, or the one to send where it stands for something that is never sent (RFC 6455 §7.4.1)."""
    if code == ABNORMAL:
        return INTERNAL_ERROR
    return NORMAL if code == NO_STATUS else code
