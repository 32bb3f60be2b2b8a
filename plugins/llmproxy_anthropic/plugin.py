"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_anthropic.clouds import bedrock_faces, vertex_faces
from llmproxy_anthropic.config import AnthropicConfig
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream


class AnthropicPlugin(Plugin[AnthropicConfig]):
    """The dialect `anthropic`: how callers speak it, how providers do, on other clouds too."""

    Config = AnthropicConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the faces."""
        registry.dialect("anthropic", client=AnthropicClient(), upstream=AnthropicUpstream())
        for name, (client, upstream) in (
            ("anthropic-bedrock", bedrock_faces()),
            ("anthropic-vertex", vertex_faces()),
        ):
            registry.dialect(name, client=client, upstream=upstream)
