"""Registers the authorizer."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_entra.authorizer import make_authorizer
from llmproxy_entra.config import EntraConfig, EntraOptions


class EntraPlugin(Plugin[EntraConfig]):
    """`auth: entra`: a bearer token of Entra ID on each request."""

    Config = EntraConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the authorizer."""
        registry.authorizer("entra", make_authorizer, EntraOptions)
