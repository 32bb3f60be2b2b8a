"""The plugin's configuration, and what a route may say otherwise."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, PostgresUrl, Section, Size

Bodies = Literal["off", "redacted", "full"]

#: From what shows least to what shows most.
_STRICTEST_FIRST: Final[tuple[Bodies, ...]] = ("off", "redacted", "full")


class CallLogConfig(Section, frozen=True):
    """Where records go, what is kept of bodies, and for how long.

    `path` is the file that records go to, `url` the Postgres. `tenants` says by tenant what is kept of bodies,
    `body_limit` how much of each. `queue` records and `queue_size` bytes of bodies wait to be written at most; what does
    not fit is dropped and counted. Records leave when they are older than `keep`, or when all of them take more than
    `max_size`. A file of JSON lines is put aside when it is larger than `rotate_at`.
    """

    to: Literal["sqlite", "postgres", "jsonl", "stdout"] = "sqlite"
    path: str = ""
    url: PostgresUrl | None = None
    bodies: Bodies = "off"
    tenants: dict[str, Bodies] = {}  # noqa: RUF012  # a struct copies its defaults
    body_limit: Annotated[Size, msgspec.Meta(ge=256, le=8 * 2**20)] = 16 * 2**10
    search: bool = True
    queue: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    queue_size: Size = 32 * 2**20
    keep: Duration | None = 30 * 86_400.0
    max_size: Size | None = 2**30
    rotate_at: Annotated[Size, msgspec.Meta(ge=4096)] = 64 * 2**20

    def __post_init__(self) -> None:
        if self.to == "postgres" and self.url is None:
            raise ConfigError("url", "says which Postgres keeps the records; 'to: postgres' needs it")
        if self.to != "postgres" and self.url is not None:
            raise ConfigError("url", f"of no use with 'to: {self.to}'; write 'to: postgres', or remove it")
        if self.to in {"stdout", "postgres"} and self.path:
            raise ConfigError("path", f"of no use with 'to: {self.to}'; remove it")
        if self.to not in {"stdout", "postgres"} and not self.path:
            raise ConfigError("path", f"says where to keep the records; 'to: {self.to}' needs it")
        if self.keep == 0:
            raise ConfigError("keep", "0s would keep nothing; null keeps records whatever their age")


class CallLogRoute(Section, frozen=True):
    """What is kept of bodies on this route; null leaves it to the plugin."""

    bodies: Bodies | None = None


def strictest(*said: Bodies | None) -> Bodies | None:
    """Return what shows least of what was said, or None if nobody said anything."""
    words = {each for each in said if each is not None}
    return next((each for each in _STRICTEST_FIRST if each in words), None)
