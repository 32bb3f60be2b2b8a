"""Refuses requests at the door while the gateway itself has more to do than it can."""

from llmproxy_shedding.plugin import SheddingPlugin

__all__ = ["SheddingPlugin"]
