"""Unsafe requests that may be repeated: the first result is kept by Idempotency-Key and given again."""

from llmproxy_idempotency.plugin import IdempotencyPlugin

__all__ = ["IdempotencyPlugin"]
