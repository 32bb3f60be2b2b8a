"""Members of pools from Consul: the passing instances of a service."""

from llmproxy_discovery_consul.plugin import ConsulDiscoveryPlugin

__all__ = ["ConsulDiscoveryPlugin"]
