"""Which addresses may ask: networks that are allowed and denied."""

from llmproxy_ipfilter.plugin import IpFilterPlugin

__all__ = ["IpFilterPlugin"]
