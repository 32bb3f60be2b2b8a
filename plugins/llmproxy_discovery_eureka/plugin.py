"""Members of pools from Eureka: the instances of an application that are up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from llmproxy.plugin import Plugin, Runtime, discovering, hookimpl
from llmproxy_discovery_eureka.config import EurekaConfig
from llmproxy_discovery_eureka.polling import Application


class EurekaDiscoveryPlugin(Plugin[EurekaConfig]):
    """Lists the instances of one application that are up."""

    Config = EurekaConfig
    lists_members: ClassVar[bool] = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Keep the list as long as the gateway serves."""
        async with discovering(runtime, self.config, Application(self.config)):
            yield
