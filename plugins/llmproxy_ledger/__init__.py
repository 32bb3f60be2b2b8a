"""What every call came to, in one row each, whatever happens."""

from llmproxy_ledger.plugin import LedgerPlugin

__all__ = ["LedgerPlugin"]
