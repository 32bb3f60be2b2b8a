"""Ollama's own API."""

from llmproxy_ollama.plugin import OllamaPlugin

__all__ = ["OllamaPlugin"]
