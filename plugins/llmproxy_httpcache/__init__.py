"""An HTTP cache: RFC 9111 without sockets, and the plugin that serves by it."""

from llmproxy_httpcache.plugin import HttpCachePlugin

__all__ = ["HttpCachePlugin"]
