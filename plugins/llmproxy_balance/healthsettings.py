"""How the health of places is judged: the section `health` of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section, StoreName

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class OutlierSettings(Section, frozen=True):
    """When a place is taken out because the others of its pool do better.

    It is an outlier when its share of good answers is `margin` below the pool's median, with `volume` answers within
    `health.window` at least; never more than `most` of a pool's places are out, so that the last one stays.
    """

    margin: Share = 0.2
    volume: Count = 20
    most: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5


class ProbeSettings(Section, frozen=True):
    """How an upstream is asked whether it is well: by GET, by one worker of a host, while no traffic proves it.

    `path` stands behind the upstream's base URL. An answer below 400 is good, unless `statuses` lists others. As many
    in a row as `unhealthy` take a place out, as many as `healthy` let one trial through.
    """

    path: str = "/"
    interval: Duration = 10.0
    timeout: Duration = 2.0
    unhealthy: Count = 3
    healthy: Count = 1
    statuses: tuple[Annotated[int, msgspec.Meta(ge=100, le=599)], ...] = ()

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or any(not "!" <= sign <= "~" for sign in self.path):
            raise ConfigError("path", 'not a path such as "/health"')
        for key in ("interval", "timeout"):
            if getattr(self, key) < 0.05:
                raise ConfigError(key, "shorter than 50ms")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`api: /health` is a path."""
        return {"path": tree} if isinstance(tree, str) else tree


class HealthSettings(Section, frozen=True):
    """When a place is left alone, for how long, and how it comes back.

    It opens (nothing is sent there) after `failures` in a row, or when `ratio` of at least `volume` attempts within
    `window` failed. It rests for `rest`, twice as long each time up to `longest_rest`, and for `rest` again once it
    was well for `steady`. Then `trials` requests at a time are let through, each for `trial_timeout` at most; the first
    good answer lets its share of the traffic climb to the whole within `climb`.

    A place that says when to come back (`Retry-After`) is left alone for so long, one whose quota is spent or that
    refuses the gateway's key for `park`, twice as long each time; neither for more than `longest_park`.

    `probes` asks upstreams actively. `share` names a store on a Redis or Valkey server by which the instances of
    several hosts tell each other what opened; the workers of one host always do.
    """

    failures: Count = 5
    ratio: Share = 0.5
    volume: Count = 20
    window: Duration = 10.0
    rest: Duration = 5.0
    longest_rest: Duration = 60.0
    steady: Duration = 60.0
    trials: Count = 1
    trial_timeout: Duration = 30.0
    climb: Duration = 10.0
    park: Duration = 60.0
    longest_park: Duration = 600.0
    outliers: OutlierSettings | None = OutlierSettings()
    probes: dict[str, ProbeSettings] = {}
    share: StoreName | None = None

    def __post_init__(self) -> None:
        for key in ("window", "rest", "trial_timeout", "park"):
            if getattr(self, key) <= 0:
                raise ConfigError(key, "0s; it takes some time")
        for key, longest in (("rest", "longest_rest"), ("park", "longest_park")):
            if getattr(self, longest) < getattr(self, key):
                raise ConfigError(longest, f"shorter than {key}")
