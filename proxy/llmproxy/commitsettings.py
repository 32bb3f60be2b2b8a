"""Late commit: the section of the configuration that bounds how long a stream's head is held."""

from __future__ import annotations

from typing import Final

from llmproxy.errors import ConfigError
from llmproxy.sections import Section
from llmproxy.units import Duration, Size
from llmproxy.upstreamsettings import Positive

#: Seconds, where nothing is said: balancers and callers' proxies cut a line that is silent for a minute.
WAIT: Final = 30.0
#: Bytes at most: what is held is held in memory, for each stream that begins.
_MOST: Final = 8 * 2**20


class CommitConfig(Section, frozen=True):
    """How long an answer's head waits for the first output, so that a failure until then costs the caller nothing.

    The head leaves, and the attempt with it, when `wait` has passed since the head came, or when `bytes` or `events`
    without output have come. A Responses stream repeats the request's instructions and tools twice before it says
    anything. Without a `wait` it is 30 seconds, or as long as the attempt may take where the route sends keep-alives.
    `off` holds nothing.
    """

    wait: Duration | None = None
    bytes: Size = 256 * 2**10
    events: Positive = 64

    def __post_init__(self) -> None:
        if not 0 < self.bytes <= _MOST:
            raise ConfigError("bytes", "not between 1B and 8MiB")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`off` (which YAML reads as false) holds nothing; `10s` is the wait."""
        if tree is False or tree == "off":
            return {"wait": "0s"}
        return {"wait": tree} if isinstance(tree, str | int | float) else tree

    def seconds(self, keepalive: float | None) -> float:
        """Return the longest wait, which may be endless: the attempt's own timeouts bound it then."""
        if self.wait is not None:
            return self.wait
        return WAIT if keepalive is None else float("inf")
