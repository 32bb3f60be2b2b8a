"""The plugin's configuration."""

from __future__ import annotations

from llmproxy.plugin import ConfigError, DiscoverySettings, Duration, Secret, UpstreamTls


class EurekaConfig(DiscoverySettings, frozen=True, kw_only=True):
    """Which application of which servers, the first that answers being asked; `secure` takes the secure port.

    `interval` is how often changes are asked for; servers themselves answer from a cache that is 30 s old at most.
    """

    application: str
    servers: tuple[str, ...]
    interval: Duration = 30.0
    secure: bool = False
    use_host_names: bool = False
    username: str | None = None
    password: Secret | None = None
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        if not self.application:
            raise ConfigError("application", "empty; name the application whose instances are listed")
        if not self.servers:
            raise ConfigError("servers", 'empty; write their URLs, as in "http://eureka:8761/eureka"')
        if self.interval < 0.05:
            raise ConfigError("interval", "shorter than 50ms")
        if (self.username is None) != (self.password is None):
            raise ConfigError("username" if self.username is None else "password", "missing beside the other")
