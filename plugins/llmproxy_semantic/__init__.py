"""Questions that mean the same are answered from the cache: by their texts in one form."""

from llmproxy_semantic.plugin import SemanticPlugin

__all__ = ["SemanticPlugin"]
