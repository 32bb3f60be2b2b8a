"""How a caller's connection ends so that the last reply still arrives."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

from llmproxy.client import write_head
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.plainreading import whole
from llmproxy.tasks import spawn

if TYPE_CHECKING:
    from llmproxy.plainreading import Payload
    from llmproxy.server import ClientConnection

_REQUEST_LINE = re.compile(rb"[A-Z]{1,20} (/[^ ?\r\n]{0,2000})")

#: Seconds for which a caller that still sends is listened to after its reply.
LINGER = 2.0
STEP = 0.05


def reject(connection: ClientConnection, seen: bytes, error: GatewayError | None = None) -> None:
    """Answer bytes that are no request, in the dialect of the path if that much can be read; then close."""
    if connection.transport is None:
        return
    line = _REQUEST_LINE.match(seen)
    path = line[1].decode("latin-1") if line else ""
    # The parser's own words quote the offending line, credentials included: they stay inside.
    error = error or BadRequest("bad_request", "The request is not valid HTTP/1.1.")
    reply = connection.front.gateway.current.shape(error, path)
    extra = b"Date: %b\r\nConnection: close\r\n" % connection.front.watch.date
    body = cast("bytes", reply.body)
    connection.transport.write(write_head(reply, extra, b"Content-Length: %d\r\n\r\n" % len(body)) + body)
    connection.close()
    _ = spawn(_linger(connection), name="linger")


def hang_up(connection: ClientConnection, payload: Payload) -> None:
    """Close after the last reply; if the caller still sends its body, not before it could read that reply."""
    if connection.transport is None:
        return
    connection.close()
    if whole(payload):
        connection.transport.close()
    else:
        _ = spawn(_linger(connection), name="linger")


async def _linger(connection: ClientConnection) -> None:
    """Take what the caller is still sending for a moment, so that a reset does not destroy the reply."""
    transport = connection.transport
    if transport is None:
        return
    if transport.can_write_eof():
        transport.write_eof()
    connection.hear_out()
    for _ in range(int(LINGER / STEP)):
        await asyncio.sleep(STEP)
        if connection.transport is None:
            return
    transport.close()
