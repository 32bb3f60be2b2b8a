"""Google's Gemini API."""

from llmproxy_gemini.plugin import GeminiPlugin

__all__ = ["GeminiPlugin"]
