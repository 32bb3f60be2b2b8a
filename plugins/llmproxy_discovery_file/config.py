"""The plugin's configuration."""

from __future__ import annotations

from llmproxy.plugin import ConfigError, DiscoverySettings, Duration


class FileConfig(DiscoverySettings, frozen=True, kw_only=True):
    """Which file lists the members, and how often it is looked at."""

    path: str
    interval: Duration = 1.0

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("path", "empty; name the file that lists the members")
        if self.interval < 0.05:
            raise ConfigError("interval", "shorter than 50ms")
