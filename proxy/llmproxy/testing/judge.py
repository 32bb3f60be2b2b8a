"""An upstream that counts all it receives and sends, and answers like an OpenAI-compatible server.

`python -m llmproxy.testing.judge --port N` runs it alone: GET /_judge/stats (with ?id= the records of one
request id) and /_judge/reset. A request tells it what to do in a header `x-judge: events=50; delay=0.02`, or
so in a member "x-judge" of its JSON body; `answers.Directions` lists the words. Answers go by how the path
ends: chat/completions (a stream if the body says so), embeddings, models; any other repeats what was asked.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, cast

import click
import httptools

from llmproxy.testing.answering import CONTROL, Answering, Request
from llmproxy.testing.loopback import Loopback
from llmproxy.testing.verdicts import Verdicts

_KEPT_BODY = 4 << 20  # of longer bodies the rest is counted and dropped


class Judge(Loopback, Verdicts):
    """The judge in the running loop: `async with Judge() as judge`; with `tls`, it serves https."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._wanted_port = port
        self._tls = tls
        self._protocols: set[_Receiving] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Receiving(self, self._protocols),
            "127.0.0.1",
            self._wanted_port,
            ssl=self._tls,
            backlog=4096,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for protocol in self._protocols:
            protocol.transport.abort()
        while self._protocols:
            await self.change()
        await self._server.wait_closed()


class _Receiving(asyncio.Protocol):
    """One connection; httptools calls the `on_` methods."""

    def __init__(self, verdicts: Verdicts, protocols: set[_Receiving]) -> None:
        self._verdicts = verdicts
        self._protocols = protocols
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._line = self._verdicts.open_line()
        self._answering = Answering(self._verdicts, self.transport)
        self._protocols.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answering.stop()
        current = self._answering.current or self._request
        self._protocols.discard(self)
        self._verdicts.close_line(self._line, current.served)

    def data_received(self, data: bytes) -> None:
        self._line.bytes_in += len(data)
        self._verdicts.totals.bytes_in += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._verdicts.totals.broken += 1
            self.transport.abort()

    def pause_writing(self) -> None:
        self._answering.hold()

    def resume_writing(self) -> None:
        self._answering.release()

    def on_url(self, url: bytes) -> None:
        self._request.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        request = self._request
        request.method = self._parser.get_method().decode()
        if not request.target.startswith(CONTROL):
            request.served = self._verdicts.begin(
                request.request_id, self._line, request.method, request.target
            )

    def on_body(self, data: bytes) -> None:
        request = self._request
        if request.served:
            request.served.bytes_in += len(data)
        if len(request.body) < _KEPT_BODY:
            request.body += data

    def on_message_complete(self) -> None:
        request, self._request = self._request, Request()
        if request.served:
            request.served.uploaded = True
        self._answering.add(request)


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop  # noqa: PLC0415 - Linux only, and only when the judge runs alone
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(port: int) -> None:
    async with Judge(port=port) as judge:
        click.echo(f"judge on {judge.url}")
        await asyncio.Event().wait()


@click.command()
@click.option("--port", type=int, default=0, help="Port on 127.0.0.1; 0 takes a free one.")
def main(port: int) -> None:
    """Run the judge until interrupted."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _run(_serve(port))


if __name__ == "__main__":
    main()
