"""Anthropic's Messages API."""

from llmproxy_anthropic.plugin import AnthropicPlugin

__all__ = ["AnthropicPlugin"]
