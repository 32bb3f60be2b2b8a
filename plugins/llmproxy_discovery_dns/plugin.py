"""Members of pools from DNS: addresses, or SRV records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from llmproxy.plugin import Plugin, Runtime, discovering, hookimpl
from llmproxy_discovery_dns.config import DnsConfig
from llmproxy_discovery_dns.zone import Zone


class DnsDiscoveryPlugin(Plugin[DnsConfig]):
    """Lists what a name leads to in DNS."""

    Config = DnsConfig
    lists_members: ClassVar[bool] = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Keep the list as long as the gateway serves."""
        async with discovering(runtime, self.config, Zone(self.config)):
            yield
