"""The plugin's configuration, and what a route may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from llmproxy.plugin import ConfigError, Duration, PostgresUrl, PriceConfig, Section, Size

#: Where tables stand in a Postgres whose URL does not say.
SCHEMA: Final = "llmproxy_ledger"
#: What becomes of a stream that its caller left: `llmproxy_ledger/README.md` says what each costs.
OnAbort = Literal["estimate", "drain", "ceiling"]
#: What an unknown model costs at most: as the dearest on the list of November 2026 does.
DEAREST = PriceConfig(input=150, output=600)


class DatabaseConfig(Section, frozen=True):
    """The database that several gateways share; rows name the one that they are of, by its host's name if not told."""

    url: PostgresUrl
    instance: str = ""


class LedgerConfig(Section, frozen=True):
    """Where the ledger is kept, what calls cost, and what is written down for those that did not end well."""

    directory: str
    database: DatabaseConfig | None = None
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
    journal_limit: Size | None = None

    elsewhere: ClassVar[Mapping[str, str]] = {"prices": "it is a section of its own, beside `plugins`"}

    @property
    def keeping(self) -> tuple[object, ...]:
        """How journals are kept: generations that say the same share one."""
        return self.sync_every, self.sync_rows, self.post_every, self.segment, self.journal_limit

    def __post_init__(self) -> None:
        if not self.directory:
            raise ConfigError("directory", "empty; the ledger and its journals need a directory of their own")
        for name in ("max_output", "sync_rows", "segment", "sync_every", "post_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(name, "must be more than nothing")
        if self.journal_limit is not None and self.journal_limit < 2 * self.segment:
            raise ConfigError("journal_limit", "less than two segments, which are needed to write at all")


class LedgerRoute(Section, frozen=True):
    """What a route has otherwise."""

    on_abort: OnAbort | None = None
    drain_time: Duration | None = None
    drain_size: Size | None = None
