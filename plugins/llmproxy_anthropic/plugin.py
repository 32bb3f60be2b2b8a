"""Registers the dialect."""

from __future__ import annotations

from llmproxy.plugin import Plugin, Registry, hookimpl
from llmproxy_anthropic.config import AnthropicConfig


class AnthropicPlugin(Plugin[AnthropicConfig]):
    """The dialect `anthropic`: how callers speak it, how providers do."""

    Config = AnthropicConfig

    @hookimpl
    def register(self, registry: Registry) -> None:
        """Offer both faces."""
