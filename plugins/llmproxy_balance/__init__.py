"""Walks pools: which place answers a request, and which one does when that failed."""

from llmproxy_balance.plugin import BalancePlugin

__all__ = ["BalancePlugin"]
