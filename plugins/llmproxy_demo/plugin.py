"""Registers the upstream dialect `demo`."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_demo.config import DemoConfig
from llmproxy_demo.upstream import DemoUpstream


class DemoPlugin(Plugin[DemoConfig]):
    """The model `echo`, behind any upstream whose dialect is `demo`."""

    Config = DemoConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the upstream face."""
        registry.dialect("demo", upstream=DemoUpstream())
