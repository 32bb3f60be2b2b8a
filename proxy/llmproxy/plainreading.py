"""A caller's connection as far as it brings plain requests, and what reading them pauses."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web import RequestHandler
from aiohttp.web import Server as AiohttpServer

from llmproxy.client import WRITE_HIGH
from llmproxy.plainrequest import PlainReader, PlainRequest

#: A request's head, by whoever read it, and its body: whole, or as it comes.
Message = RawRequestMessage | PlainRequest
Payload = StreamReader | bytes

_HEADERS = 128


def whole(payload: Payload) -> bool:
    """Whether all of a body has come."""
    return payload.__class__ is bytes or cast("StreamReader", payload).is_eof()


class PlainReading(RequestHandler):
    """The reading side of a caller's connection.

    Plain requests are read here, one after the other. With the first bytes that are something else the connection is
    left to aiohttp's parser for good: nobody but the parser knows where in them a request ends.
    """

    __slots__ = ("_missing", "_plain", "busy", "task", "upload")

    def __init__(self, manager: AiohttpServer, limit: int, plain: PlainReader) -> None:
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
        self._plain: PlainReader | None = plain
        self._missing = 0
        self.busy = False
        self.task: asyncio.Task[None] | None = None
        self.upload: StreamReader | None = None

    def _enter(self, message: Message, payload: Payload) -> None:
        """Begin with one request, read by whichever reader."""
        raise NotImplementedError

    def _read_other(self, data: bytes) -> None:
        """Take bytes that are no plain request."""
        raise NotImplementedError

    def _parse(self, data: bytes) -> None:
        """Have aiohttp's parser read bytes; what it finds stands in its queue."""
        super().data_received(data)

    def data_received(self, data: bytes) -> None:
        plain = self._plain
        if plain is None or self._close or self._force_close:
            self._read_other(data)
            return
        if self._missing:
            data = self._take_more(data)
        elif data and not self.busy:
            request = plain.read(data)
            if request is not None:
                self.busy = True
                self._enter(request, self._take_part(request) if request.missing else request.body)
                return
        if data:
            self._plain = None
            self._read_other(data)

    def _take_part(self, request: PlainRequest) -> StreamReader:
        """Pass on the beginning of a body."""
        self._missing = request.missing
        self.upload = upload = StreamReader(self, WRITE_HIGH, loop=self._loop)
        upload.feed_data(request.body)
        return upload

    def _take_more(self, data: bytes) -> bytes:
        """Pass on what is missing of a body; return what stands behind it."""
        upload = cast("StreamReader", self.upload)
        piece = data[: self._missing]
        upload.feed_data(piece)
        self._missing -= len(piece)
        if not self._missing:
            upload.feed_eof()
        return data[len(piece) :]

    def pause_reading(self) -> None:
        if self._plain is None:
            super().pause_reading()
        else:
            # There is no parser to be paused as well.
            self._reading_paused = True
            self._pause_transport_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this at the end of every body; there is seldom anything to resume.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def hear_out(self) -> None:
        """Go on reading, for the sake of the caller's kernel: what comes now is dropped."""
        if self.transport is not None and not self.transport.is_reading():
            self._resume_transport_reading()
