"""Members of pools from a file that somebody else writes."""

from llmproxy_discovery_file.plugin import FileDiscoveryPlugin

__all__ = ["FileDiscoveryPlugin"]
