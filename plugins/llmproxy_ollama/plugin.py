"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_ollama.config import OllamaConfig
from llmproxy_ollama.faces import OllamaClient, OllamaUpstream


class OllamaPlugin(Plugin[OllamaConfig]):
    """The dialect `ollama`: how callers speak it, how its servers do."""

    Config = OllamaConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer both faces."""
        registry.dialect("ollama", client=OllamaClient(), upstream=OllamaUpstream())
