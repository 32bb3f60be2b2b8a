"""What every cache is configured with, whatever it keeps."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmproxy.errors import ConfigError
from llmproxy.stores.names import StoreName
from llmproxy.units import Duration, format_duration

#: RFC 9211 §2: a cache's name is a token of structured fields (RFC 9651 §3.3.4).
_NAME: Final = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z-]*")

#: Seconds for which a start may wait for its caches: a worker that is not ready after a minute is replaced.
_LONGEST_START: Final = 45.0


class CacheSetup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The store that answers are kept in, and the name that Cache-Status gives a cache. A cache's `Config` extends it.

    `show_key` puts the name of each answer's key into Cache-Status. The requests of the file `warm_on_start` are made
    before the gateway says that it is ready.
    """

    store: StoreName
    name: str = "llmproxy"
    show_key: bool = False
    warm_on_start: str = ""
    warm_within: Duration = 30.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError("name", f"{self.name!r} is no token that begins with a letter (RFC 9211 §2)")
        if not 0 < self.warm_within <= _LONGEST_START:
            raise ConfigError("warm_within", f"must be a time up to {format_duration(_LONGEST_START)}")
