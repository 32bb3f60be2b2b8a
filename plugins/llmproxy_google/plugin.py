"""Registers the authorizer."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_google.authorizer import make_authorizer
from llmproxy_google.config import GoogleConfig, GoogleOptions


class GooglePlugin(Plugin[GoogleConfig]):
    """`auth: google`: requests with tokens of a service account, renewed before they end."""

    Config = GoogleConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the authorizer."""
        registry.authorizer("google", make_authorizer, GoogleOptions)
