"""The listening side: aiohttp's server protocol, driven without its per-request objects.

`Listening` is aiohttp's `web.Server`; a `ClientConnection` is its `RequestHandler`, whose parser, queue and
flow control are kept, and whose request loop is replaced: one task a request (so that context variables never leak
from one exchange into the next), no task for an idle connection, and replies written straight to the transport.
Plain requests do not even reach the parser (`PlainReading`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web import RequestPayloadError
from aiohttp.web import Server as AiohttpServer

from llmproxy.client import WRITE_HIGH, ClientSink
from llmproxy.closing import hang_up, reject
from llmproxy.doors import at_once
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.forwarded import TrustedProxies
from llmproxy.identity import Names
from llmproxy.plainreading import Message, Payload, PlainReading
from llmproxy.plainrequest import PlainReader
from llmproxy.sweep import Watchlist
from llmproxy.turns import take_turn

if TYPE_CHECKING:
    from llmproxy.config import ServerSettings
    from llmproxy.gateway import Gateway

_log = structlog.get_logger("llmproxy")

_LARGE = BadRequest("header_too_large", "A line of the request's header is too long.", status=431)
#: How many of the longest lines a header that is still coming may hold: anybody can send one, and all lines at their
#: longest would hold megabytes.
_LONGEST_LINES = 4
_MANY = BadRequest("header_too_large", "The request's header is too long.", status=431)


@dataclass(slots=True)
class Front:
    """What all connections of one listener share."""

    gateway: Gateway
    settings: ServerSettings
    address: str
    scheme: str = "http"
    trusted: TrustedProxies | None = None
    names: Names = field(default_factory=Names)
    watch: Watchlist = field(default_factory=Watchlist)
    draining: bool = False
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    id_header: bytes = b""
    plain: PlainReader = field(init=False)
    now: Callable[[], float] = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.gateway.process.clock.now
        self.trusted = self.trusted or None
        self.plain = PlainReader(self.settings.max_header_size)
        self.id_header = self.settings.request_id_header.encode()

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


class ClientConnection(PlainReading):
    """One caller's connection."""

    __slots__ = (
        "_head",
        "_line",
        "_most",
        "asked",
        "finishing",
        "front",
        "paused_since",
        "peer",
        "since",
        "sink",
    )

    def __init__(self, manager: Listening, front: Front) -> None:
        limit = front.settings.max_header_size
        super().__init__(manager, limit, front.plain)
        self.front = front
        self._line = b""
        self._head = 0
        self._most = _LONGEST_LINES * limit
        self.finishing = False
        #: When the request that it carries was read: until its turn comes, it waits.
        self.asked = 0.0
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
        self.front.watch.opened(self)

    def _read_other(self, data: bytes) -> None:
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            # What stands behind broken bytes is nothing, and would only fill the queue.
            return
        self._parse(data)
        if not self._messages:
            if not self.busy and data:
                self._begin(data)
        elif not self.busy:
            self._next(data)
        elif not isinstance(self._messages[-1][0], RawRequestMessage):
            self._spoil_upload()

    def _begin(self, data: bytes) -> None:
        """Take note of bytes of a header that is still coming."""
        if not self._line:
            # The first ones: its clock starts.
            self.since = self._loop.time()
            self._line = data[:2048]
        self._head += len(data)
        if self._head > self._most:
            self.busy = True
            reject(self, self._line, _MANY)

    def _spoil_upload(self) -> None:
        """Tell whoever reads the body that the parser gave up inside it: it tells nobody but its queue."""
        if self.upload is not None and not self.upload.is_eof():
            self.upload.set_exception(RequestPayloadError("the body's framing is broken"))

    def connection_lost(self, exc: BaseException | None) -> None:
        self.front.watch.closed(self)
        task = self.task
        super().connection_lost(exc)
        if task is not None and not self.finishing:
            task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused_since = self._loop.time()
        self.front.watch.stalled.add(self)
        if self.sink is not None:
            self.sink.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.front.watch.stalled.discard(self)
        if self.sink is not None:
            self.sink.resume()

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        self.front.watch.deaf.add(self)

    def _resume_transport_reading(self) -> None:
        super()._resume_transport_reading()
        self.front.watch.deaf.discard(self)

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
            reject(self, self._line, error)
        elif self.transport is not None:
            self.transport.close()

    # One request after the other.

    def _next(self, data: bytes = b"") -> None:
        # First of all, as making room in the queue may parse the next request.
        self.busy = True
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if not isinstance(message, RawRequestMessage):
            reject(self, self._line + data, _LARGE if isinstance(message.exc, LineTooLong) else None)
            return
        self._line = b""
        self._head = 0
        self.upload = payload
        self._enter(message, payload)

    def _enter(self, message: Message, payload: Payload) -> None:
        self.asked = asked = self.front.now()
        door = self.front.gateway.door
        if door is None or (refusal := door.ask(asked)) is None:
            self.task = self._loop.create_task(self._serve(message, payload))
            return
        turn = self._serve(message, payload, refusal)
        if door.prompt and self._plain is not None and payload.__class__ is bytes:
            self.task = at_once(turn, self._loop)
        else:
            self.task = self._loop.create_task(turn)

    async def _serve(self, message: Message, payload: Payload, refusal: GatewayError | None = None) -> None:
        keep = self.finishing = False
        try:
            keep = await take_turn(self, message, payload, refusal)
        except asyncio.CancelledError:
            return
        except Exception:
            _log.exception("turn_failed", listener=self.front.address)
        finally:
            self.task = self.sink = self.upload = None
            if not keep:
                hang_up(self, payload)
        if not keep:
            # Requests sent ahead get no answer: this reply said that the connection ends with it.
            return
        self.busy = False
        self.since = self._loop.time()
        if self._messages and not self._force_close:
            self._next()

    async def until_draining(self) -> None:
        """Return when this listener begins to drain."""
        await self.front.drained.wait()
