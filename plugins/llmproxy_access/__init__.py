"""Who may use the gateway: API keys from the configuration."""

from llmproxy_access.plugin import AccessPlugin

__all__ = ["AccessPlugin"]
