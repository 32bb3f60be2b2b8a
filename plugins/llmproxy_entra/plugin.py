"""Registers the authorizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import Plugin, Registry, UpstreamConfig, hookimpl
from llmproxy_entra.config import EntraConfig, EntraOptions

if TYPE_CHECKING:
    from llmproxy_entra.authorizer import EntraAuthorizer


class EntraPlugin(Plugin[EntraConfig]):
    """`auth: entra`: a bearer token of Entra ID on each request."""

    Config = EntraConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the authorizer."""
        registry.authorizer("entra", _make, EntraOptions)


def _make(config: UpstreamConfig, options: EntraOptions) -> EntraAuthorizer:
    from llmproxy_entra.authorizer import make_authorizer  # noqa: PLC0415  # few gateways ask for tokens

    return make_authorizer(config, options)
