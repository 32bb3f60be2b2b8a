"""What a process keeps of the ledger, whatever generation serves: its journal, and the thread that posts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from llmproxy.plugin import BlockingPostgres, CounterChild, Metrics, Postgres, PostgresAway, StartError
from llmproxy_ledger.config import LedgerConfig
from llmproxy_ledger.entries import WriteBooks
from llmproxy_ledger.journal import Journal
from llmproxy_ledger.posting import Poster, Posting

#: SQLite that may spoil a database which several processes write (fixed in 3.51.3).
_OLDEST = (3, 51, 3)


class Keeping(NamedTuple):
    """The ledger of this process."""

    journal: Journal
    posting: Posting
    poster: Poster


class Meters:
    """What the ledger counts of itself. The threads of the ledger count by way of the loop."""

    def __init__(self, metrics: Metrics, log: Callable[..., None]) -> None:
        self.rows = metrics.counter(
            "llmproxy_ledger_rows_total", "Rows of the ledger by their state.", ("state",)
        )
        self.unpriced = metrics.counter(
            "llmproxy_ledger_unpriced_total", "Attempts whose price is not known.", ("upstream",)
        )
        self._unposted = metrics.gauge(
            "llmproxy_ledger_unposted_rows", "Rows of living workers that the database does not have yet."
        ).labels()
        self._held = metrics.gauge(
            "llmproxy_ledger_journal_bytes", "The size of all journals of this host.", mode="max"
        ).labels()
        self.posted = metrics.counter("llmproxy_ledger_posted_total", "Rows that the database has.").labels()
        self._faults = metrics.counter(
            "llmproxy_ledger_faults_total",
            "Failures to write the journal or the database, tried again later.",
        ).labels()
        self._lost = metrics.counter(
            "llmproxy_ledger_lost_calls_total", "Calls of workers that died under them."
        ).labels()
        self._dropped = metrics.counter(
            "llmproxy_ledger_dropped_total",
            "Rows that no journal could take; what their calls may have cost at most stands for them in the end.",
        ).labels()
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._unpriced: set[str] = set()
        self._of_state: dict[str, CounterChild] = {}
        self._full = False

    def first_unpriced(self, upstream: str) -> bool:
        """Whether this is the first call there whose price is not known."""
        known = upstream in self._unpriced
        self._unpriced.add(upstream)
        return not known

    def wrote(self, state: str) -> None:
        """Count a row that was written to the journal."""
        rows = self._of_state.get(state)
        if rows is None:
            rows = self._of_state[state] = self.rows.labels(state)
        rows.inc()
        self._unposted.inc()

    def faulty(self, fault: Exception) -> None:
        """Tell of a failure; that a database is away is told once, by itself."""
        self._count(self._faults.inc)
        if not isinstance(fault, PostgresAway):
            self._log("ledger_fault", fault=type(fault).__name__, reason=str(fault))

    def dropped(self) -> None:
        """Count a row that could not be written, nor wait until it can."""
        self._count(self._dropped.inc)

    def held(self, size: int, full: bool) -> None:
        """Tell how much journals hold, and when that begins or ends to be too much."""
        self._count(self._held.set, size)
        if full != self._full:
            self._full = full
            self._log("ledger_journals_full" if full else "ledger_journals_drained", bytes=size)

    def count_posted(self, rows: int) -> None:
        """Count rows that are safe."""
        if rows:
            self._count(self.posted.inc, rows)
            self._count(self._unposted.dec, rows)

    def count_lost(self, calls: int) -> None:
        """Count calls that were taken over from dead workers."""
        if calls:
            self._count(self._lost.inc, calls)
            self._log("ledger_calls_lost", calls=calls)

    def _count(self, *how: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(*how)  # type: ignore[arg-type]


@asynccontextmanager
async def keep(
    config: LedgerConfig, meters: Meters, postgres: Callable[[], Postgres] | None = None
) -> AsyncIterator[Keeping]:
    """Open this process's part of the ledger; leave it with all that was written in the database.

    `postgres` is where that is, if it is not a file.
    """
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < _OLDEST:
        raise StartError("the ledger needs SQLite 3.51.3 or newer; install a newer apsw")
    directory = Path(config.directory)
    try:
        journal = await asyncio.to_thread(_journal, directory, config, meters)
    except OSError as fault:
        raise StartError(
            f"the ledger's directory {config.directory!r} cannot be used: {fault.strerror}"
        ) from fault
    books = None if postgres is None else _shared_books(config, postgres())
    posting = Posting(directory, meters.faulty, books)
    poster = Poster(
        journal,
        posting,
        config.post_every,
        meters.count_posted,
        meters.faulty,
        meters.held,
        config.journal_limit,
    )
    try:
        yield Keeping(journal, posting, poster)
    finally:
        await asyncio.to_thread(_close, journal, posting, poster, meters)


def _shared_books(config: LedgerConfig, postgres: Postgres) -> Callable[[], WriteBooks]:
    from llmproxy_ledger.postgresbooks import PostgresBooks  # noqa: PLC0415  # most ledgers are in a file

    instance = "" if config.database is None else config.database.instance
    return lambda: PostgresBooks(BlockingPostgres(postgres), instance)


def _journal(directory: Path, config: LedgerConfig, meters: Meters) -> Journal:
    return Journal(
        directory,
        segment=config.segment,
        every=config.sync_every,
        rows=config.sync_rows,
        faulty=meters.faulty,
        dropped=meters.dropped,
    )


def _close(journal: Journal, posting: Posting, poster: Poster, meters: Meters) -> None:
    poster.close()
    journal.close()
    done = False
    try:
        rows, lost = posting.finish(journal)
        meters.count_posted(rows)
        meters.count_lost(lost)
        done = True
    except Exception as fault:
        meters.faulty(fault)  # whoever comes next takes the journal over
    posting.close()
    journal.leave(done=done)
