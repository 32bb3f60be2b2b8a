"""The plugin's configuration."""

from __future__ import annotations

from typing import Literal

from llmproxy.plugin import ConfigError, DiscoverySettings, Duration, Secret, UpstreamTls


class ConsulConfig(DiscoverySettings, frozen=True, kw_only=True):
    """Which service of which agent; `tags` are all needed, `filter` is Consul's own language.

    `hold` is how long Consul may hold a question that has no news (10 minutes at most, says Consul).
    """

    service: str
    address: str = "http://127.0.0.1:8500"
    token: Secret | None = None
    datacenter: str | None = None
    namespace: str | None = None
    tags: tuple[str, ...] = ()
    filter: str | None = None
    consistency: Literal["default", "stale", "consistent"] = "default"
    hold: Duration = 55.0
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        if not self.service:
            raise ConfigError("service", "empty; name the service whose instances are listed")
        if not 1 <= self.hold <= 600:
            raise ConfigError("hold", "not between 1s and 10m")
