"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_openai.config import OpenAIConfig
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream


class OpenAIPlugin(Plugin[OpenAIConfig]):
    """The dialect `openai`: how callers speak it, how providers do."""

    Config = OpenAIConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer both faces."""
        registry.dialect("openai", client=OpenAIClient(), upstream=OpenAIUpstream())
