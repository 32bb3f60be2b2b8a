"""The ledger in Postgres, which any number of gateways share: one row an entry, whatever is posted how often."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from llmproxy.plugin import BlockingPostgres, PostgresAway, Rates, StartError, Tiers, postgres_value
from llmproxy_ledger.entries import ADDED, COLUMNS, NUMBERS, Dialect, batch, columns, lost
from llmproxy_ledger.records import Intent, PriceList, Record

T = TypeVar("T")

DIALECT: Final = Dialect(
    day="to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    instance="instance",
    serial="split_part(id, '/', 1)",
    number="CAST(substring(id FROM '/([0-9]{1,18})$') AS bigint)",
    calls="SELECT entry, exchange, id FROM intents",
)

#: Rows of one transaction: what a slow line takes in the seconds that a use of the database has.
_GROUP: Final = 1000
_KINDS: Final = dict.fromkeys(NUMBERS, "bigint") | {"at": "double precision"}
_STORED: Final = (*COLUMNS, "instance")
_TYPES: Final = tuple(_KINDS.get(name, "text") for name in _STORED)
_NAMES: Final = ", ".join(f'"{name}"' for name in _STORED)


def _column(name: str, kind: str) -> str:
    # as SQLite compares, whatever the language of the database
    collated = 'text COLLATE "C"' if kind == "text" else kind
    return f'"{name}" {collated} ' + ("PRIMARY KEY" if name == "entry" else "NOT NULL")


#: What makes the tables; a step that was in a release is never changed.
STEPS: Final = (
    f"""
    CREATE TABLE attempts({", ".join(_column(n, k) for n, k in zip(_STORED, _TYPES, strict=True) if n not in ADDED)});
    CREATE INDEX attempts_at ON attempts("at");
    CREATE INDEX attempts_exchange ON attempts(exchange);
    CREATE TABLE intents(
        entry text COLLATE "C" PRIMARY KEY, journal text NOT NULL, instance text NOT NULL,
        exchange text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, record bytea NOT NULL
    );
    CREATE INDEX intents_journal ON intents(journal);
    CREATE TABLE prices(version text COLLATE "C" PRIMARY KEY, rates bytea NOT NULL);
    """,
    "".join(
        f"ALTER TABLE attempts ADD COLUMN {_column(name, _KINDS.get(name, 'text'))} DEFAULT {usual};"
        for name, usual in ADDED.items()
    ),
)


def _arrays(kinds: Sequence[str]) -> str:
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))


# What was taken for lost and is told after all counts instead; anything else stands as it was posted first.
_POST: Final = (  # all parts are our own names
    f"INSERT INTO attempts ({_NAMES}) SELECT * FROM unnest({_arrays(_TYPES)}) ON CONFLICT (entry) DO UPDATE SET "  # noqa: S608
    + ", ".join(f'"{name}" = excluded."{name}"' for name in _STORED[1:])
    + " WHERE attempts.state = 'unknown' AND attempts.result = 'lost' AND excluded.result <> 'lost'"
)
_END: Final = "DELETE FROM intents WHERE entry = ANY($1::text[])"
_INTEND: Final = f"""
    INSERT INTO intents SELECT * FROM unnest({_arrays(["text"] * 5 + ["bytea"])})
        AS told(entry, journal, instance, exchange, id, record)
    WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.entry = told.entry) ON CONFLICT (entry) DO NOTHING
"""  # noqa: S608  # our own names
# In one order, so that two who tell the same ones do not wait for each other.
_PRICES: Final = """
    INSERT INTO prices SELECT * FROM unnest($1::text[], $2::bytea[]) AS told(version, rates) ORDER BY version
    ON CONFLICT (version) DO NOTHING
"""


class NotPosted(Exception):
    """The database does not take what is posted; the text names the kind of fault, whose own may hold anything."""


class PostgresBooks:
    """The database for who writes it; its tables are made on first use.

    `instance` names this gateway in its rows, the host's name if it is empty. Where a failure leaves it open what was
    done, it may be done again.
    """

    apart = True

    def __init__(self, database: BlockingPostgres, instance: str = "") -> None:
        self._database = database
        self._instance = postgres_value(instance) or socket.gethostname()
        self._built = False

    def ready(self) -> None:
        """Ask a database that was away whether it still is.

        Raises:
            PostgresAway: it is.
        """
        if self._database.postgres.is_away:
            self._run(_ping)

    def post(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write records of journals down; return how many rows there were.

        Raises:
            PostgresAway: the database cannot be used now.
            NotPosted: it takes them not.
        """
        found = batch(records)
        self._build()
        if found.prices:
            self._run(lambda connection: _tell_prices(connection, found.prices))
        for at in range(0, max(len(found.rows), len(found.calls)), _GROUP):
            rows, calls = found.rows[at : at + _GROUP], found.calls[at : at + _GROUP]
            self._run(partial(self._post, rows, calls))
        return len(found.rows)

    def give_up(self, journal: str) -> int:
        """Make rows of the calls of a dead process that nothing more will be heard of; return how many.

        Raises:
            PostgresAway: the database cannot be used now.
        """
        self._build()
        return self._run(partial(self._give_up, journal))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _build(self) -> None:
        if not self._built:
            self._database.build("ledger", STEPS)
            self._built = True

    def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            return self._database.run(work)
        except (PostgresAway, StartError):
            raise
        except Exception as fault:
            raise NotPosted(f"the ledger's database takes no rows: {type(fault).__name__}") from None

    async def _post(
        self, rows: Sequence[tuple[Any, ...]], calls: Sequence[tuple[str, Intent]], connection: Any
    ) -> None:
        async with connection.transaction():
            await self._settle(connection, rows)
            if calls:
                told = [self._call(journal, intent) for journal, intent in calls]
                await connection.execute(_INTEND, *zip(*told, strict=True))

    async def _settle(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            values = [map(postgres_value, (*row, self._instance)) for row in rows]
            await connection.execute(_POST, *zip(*values, strict=True))
            await connection.execute(_END, [row[0] for row in rows])

    async def _give_up(self, journal: str, connection: Any) -> int:
        async with connection.transaction():
            found = await connection.fetch("SELECT record FROM intents WHERE journal = $1", journal)
            rows = lost((record for (record,) in found), (await _all_rates(connection)).__getitem__)
            await self._settle(connection, list(map(columns, rows)))
        return len(rows)

    def _call(self, journal: str, intent: Intent) -> tuple[str | bytes, ...]:
        exchange, id_ = postgres_value(intent.row.exchange), postgres_value(intent.row.id)
        return intent.entry, journal, self._instance, exchange, id_, msgspec.json.encode(intent)


class PostgresReading:
    """The database for who reads it, as it was at one moment."""

    dialect = DIALECT

    def __init__(self, database: BlockingPostgres) -> None:
        self._database = database
        try:
            self._snapshot = database.snapshot()
        except BaseException:
            database.close()
            raise

    def is_there(self) -> bool:
        """Whether a ledger was ever posted to it."""
        return bool(list(self.ask("SELECT 1 WHERE to_regclass('attempts') IS NOT NULL")))

    def rates(self, version: str) -> Tiers:
        """Return what a version of prices stands for; empty where it is not known."""
        found = list(self.ask("SELECT rates FROM prices WHERE version = ?", (version,)))
        return _tiers(found[0][0]) if found else ()

    def ask(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a question.

        Raises:
            PostgresAway: the database went away.
        """
        return self._snapshot.ask(query, values)

    def close(self) -> None:
        """Let go of the database."""
        self._snapshot.close()
        self._database.close()


async def _ping(connection: Any) -> None:
    await connection.execute("SELECT 1")


async def _tell_prices(connection: Any, prices: Sequence[PriceList]) -> None:
    """Tell them by themselves: others who tell the same ones wait for no more than this."""
    versions = [postgres_value(each.version) for each in prices]
    await connection.execute(_PRICES, versions, [msgspec.json.encode(each.rates) for each in prices])


class _Known(dict[str, Tiers]):
    def __missing__(self, version: str) -> Tiers:
        return ()


async def _all_rates(connection: Any) -> Mapping[str, Tiers]:
    found = await connection.fetch("SELECT version, rates FROM prices")
    return _Known({version: _tiers(rates) for version, rates in found})


def _tiers(rates: bytes) -> Tiers:
    return msgspec.json.decode(rates, type=tuple[Rates, ...])
