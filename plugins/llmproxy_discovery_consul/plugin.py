"""Members of pools from Consul: the passing instances of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from llmproxy.plugin import Plugin, Runtime, discovering, hookimpl
from llmproxy_discovery_consul.config import ConsulConfig
from llmproxy_discovery_consul.health import PassingInstances


class ConsulDiscoveryPlugin(Plugin[ConsulConfig]):
    """Lists the passing instances of one service."""

    Config = ConsulConfig
    lists_members: ClassVar[bool] = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Keep the list as long as the gateway serves."""
        async with discovering(runtime, self.config, PassingInstances(self.config)):
            yield
