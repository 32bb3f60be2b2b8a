"""Cohere's API: chat, embeddings and ranking."""

from llmproxy_cohere.plugin import CoherePlugin

__all__ = ["CoherePlugin"]
