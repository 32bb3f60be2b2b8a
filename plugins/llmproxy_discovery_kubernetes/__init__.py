"""Members of pools from Kubernetes: the endpoints of a service."""

from llmproxy_discovery_kubernetes.plugin import KubernetesDiscoveryPlugin

__all__ = ["KubernetesDiscoveryPlugin"]
