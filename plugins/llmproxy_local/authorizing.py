"""Has a request wait until its model serves, and gives it that server's key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from llmproxy.plugin import StartError

if TYPE_CHECKING:
    from llmproxy.plugin import Reply, UpstreamRequest
    from llmproxy_local.server import LocalServer


class LocalOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model an upstream is."""

    model: str = "smollm2"


class LocalAuthorizer:
    """Authorizes the requests to one model's server: asking for its key starts it.

    `servers` are there once the plugin has started, and not where a configuration is but looked at.
    """

    def __init__(self, model: str, servers: Mapping[str, LocalServer]) -> None:
        self._model = model
        self._servers = servers

    @property
    def socket(self) -> str | None:
        """Where the model's server listens."""
        server = self._servers.get(self._model)
        return None if server is None else server.socket

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put the server's key on a request, once it serves."""
        request.headers.set("Authorization", f"Bearer {await self._server().key()}")

    async def renew(self, refused: Reply) -> bool:
        """Try again where another server has come meanwhile, whose key is another."""
        return refused.status == 401 and self._server().has_changed()

    def _server(self) -> LocalServer:
        try:
            return self._servers[self._model]
        except KeyError:
            raise StartError(f"the local model {self._model!r} has no server") from None
