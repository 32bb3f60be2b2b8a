"""Limits of requests, tokens, money and calls in flight, kept exactly by all workers."""

from llmproxy_quota.plugin import QuotaPlugin

__all__ = ["QuotaPlugin"]
