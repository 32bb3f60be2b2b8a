"""Members of pools from Eureka: the instances of an application that are up."""

from llmproxy_discovery_eureka.plugin import EurekaDiscoveryPlugin

__all__ = ["EurekaDiscoveryPlugin"]
