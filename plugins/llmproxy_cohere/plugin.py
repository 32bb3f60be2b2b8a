"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_cohere.client import CohereClient
from llmproxy_cohere.config import CohereConfig
from llmproxy_cohere.upstream import CohereUpstream


class CoherePlugin(Plugin[CohereConfig]):
    """The dialect `cohere`: how callers speak it, how providers do."""

    Config = CohereConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the faces."""
        registry.dialect("cohere", client=CohereClient(), upstream=CohereUpstream())
