"""Members of pools from a file that somebody else writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from llmproxy.plugin import Plugin, Runtime, discovering, hookimpl
from llmproxy_discovery_file.config import FileConfig
from llmproxy_discovery_file.listing import ListingFile


class FileDiscoveryPlugin(Plugin[FileConfig]):
    """Lists what stands in a file."""

    Config = FileConfig
    lists_members: ClassVar[bool] = True

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        """Keep the list as long as the gateway serves."""
        async with discovering(runtime, self.config, ListingFile(self.config)):
            yield
