"""Registers the authorizer."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_oauth2.authorizer import make_authorizer
from llmproxy_oauth2.config import OAuth2Config, OAuth2Options


class OAuth2Plugin(Plugin[OAuth2Config]):
    """`auth: oauth2`: requests with tokens that a client's credentials get, renewed before they end."""

    Config = OAuth2Config

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the authorizer."""
        registry.authorizer("oauth2", make_authorizer, OAuth2Options)
