"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_anthropic.config import AnthropicConfig
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream


class AnthropicPlugin(Plugin[AnthropicConfig]):
    """The dialect `anthropic`: how callers speak it, how providers do."""

    Config = AnthropicConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the faces."""
        registry.dialect("anthropic", client=AnthropicClient(), upstream=AnthropicUpstream())
