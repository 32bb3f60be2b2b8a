"""Registers the dialect that the configuration declares."""

from __future__ import annotations

from importlib.metadata import entry_points

from llmproxy.plugin import ConfigError, Plugin, Registry, hookimpl
from llmproxy_declared.config import DeclaredConfig
from llmproxy_declared.upstream import DeclaredUpstream


class DeclaredPlugin(Plugin[DeclaredConfig]):
    """One dialect that exists by its configuration alone; upstreams name it as this instance is named."""

    Config = DeclaredConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the upstream face.

        Raises:
            ConfigError: an installed dialect is called so, whose callers would find nobody.
        """
        if entry_points(group="llmproxy.dialects", name=self.name):
            raise ConfigError(f"plugins.{self.name}", "is the name of an installed dialect; take another one")
        registry.dialect(self.name, upstream=DeclaredUpstream(self.name, self.config))
