"""Any JSON endpoint as a dialect of its own, declared in the configuration."""

from llmproxy_declared.plugin import DeclaredPlugin

__all__ = ["DeclaredPlugin"]
