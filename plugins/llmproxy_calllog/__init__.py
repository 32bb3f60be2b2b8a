"""One searchable record a call."""

from llmproxy_calllog.plugin import CallLogPlugin

__all__ = ["CallLogPlugin"]
