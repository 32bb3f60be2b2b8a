"""What the kit's servers have in common: a free port of this host, and connections that end with the server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from llmproxy.tasks import spawn


class Loopback:
    """A server on loopback; whoever is one sets `_server` when it is entered."""

    _server: asyncio.Server
    _tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        super().__init__()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    def _serve_one(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Serve one connection in a task that ends with the server."""
        task = spawn(work, name=name)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
