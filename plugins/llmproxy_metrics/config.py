"""The plugin's configuration."""

from __future__ import annotations

import math

import msgspec

from llmproxy.plugin import ConfigError


class MetricsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How finely durations are told apart, and whether tokens are told by model."""

    buckets: tuple[float, ...] = (
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2.5,
        5,
        10,
        30,
        60,
        120,
        300,
    )
    per_model: bool = False

    def __post_init__(self) -> None:
        if not self.buckets or list(self.buckets) != sorted(set(self.buckets)):
            raise ConfigError("buckets", "should be seconds that rise, as in [0.1, 1, 10]")
        if self.buckets[0] <= 0 or not math.isfinite(self.buckets[-1]):
            raise ConfigError(
                "buckets", "should be more than 0 seconds and finite; the rest is counted anyway"
            )
