"""The plugin's configuration; in a pod, a service's name is enough."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal

from llmproxy.plugin import ConfigError, DiscoverySettings, UpstreamTls

#: Where a pod finds what it needs to ask the API server.
_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class KubernetesConfig(DiscoverySettings, frozen=True, kw_only=True):
    """Which service; `port` is a port's name or number in its endpoints, needed where they have several.

    `include` says who is a member: endpoints that are `ready`, or all that are `serving`, those about to end included.
    `family` chooses among the addresses of a service that has both kinds, each in slices of its own. `namespace` and
    `api` are the pod's own, if left out.
    """

    service: str
    namespace: str | None = None
    port: str | int | None = None
    include: Literal["ready", "serving"] = "ready"
    family: Literal["any", "ipv4", "ipv6"] = "any"
    api: str | None = None
    token_file: str | None = f"{_ACCOUNT}/token"
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.service):
            raise ConfigError("service", "not the name of a service")
        if self.namespace is not None and not _NAME.fullmatch(self.namespace):
            raise ConfigError("namespace", "not the name of a namespace")

    def api_url(self) -> str:
        """Return where the API server is: as configured, or as every pod is told."""
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")
        return self.api or f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def api_tls(self) -> UpstreamTls | None:
        """Return whom to trust there: as configured, or the cluster's own authority."""
        authority = f"{_ACCOUNT}/ca.crt"
        return self.tls or (UpstreamTls(ca=authority) if Path(authority).exists() else None)

    def own_namespace(self) -> str:
        """Return the configured namespace, or that of the pod."""
        try:
            return self.namespace or Path(f"{_ACCOUNT}/namespace").read_text(encoding="utf-8").strip()
        except OSError:
            return "default"
