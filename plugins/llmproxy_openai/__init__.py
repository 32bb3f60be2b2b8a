"""OpenAI's API, and every server that speaks it."""

from llmproxy_openai.plugin import OpenAIPlugin

__all__ = ["OpenAIPlugin"]
