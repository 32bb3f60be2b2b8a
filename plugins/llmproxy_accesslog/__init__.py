"""One log line an exchange."""

from llmproxy_accesslog.plugin import AccessLogPlugin

__all__ = ["AccessLogPlugin"]
