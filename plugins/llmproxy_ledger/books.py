"""The ledger's database: one row an entry, whatever is posted how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from llmproxy.plugin import Rates, Tiers
from llmproxy_ledger.entries import ADDED, COLUMNS, NUMBERS, Dialect, batch, columns, lost
from llmproxy_ledger.records import PriceList, Record

FILE: Final = "ledger.db"
_VERSION: Final = 1

#: How SQLite says it. An instance has a file of its own.
DIALECT: Final = Dialect(
    day="date(at, 'unixepoch')",
    instance="''",
    serial="substr(id, 1, instr(id, '/') - 1)",
    number="CAST(substr(id, instr(id, '/') + 1) AS INTEGER)",
    calls="""SELECT entry, json_extract(record, '$[2].exchange') AS exchange, json_extract(record, '$[2].id') AS id
        FROM intents""",
)


def _column(name: str) -> str:
    kind = "INTEGER" if name in NUMBERS else "REAL" if name == "at" else "TEXT"
    return f'"{name}" {kind} ' + ("PRIMARY KEY" if name == "entry" else "NOT NULL")


_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS attempts({", ".join(map(_column, COLUMNS))}) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts_at ON attempts("at");
CREATE INDEX IF NOT EXISTS attempts_exchange ON attempts(exchange);
CREATE TABLE IF NOT EXISTS intents(
    entry TEXT PRIMARY KEY, journal TEXT NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS intents_journal ON intents(journal);
CREATE TABLE IF NOT EXISTS prices(version TEXT PRIMARY KEY, rates BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""
# What was taken for lost and is told after all counts instead; anything else stands as it was posted first.
_POST: Final = (  # all parts are our own names
    f"INSERT INTO attempts VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT(entry) DO UPDATE SET "  # noqa: S608
    + ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS[1:])
    + " WHERE attempts.state = 'unknown' AND attempts.result = 'lost' AND excluded.result <> 'lost'"
)
_INTEND: Final = (
    "INSERT OR IGNORE INTO intents "
    "SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE entry = ?1)"
)


class Books:
    """The database, for one thread. `reading` opens one that is there, and changes nothing."""

    dialect = DIALECT
    apart = False

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        flags = apsw.SQLITE_OPEN_READONLY if reading else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._database = apsw.Connection(str(path), flags=flags)
        self._database.set_busy_timeout(5000)
        if not reading:
            path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            with self._writing():
                self._database.execute(_TABLES)
                self._widen()

    def _widen(self) -> None:
        """Give a table of an earlier version the columns that it lacks."""
        there = {name for (name,) in self.ask("SELECT name FROM pragma_table_info('attempts')")}
        for name, usual in ADDED.items():
            if name not in there:
                self._database.execute(f"ALTER TABLE attempts ADD COLUMN {_column(name)} DEFAULT {usual}")

    def ready(self) -> None:
        """Do nothing: a file does not go away."""

    def post(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write records of journals down, all or none; return how many rows there were."""
        rows, calls, prices = batch(records)
        intents = ((call.entry, journal, msgspec.json.encode(call)) for journal, call in calls)
        with self._writing():
            self._many("INSERT OR IGNORE INTO prices VALUES (?, ?)", map(_listed, prices))
            self._many(_POST, rows)
            self._end(rows)
            self._many(_INTEND, intents)
        return len(rows)

    def _end(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Delete the calls that have their rows now. Few are there: most rows are posted with what began them."""
        held = {entry for (entry,) in self.ask("SELECT entry FROM intents LIMIT ?", (len(rows) + 1,))}
        ended = [row[:1] for row in rows if row[0] in held or len(held) > len(rows)] if held else []
        self._many("DELETE FROM intents WHERE entry = ?", ended)

    def give_up(self, journal: str) -> int:
        """Make rows of the calls of a dead process that nothing more will be heard of; return how many."""
        with self._writing():
            found = list(self.ask("SELECT record FROM intents WHERE journal = ?", (journal,)))
            rows = lost((record for (record,) in found), self.rates)
            self._many(_POST, map(columns, rows))
            self._many("DELETE FROM intents WHERE journal = ?", [(journal,)])
        return len(rows)

    def rates(self, version: str) -> Tiers:
        """Return what a version of prices stands for; empty where it is not known."""
        found = self._database.execute("SELECT rates FROM prices WHERE version = ?", (version,)).fetchone()
        return () if found is None else msgspec.json.decode(found[0], type=tuple[Rates, ...])

    def ask(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a question."""
        return iter(self._database.execute(query, values))

    def close(self) -> None:
        """Close it."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._database.executemany(statement, rows)


def _listed(prices: PriceList) -> tuple[str, bytes]:
    return prices.version, msgspec.json.encode(prices.rates)
