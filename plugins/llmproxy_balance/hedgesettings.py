"""When a second attempt is made beside a slow one: the section of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from llmproxy.plugin import Duration, Section

if TYPE_CHECKING:
    from llmproxy.plugin import Place


class HedgeSettings(Section, frozen=True):
    """When a second attempt is made: `after` so long, and `times` the place's usual time, if that is longer.

    `most` bounds the attempts beside the first one.
    """

    after: Duration = 2.0
    times: Annotated[float, msgspec.Meta(ge=1, le=1000)] | None = None
    most: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`2s` is the time after which."""
        return tree if isinstance(tree, dict) else {"after": tree}

    def wait(self, place: Place) -> float:
        """Return the seconds that a place has to itself."""
        usual = place.vitals.latency
        if self.times is None or usual is None:
            return self.after
        return max(self.after, self.times * usual)
