"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_bedrock.client import BedrockClient
from llmproxy_bedrock.config import BedrockConfig
from llmproxy_bedrock.upstream import BedrockUpstream


class BedrockPlugin(Plugin[BedrockConfig]):
    """The dialect `bedrock`: how callers speak it, how Amazon does."""

    Config = BedrockConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer both faces."""
        registry.dialect("bedrock", client=BedrockClient(), upstream=BedrockUpstream())
