"""Records in Postgres, which any number of gateways write and anybody may read meanwhile.

Who writes a batch holds a lock until it is done, so the numbers of records rise in the order in which they can be read:
who has read to one of them misses none before it. A batch of which it is not known whether it was written is written
again, and is then found to be there.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from llmproxy.plugin import BlockingPostgres, PostgresAway, postgres_value
from llmproxy_calllog.asking import NEWEST, NotALog, question
from llmproxy_calllog.call import COLUMNS, Record, column_types
from llmproxy_calllog.filtering import Filter

T = TypeVar("T")

#: Where the tables stand if the URL does not say.
SCHEMA: Final = "llmproxy_calllog"

#: Two locks of each schema: who writes, who deletes.
_WRITING: Final = "SELECT pg_advisory_xact_lock(1819110252, hashtext(current_schema()))"
_DELETING: Final = "SELECT pg_try_advisory_xact_lock(1819110253, hashtext(current_schema()))"
#: Records deleted in one transaction.
_STEP: Final = 500
#: Seconds until it is forgotten which batch a writer came to; none tries for so long.
_FORGET: Final = 86_400.0
#: Characters of a body whose words can be searched: an index takes no more than a megabyte of a text.
_SEARCHED: Final = 65_536
#: About how much a record takes beside its texts, indexes and all.
_FRAME: Final = 500
_TYPES: Final = {"str": 'text COLLATE "C" NOT NULL', "int": "bigint", "float": "double precision"}


def _column(column: tuple[str, str]) -> str:
    name, kind = column
    return f'"{name}" {kind}'


#: What makes the tables; a step that was in a release is never changed.
STEPS: Final = (
    f"""
    CREATE SEQUENCE numbers;
    CREATE TABLE calls(
        number bigint PRIMARY KEY, {", ".join(map(_column, column_types(_TYPES)))}, size bigint NOT NULL
    );
    CREATE INDEX calls_at ON calls("at");
    CREATE INDEX calls_tenant ON calls(tenant, number);
    CREATE TABLE bodies(
        number bigint PRIMARY KEY, request text, answer text, request_words tsvector, answer_words tsvector
    );
    CREATE INDEX bodies_request ON bodies USING gin (request_words);
    CREATE INDEX bodies_answer ON bodies USING gin (answer_words);
    CREATE TABLE writers(name text PRIMARY KEY, batch bigint NOT NULL, "at" double precision NOT NULL);
    CREATE TABLE used(bytes bigint NOT NULL);
    INSERT INTO used VALUES (0);
    """,  # noqa: S608  # our own names
)

_NEXT: Final = """
    INSERT INTO writers VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET batch = excluded.batch, "at" = excluded."at"
    WHERE writers.batch < excluded.batch RETURNING batch
"""
_NUMBERS: Final = "SELECT setval('numbers', nextval('numbers') + $1 - 1) - $1 + 1"
_BODY: Final = """
    INSERT INTO bodies VALUES ($1, $2, $3, to_tsvector('simple', $4::text), to_tsvector('simple', $5::text))
"""
_USED: Final = "UPDATE used SET bytes = greatest(0, bytes + $1)"
_OLD: Final = """
    DELETE FROM calls WHERE number IN (SELECT number FROM calls WHERE "at" < $1 ORDER BY "at" LIMIT $2)
    RETURNING number, size
"""
_OLDEST: Final = """
    DELETE FROM calls WHERE number IN (SELECT number FROM calls ORDER BY number LIMIT $1) RETURNING number, size
"""


class PostgresLog:
    """The writing side, for a thread; tables are made on first use.

    What records take is summed up as they are written and deleted: it is their size, not that of the files.
    """

    def __init__(self, database: BlockingPostgres, *, search: bool, wall: Callable[[], float]) -> None:
        self._database = database
        self._search = search
        self._wall = wall
        self._built = False
        self._name = secrets.token_hex(8)
        self._batch = 0
        self._unsure: Sequence[Record] | None = None

    def write(self, records: Sequence[Record]) -> None:
        """Keep records, all or none; the same may be written again after a failure.

        Raises:
            PostgresAway: the database cannot be used now.
        """
        if not records:
            return
        if records is not self._unsure:
            self._batch += 1
        self._unsure = records
        self._run(partial(self._write, records))
        self._unsure = None

    def tidy(self, keep: float | None, most: int | None) -> bool:
        """Delete a step's worth of what is too old, or of the oldest while all is too much."""
        return self._run(partial(self._tidy, None if keep is None else self._wall() - keep, most))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        if not self._built:
            self._database.build("calllog", STEPS)
            self._built = True
        return self._database.run(work)

    async def _write(self, records: Sequence[Record], connection: Any) -> None:
        async with connection.transaction():
            await connection.execute(_WRITING)
            if await connection.fetchval(_NEXT, self._name, self._batch, self._wall()) is None:
                return  # it is there already
            first = await connection.fetchval(_NUMBERS, len(records))
            rows = [
                (number, *map(postgres_value, record.call), _size(record))
                for number, record in enumerate(records, first)
            ]
            columns = ("number", *COLUMNS, "size")
            await connection.copy_records_to_table("calls", records=rows, columns=columns)
            if bodies := [
                body for number, record in enumerate(records, first) for body in self._body(number, record)
            ]:
                await connection.executemany(_BODY, bodies)
            await connection.execute(_USED, sum(row[-1] for row in rows))

    def _body(self, number: int, record: Record) -> Iterator[tuple[Any, ...]]:
        texts = [postgres_value(text) for text in (record.request, record.answer)]
        if texts != [None, None]:
            found = [words(text[:_SEARCHED]) if self._search and text else None for text in texts]
            yield (number, *texts, *found)

    async def _tidy(self, before: float | None, most: int | None, connection: Any) -> bool:
        async with connection.transaction():
            if not await connection.fetchval(_DELETING):
                return False  # another gateway is at it
            found = [] if before is None else await connection.fetch(_OLD, before, _STEP)
            used = await connection.fetchval("SELECT bytes FROM used")
            if not found and most is not None and used > most:
                found = await connection.fetch(_OLDEST, _STEP)
            deleted = sum(size for _, size in found)
            if found:
                await connection.execute(
                    "DELETE FROM bodies WHERE number = ANY($1)", [number for number, _ in found]
                )
                await connection.execute(_USED, -deleted)
            await connection.execute('DELETE FROM writers WHERE "at" < $1', self._wall() - _FORGET)
        return len(found) == _STEP or (bool(found) and most is not None and used - deleted > most)


class PostgresReader:
    """The reading side; sees what is written meanwhile, and writes nothing."""

    def __init__(self, database: BlockingPostgres) -> None:
        self._database = database
        try:
            there = self._fetch("SELECT to_regclass('calls') IS NOT NULL")[0][0]
            if not there:
                raise NotALog(f"there is no log of calls at {database.postgres.place}")
        except BaseException:
            database.close()
            raise

    def read(self, wanted: Filter) -> list[dict[str, Any]]:
        """Return records as dictionaries, with their `number`; newest first, or oldest first behind `after`.

        Raises:
            NotALog: the database cannot be read now.
        """
        asked = question(wanted, _worded)
        return asked.told(self._fetch(asked.query, *map(postgres_value, asked.values)))

    def newest(self) -> int:
        """Return the number of the newest record; 0 if there is none."""
        return self._fetch(NEWEST)[0][0] or 0

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _fetch(self, query: str, *values: Any) -> list[Any]:
        try:
            return self._database.fetch(query, values)
        except PostgresAway as fault:
            raise NotALog(str(fault)) from None


async def give_up_idle(connection: Any) -> None:
    """Have a transaction ended that its gateway hangs in: it keeps all others from writing."""
    await connection.execute("SET idle_in_transaction_session_timeout = '10s'")


_WORDED: Final = (
    "calls.number IN (SELECT number FROM bodies WHERE request_words @@ phraseto_tsquery('simple', ?) "
    "OR answer_words @@ phraseto_tsquery('simple', ?))"
)
_WORD: Final = re.compile(r"[^\W_]+")


def words(text: str) -> str:
    """Return the words of a text, without accents and in small letters, and nothing else."""
    if not text.isascii():
        text = "".join(
            sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign)
        )
    return " ".join(_WORD.findall(text.lower()))


def _worded(text: str) -> tuple[str, list[Any]]:
    phrase = words(text)
    return _WORDED, [phrase, phrase]


def _size(record: Record) -> int:
    texts = sum(len(value) for value in record.call if isinstance(value, str))
    bodies = sum(len(text.encode("utf-8", "replace")) for text in (record.request, record.answer) if text)
    return _FRAME + texts + 2 * bodies
