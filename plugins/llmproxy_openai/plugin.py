"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_openai.config import OpenAIConfig
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream, ResponsesUpstream


class OpenAIPlugin(Plugin[OpenAIConfig]):
    """The dialect `openai`: how callers speak it, how providers do; `openai-responses`: providers that have no chat."""

    Config = OpenAIConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer the faces."""
        registry.dialect("openai", client=OpenAIClient(), upstream=OpenAIUpstream())
        registry.dialect("openai-responses", upstream=ResponsesUpstream())
