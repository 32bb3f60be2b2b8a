"""Signs of life for a caller who waits for an event stream: its head, and comments, while attempts go on.

Once the head has left, its status is 200, whatever comes: a failure is told by an error event then, and an end that is
none. Attempts may still fail over, as no output has left.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body, BodyTooLarge
from llmproxy.delivery import begin_stream, deliver
from llmproxy.errors import GatewayError, UpstreamError
from llmproxy.messages import Reply
from llmproxy.refusals import read_error

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.plainreading import Message, Payload
    from llmproxy.server import ClientConnection

#: A comment of an event stream (WHATWG HTML, section 9.2), which no reader sees, as a chunk.
_BEAT: Final = b"e\r\n: keep-alive\n\n\r\n"
_MOST_OF_AN_ERROR: Final = 64 * 1024


async def answer_alive(
    connection: ClientConnection, exchange: Exchange, message: Message, payload: Payload
) -> bool:
    """Answer an exchange as any other, with signs of life meanwhile; return whether another may follow."""
    heart = Heart(connection, exchange, message, exchange.route.keepalive or 0.0)
    try:
        reply = await exchange.route.pipeline.answer(exchange)
    finally:
        heart.stop()
    outcome = exchange.outcome
    outcome.status = 200 if heart.begun else reply.status
    if not heart.begun:
        return await deliver(connection, reply, exchange, message, payload)
    result, error = outcome.result, outcome.error
    failed = reply.status >= 400 or not reply.is_event_stream
    if failed:
        reply.body = await _broken(reply)
    elif not isinstance(reply.body, Body):
        reply.body = _whole(reply.body)
    try:
        return await deliver(connection, reply, exchange, message, payload, begun=True)
    finally:
        if failed and not outcome.client_gone:
            outcome.result, outcome.error = result or "upstream_error", error or outcome.error


async def _broken(reply: Reply) -> Body:
    """Return what tells of an error where a stream has begun."""
    body = Body()
    body.fail(await _error_of(reply))
    return body


async def _error_of(reply: Reply) -> GatewayError:
    told = reply.body
    try:
        data = await told.read(_MOST_OF_AN_ERROR) if isinstance(told, Body) else told
    except (BodyTooLarge, GatewayError):
        data = b""
    if reply.status >= 400:
        return read_error(reply.status, data, reply.headers)
    message = "The provider's answer is no stream."
    return UpstreamError("upstream_bad_answer", message, phase="body", sent=True)


def _whole(data: bytes) -> Body:
    body = Body()
    body.feed(data)
    body.end()
    return body


class Heart:
    """Beats while an answer is awaited; `begun` says that the head has left."""

    __slots__ = ("_connection", "_exchange", "_message", "_seconds", "_timer", "begun")

    def __init__(
        self, connection: ClientConnection, exchange: Exchange, message: Message, seconds: float
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._message = message
        self._seconds = seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._beat)
        self.begun = False

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._beat)
        transport = self._connection.transport
        if transport is None or self._connection.writing_paused or not (self.begun or self._may_begin()):
            return
        if not self.begun:
            self.begun = True
            begin_stream(self._connection, self._exchange, self._message)
        transport.write(_BEAT)

    def _may_begin(self) -> bool:
        """Whether an event stream was asked for, and by somebody who may: what refuses comes before the places do."""
        exchange, face = self._exchange, self._exchange.client_face
        if face is None or not exchange.streamed or not exchange.endpoints or exchange.upgraded:
            return False
        return self._message.version >= (1, 1) and face.stream_type(exchange)[:17] == b"text/event-stream"

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()
