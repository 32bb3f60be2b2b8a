"""Members of pools from Kubernetes: the endpoints of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from llmproxy.plugin import Plugin, Runtime, discovering, hookimpl
from llmproxy_discovery_kubernetes.config import KubernetesConfig
from llmproxy_discovery_kubernetes.watching import ServiceWatch


class KubernetesDiscoveryPlugin(Plugin[KubernetesConfig]):
    """Lists the endpoints of one service."""

    Config = KubernetesConfig
    lists_members: ClassVar[bool] = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Keep the list as long as the gateway serves."""
        async with discovering(runtime, self.config, ServiceWatch(self.config)):
            yield
