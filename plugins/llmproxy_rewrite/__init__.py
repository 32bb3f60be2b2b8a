"""Changes paths, queries, headers and JSON bodies, as the configuration says."""

from llmproxy_rewrite.plugin import RewritePlugin

__all__ = ["RewritePlugin"]
