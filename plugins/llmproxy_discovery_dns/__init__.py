"""Members of pools from DNS: addresses, or SRV records."""

from llmproxy_discovery_dns.plugin import DnsDiscoveryPlugin

__all__ = ["DnsDiscoveryPlugin"]
