"""Keeps answers of language models, for the routes that say so."""

from llmproxy_cache.plugin import CachePlugin

__all__ = ["CachePlugin"]
