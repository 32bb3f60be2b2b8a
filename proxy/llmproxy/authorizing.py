"""Upstreams whose requests are authorized one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body
from llmproxy.errors import GatewayError, UpstreamError, UpstreamTimeout
from llmproxy.messages import Reply, UpstreamRequest
from llmproxy.upstream import Upstream

if TYPE_CHECKING:
    from llmproxy.authorizers import Authorizer
    from llmproxy.replyreader import Hearer
    from llmproxy.upstreamsettings import Timeouts

#: What a provider answers to credentials that it does not take.
_REFUSED: Final = frozenset({401, 403})


class AuthorizedUpstream(Upstream):
    """An upstream each of whose requests is authorized as it leaves; make it like any other, then set `authorizer`."""

    authorizer: Authorizer

    async def authorize(self, request: UpstreamRequest, timeouts: Timeouts, expires: float) -> None:
        """Have a request authorized, within the time that connecting may take.

        Raises:
            UpstreamError: there are no credentials, or none in time; nothing was sent.
        """
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + timeouts.connect, expires)):
                await self.authorizer.authorize(self.url_of(request), request)
        except TimeoutError:
            raise UpstreamTimeout("connect", timeouts.connect, sent=False) from None
        except GatewayError:
            raise
        except Exception as fault:  # an authorizer runs somebody's library, which may raise anything
            message = "The gateway has no credentials for the upstream at the moment."
            raise UpstreamError("upstream_unauthorized", message, phase="connect", sent=False) from fault

    async def send(
        self, request: UpstreamRequest, timeouts: Timeouts, expires: float, hearer: Hearer | None = None
    ) -> Reply:
        """Send one request, and once more with other credentials where the first are refused and there are others."""
        await self.authorize(request, timeouts, expires)
        once = isinstance(request.body, Body)
        reply = await super().send(request, timeouts, expires, hearer)
        if reply.status not in _REFUSED or once or not await self.authorizer.renew(reply):
            return reply
        if isinstance(reply.body, Body):
            reply.body.abandon()
        await self.authorize(request, timeouts, expires)
        return await super().send(request, timeouts, expires, hearer)
