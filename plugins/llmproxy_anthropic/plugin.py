"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_anthropic.bedrock import InvokeClient, InvokeUpstream
from llmproxy_anthropic.config import AnthropicConfig
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_anthropic.vertex import VertexClient, VertexUpstream


class AnthropicPlugin(Plugin[AnthropicConfig]):
    """The dialect `anthropic`: how callers speak it, how providers do, on other clouds too."""

    Config = AnthropicConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the faces."""
        registry.dialect("anthropic", client=AnthropicClient(), upstream=AnthropicUpstream())
        registry.dialect("anthropic-bedrock", client=InvokeClient(), upstream=InvokeUpstream())
        registry.dialect("anthropic-vertex", client=VertexClient(), upstream=VertexUpstream())
