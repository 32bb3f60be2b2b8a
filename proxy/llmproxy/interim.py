"""Interim replies (RFC 9110 §15.2) on their way to the caller, ahead of the final one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.client import write_head
from llmproxy.messages import Headers, RawHeader, Reply

if TYPE_CHECKING:
    from llmproxy.exchange import Exchange
    from llmproxy.server import ClientConnection

#: Bytes of interim replies that one exchange may send, and what each counts beside its own: so many an upstream may say
#: for nothing, and no more.
ROOM = 16 * 1024
EACH = 512


def pass_interim(
    connection: ClientConnection, exchange: Exchange, status: int, fields: list[RawHeader]
) -> None:
    """Write an interim reply, if this caller can take one now; drop it if not.

    Callers of HTTP/1.0 know none, and none may follow the final head. 100 is the gateway's own word about the upload
    (`Expected`), and 101 would end HTTP here.
    """
    transport = connection.transport
    late = exchange.outcome.first_byte_at is not None or transport is None or connection.writing_paused
    if late or exchange.request.version != "1.1" or not 101 < status < 200:
        return
    head = write_head(Reply(status, Headers(fields)), b"", b"\r\n")
    exchange.interim_bytes += len(head) + EACH
    if exchange.interim_bytes <= ROOM and transport is not None:
        transport.write(head)
