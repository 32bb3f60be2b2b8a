"""The plugin's configuration."""

from __future__ import annotations

import math

import msgspec

from llmproxy.plugin import DEFAULT_SECONDS, ConfigError


class MetricsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How finely durations are told apart, and whether tokens are told by model."""

    buckets: tuple[float, ...] = DEFAULT_SECONDS
    per_model: bool = False

    def __post_init__(self) -> None:
        if not self.buckets or list(self.buckets) != sorted(set(self.buckets)):
            raise ConfigError("buckets", "should be seconds that rise, as in [0.1, 1, 10]")
        if self.buckets[0] <= 0 or not math.isfinite(self.buckets[-1]):
            raise ConfigError(
                "buckets", "should be more than 0 seconds and finite; the rest is counted anyway"
            )
