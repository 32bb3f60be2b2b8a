"""The ledger's database: one row an entry, whatever is posted how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from llmproxy.plugin import Rates, Settlement, Tiers, Usage, price_usage
from llmproxy_ledger.estimating import ceiling
from llmproxy_ledger.records import Intent, PriceList, Record, Row

FILE: Final = "ledger.db"
_VERSION: Final = 1

COLUMNS: Final = (
    "entry",
    "id",
    "exchange",
    "at",
    "tenant",
    "key",
    "org",
    "team",
    "user",
    "route",
    "model",
    "upstream",
    "upstream_model",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "state",
    "basis",
    "cost",
    "reserved",
    "prices",
    "result",
)
_NUMBERS: Final = frozenset(("input", "cache_read", "cache_write", "output", "reasoning", "cost", "reserved"))


def _column(name: str) -> str:
    kind = "INTEGER" if name in _NUMBERS else "REAL" if name == "at" else "TEXT"
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

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        flags = apsw.SQLITE_OPEN_READONLY if reading else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._database = apsw.Connection(str(path), flags=flags)
        self._database.set_busy_timeout(5000)
        if not reading:
            path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            with self._writing():
                self._database.execute(_TABLES)

    def post(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write records of journals down, all or none; return how many rows there were."""
        rows: dict[str, Row] = {}
        intents: dict[str, tuple[str, Intent]] = {}
        prices: list[PriceList] = []
        for journal, record in records:
            if isinstance(record, Row):
                rows[record.entry] = record
            elif isinstance(record, Intent):
                intents[record.entry] = (journal, record)
            else:
                prices.append(record)
        left = [(entry, *held) for entry, held in intents.items() if entry not in rows]
        with self._writing():
            self._many("INSERT OR IGNORE INTO prices VALUES (?, ?)", map(_listed, prices))
            self._many(_POST, map(columns, rows.values()))
            self._many("DELETE FROM intents WHERE entry = ?", ((entry,) for entry in rows))
            self._many(_INTEND, ((entry, journal, msgspec.json.encode(i)) for entry, journal, i in left))
        return len(rows)

    def give_up(self, journal: str) -> int:
        """Make rows of the calls of a dead process that nothing more will be heard of; return how many."""
        with self._writing():
            found = self._database.execute("SELECT record FROM intents WHERE journal = ?", (journal,))
            lost = [msgspec.json.decode(record, type=Intent) for (record,) in found]
            known = {each.row.prices: self.rates(each.row.prices) for each in lost}
            self._many(_POST, (columns(_lost(each, known[each.row.prices])) for each in lost))
            self._many("DELETE FROM intents WHERE journal = ?", [(journal,)])
        return len(lost)

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


def columns(record: Row) -> tuple[Any, ...]:
    """Return a row as the table has it."""
    row, usage = record.row, record.row.usage
    counts = (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
    whose = (row.tenant, row.key, row.org, row.team, row.user, row.route)
    models = (row.model, row.upstream, row.upstream_model)
    money = (row.state, record.basis, row.cost, row.reserved, row.prices, row.result)
    return (record.entry, row.id, row.exchange, row.at, *whose, *models, *counts, *money)


def row_of(values: tuple[Any, ...]) -> Row:
    """Turn a row of the table back."""
    told = dict(zip(COLUMNS, values, strict=True))
    entry, basis = told.pop("entry"), told.pop("basis")
    usage = Usage(**{name: told.pop(name) for name in Usage.__struct_fields__})
    return Row(entry, Settlement(usage=usage, **told), basis)


def _lost(intent: Intent, rates: Tiers) -> Row:
    usage = ceiling(intent.size, intent.most, rates) if intent.row.model else Usage()
    cost = price_usage(usage, rates) if rates else 0
    row = msgspec.structs.replace(intent.row, usage=usage, cost=cost, state="unknown", result="lost")
    return Row(intent.entry, row, "ceiling")
