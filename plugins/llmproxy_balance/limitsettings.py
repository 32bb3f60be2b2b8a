"""How long requests may wait for a place that is full: the section `queue` of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section


class QueueSettings(Section, frozen=True):
    """The line before the places of a pool that have a `limit`, in each worker.

    `length` requests wait at most, each for `wait` at most. Once one of them has stood for `target` all through an
    `interval`, there is more to do than can be done: from then on the newest goes first, and nobody waits longer than
    `target`, until a place is free again for who just came.
    """

    length: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    wait: Duration = 5.0
    target: Duration = 0.2
    interval: Duration = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.target <= self.wait:
            raise ConfigError("target", "must be more than 0s and not more than wait")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """A number is the length; 0 has nobody wait."""
        return {"length": tree} if type(tree) is int else tree
