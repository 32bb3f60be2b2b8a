"""aiomcache's client, with connections that are used no more once an answer did not come whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomcache
from aiomcache.exceptions import ClientException
from aiomcache.pool import Connection

Refusal = ClientException


class Client(aiomcache.Client):
    """A client of one server; connections are opened when they are needed, all at once."""

    async def _execute_simple_command(self, conn: Connection, raw_command: bytes) -> bytes:
        async with _whole(conn):
            conn.writer.write(raw_command)
            await conn.writer.drain()
            line = await conn.reader.readline()
            if not line.endswith(b"\r\n"):  # where aiomcache reads on for ever
                raise ConnectionError("the server went away")
            return line[:-2]

    async def _multi_get(self, conn: Connection, *keys: bytes, with_cas: bool = True) -> Any:
        async with _whole(conn):
            return await super()._multi_get(conn, *keys, with_cas=with_cas)  # type: ignore[call-overload]


@asynccontextmanager
async def _whole(conn: Connection) -> AsyncIterator[None]:
    """See that the pool drops the connection unless the block ends well."""
    try:
        yield
    except BaseException as fault:
        gone = conn.reader.at_eof()
        # Of a command that was cancelled, too: its answer would be the next caller's.
        conn.reader.set_exception(ConnectionError("an answer did not come whole"))
        if gone and isinstance(fault, ClientException):
            raise ConnectionError("the server went away") from fault
        raise
