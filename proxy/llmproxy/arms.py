"""Which arm of an experiment a request is in, told by who assigned it to whoever counts or logs."""

from __future__ import annotations

from typing import Final, NamedTuple

from llmproxy.exchange import StateKey


class Arm(NamedTuple):
    """An arm that a request is assigned to; what answered may be another, where its own one failed.

    `experiment` is the pool whose places are the arms. `sticky` says whether the same caller is assigned to it again.
    """

    experiment: str
    name: str
    sticky: bool

    def __str__(self) -> str:
        """As a header tells it."""
        return f"{self.experiment}={self.name}"


ARM: Final[StateKey[Arm]] = StateKey("arm")
