"""Purges what caches hold when something changes: events, PURGE requests, writes."""

from llmproxy_invalidation.plugin import InvalidationPlugin

__all__ = ["InvalidationPlugin"]
