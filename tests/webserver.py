"""Web servers on a free port, for whatever a test's gateway talks to."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(
    what: Handler | web.Application, *, tls: ssl.SSLContext | None = None, cancelling: bool = False
) -> AsyncIterator[str]:
    """Serve an application, or one handler at every path, and give its address, without a slash at the end.

    With `cancelling`, a handler is cancelled when its caller leaves.
    """
    app = what
    if not isinstance(app, web.Application):
        app = web.Application(client_max_size=2**27)
        app.router.add_route("*", "/{path:.*}", what)  # type: ignore[arg-type]  # no application, so a handler
    runner = web.AppRunner(app, access_log=None, handler_cancellation=cancelling, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class WebServer:
    """A server that answers by its method `handle` while it is held (`async with`), at `url`."""

    url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def application(self) -> Handler | web.Application:
        """Return what is served, where that is not `handle` alone."""
        return self.handle

    async def __aenter__(self) -> Self:
        self._open = AsyncExitStack()
        self.url = await self._open.enter_async_context(served(self.application(), cancelling=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()
