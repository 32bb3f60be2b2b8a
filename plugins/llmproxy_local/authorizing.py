"""Has a request wait until its model serves, and gives it that server's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from llmproxy.plugin import Reply, UpstreamRequest
    from llmproxy_local.server import LocalServer


class LocalOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model an upstream is."""

    model: str


class LocalAuthorizer:
    """Authorizes the requests to one model's server: asking for its key starts it."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put the server's key on a request, once it serves."""
        request.headers.set("Authorization", f"Bearer {await self._server.key()}")

    async def renew(self, refused: Reply) -> bool:
        """Try again where another server has come meanwhile, whose key is another."""
        return refused.status == 401 and self._server.has_changed()
