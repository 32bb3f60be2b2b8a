"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.config import GeminiConfig
from llmproxy_gemini.upstream import GeminiUpstream
from llmproxy_gemini.vertex import VertexUpstream


class GeminiPlugin(Plugin[GeminiConfig]):
    """The dialect `gemini`: how callers speak it, how providers do."""

    Config = GeminiConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer both faces."""
        registry.dialect("gemini", client=GeminiClient(), upstream=GeminiUpstream())
        registry.dialect("gemini-vertex", upstream=VertexUpstream())
