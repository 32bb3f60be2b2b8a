"""The plugin's configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section


class SheddingConfig(Section, frozen=True):
    """When a worker refuses new requests.

    `lag` is how long a request may wait for its turn on the event loop when others have waited for longer all through
    an `interval`; before that it may wait for the `interval`. `in_flight` bounds the requests that a worker has at once.
    `retry_after` is what the refused are told.
    """

    lag: Duration | None = 0.025
    interval: Duration = 0.1
    in_flight: Annotated[int, msgspec.Meta(ge=1)] | None = None
    retry_after: Duration = 1.0

    def __post_init__(self) -> None:
        if self.lag is None and self.in_flight is None:
            raise ConfigError("lag", "null, and in_flight is not set: nothing would ever be refused")
        if self.lag == 0:
            raise ConfigError("lag", "0s would refuse everything; null turns it off")
