"""The plugin's configuration, and what a route may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from llmproxy.plugin import ConfigError, Duration, Section, Size

#: What becomes of a stream that its caller left: `llmproxy_ledger/README.md` says what each costs.
OnAbort = Literal["estimate", "drain", "ceiling"]
Dollars = Decimal | float | int


class PriceConfig(Section, frozen=True):
    """Dollars for a million tokens of each kind, and for a call; what is left out costs as its likest."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    request: Dollars = 0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not (0 <= value <= 10**6):
                raise ConfigError(name, f"{value} is no price in dollars for a million tokens")
        if self.request > 10:
            raise ConfigError("request", f"{self.request} dollars for a single call are none")


#: What an unknown model costs at most: as the dearest on the list of November 2026 does.
DEAREST = PriceConfig(input=150, output=600)


class LedgerConfig(Section, frozen=True):
    """Where the ledger is kept, what calls cost, and what is written down for those that did not end well."""

    directory: str
    prices: Mapping[str, PriceConfig] = msgspec.field(default_factory=dict)
    unknown_price: Literal["refuse", "ceiling", "zero"] = "zero"
    ceiling_price: PriceConfig = DEAREST
    max_output: int = 32_768
    on_abort: OnAbort = "estimate"
    drain_time: Duration = 60.0
    drain_size: Size = 8 << 20
    sync_every: Duration = 0.02
    sync_rows: int = 256
    post_every: Duration = 1.0
    segment: Size = 8 << 20

    def __post_init__(self) -> None:
        if not self.directory:
            raise ConfigError("directory", "empty; the ledger and its journals need a directory of their own")
        for name in ("max_output", "sync_rows", "segment", "sync_every", "post_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(name, "must be more than nothing")
        for key in self.prices:
            if not all(key.partition("/")[::2]):
                raise ConfigError(f"prices.{key}", "a price is of UPSTREAM/MODEL; MODEL may be *")


class LedgerRoute(Section, frozen=True):
    """What a route has otherwise."""

    on_abort: OnAbort | None = None
    drain_time: Duration | None = None
    drain_size: Size | None = None
