"""What stands in the ledger's database, whichever it is: the columns of a row, what a batch comes to, what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from llmproxy.plugin import Parts, Settlement, Tiers, Usage, price_usage
from llmproxy_ledger.estimating import ceiling
from llmproxy_ledger.records import Begun, Intent, PriceList, Record, Row, Written

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
    "units",
    "parts",
)
#: The columns that came after the first tables were made, with what stands there in older rows.
ADDED: Final = {"units": "0", "parts": "''"}
#: Columns that are whole numbers; `at` is seconds, all others are text.
NUMBERS: Final = frozenset(
    ("input", "cache_read", "cache_write", "output", "reasoning", "cost", "reserved", "units")
)


class Dialect(NamedTuple):
    """How a database says in SQL what others say otherwise.

    `day` is a row's day, `instance` the gateway that posted it, `serial` and `number` the two parts of its id; `calls`
    asks for the entry, exchange and id of calls that have not ended.
    """

    day: str
    instance: str
    serial: str
    number: str
    calls: str


class ReadBooks(Protocol):
    """The ledger's database for who reads it; used by one thread."""

    @property
    def dialect(self) -> Dialect:
        """How questions are written."""

    def rates(self, version: str) -> Tiers:
        """Return what a version of prices stands for; empty where it is not known."""

    def ask(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a question; each `?` in it is one of the values."""

    def close(self) -> None:
        """Close it."""


class WriteBooks(Protocol):
    """The ledger's database for who writes it; used by one thread at a time."""

    @property
    def apart(self) -> bool:
        """Whether it may be there when the journals' directory is lost: then it hears of every call that has begun."""

    def ready(self) -> None:
        """Raise if it is known to be away: what is to be posted need not be read yet."""

    def post(self, records: Iterable[tuple[str, Record]]) -> int:
        """Write records of journals down, all or none; return how many rows there were."""

    def give_up(self, journal: str) -> int:
        """Make rows of the calls of a dead process that nothing more will be heard of; return how many."""

    def close(self) -> None:
        """Close it."""


class Batch(NamedTuple):
    """What records of journals come to: rows as tables have them, calls that have not ended, and versions of prices."""

    rows: list[tuple[Any, ...]]
    calls: list[tuple[str, Intent]]
    prices: list[PriceList]


def batch(records: Iterable[tuple[str, Record]]) -> Batch:
    """Sort records by what they are; a call that has its row by now is none that has not ended."""
    rows: dict[str, tuple[Any, ...]] = {}
    calls: dict[str, tuple[str, Intent | Begun]] = {}
    prices: dict[str, PriceList] = {}
    for journal, record in records:
        if isinstance(record, Written):
            rows[record.values[0]] = record.values
        elif isinstance(record, Begun | Intent):
            calls[record.entry] = (journal, record)
        elif isinstance(record, Row):
            rows[record.entry] = columns(record)
        else:
            prices[record.version] = record
    left = [
        (journal, call.intent if isinstance(call, Begun) else call)
        for entry, (journal, call) in calls.items()
        if entry not in rows
    ]
    return Batch(list(rows.values()), left, list(prices.values()))


def columns(record: Row) -> tuple[Any, ...]:
    """Return a row as the table has it."""
    row, usage = record.row, record.row.usage
    counts = (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
    whose = (row.tenant, row.key, row.org, row.team, row.user, row.route)
    models = (row.model, row.upstream, row.upstream_model)
    money = (row.state, record.basis, row.cost, row.reserved, row.prices, row.result)
    beside = (usage.units, parts_of(usage))
    return (record.entry, row.id, row.exchange, row.at, *whose, *models, *counts, *money, *beside)


def parts_of(usage: Usage) -> str:
    """Return what tokens are of, where that was told, as the table has it."""
    return "" if usage.parts is None else msgspec.json.encode(usage.parts).decode()


def row_of(values: tuple[Any, ...]) -> Row:
    """Turn a row of the table back."""
    told = dict(zip(COLUMNS, values, strict=True))
    entry, basis = told.pop("entry"), told.pop("basis")
    parts = told.pop("parts")
    counts = {name: told.pop(name) for name in Usage.__struct_fields__ if name in told}
    usage = Usage(**counts, parts=msgspec.json.decode(parts, type=Parts) if parts else None)
    return Row(entry, Settlement(usage=usage, **told), basis)


def lost(calls: Iterable[bytes], rates: Callable[[str], Tiers]) -> list[Row]:
    """Return the rows of calls, as the database kept them, whose process died: what they cost at most."""
    known: dict[str, Tiers] = {}
    rows = []
    for call in calls:
        intent = msgspec.json.decode(call, type=Intent)
        version = intent.row.prices
        if version not in known:
            known[version] = rates(version)
        rows.append(_lost(intent, known[version]))
    return rows


def _lost(intent: Intent, rates: Tiers) -> Row:
    usage = ceiling(intent.size, intent.most, rates) if intent.row.model else Usage()
    cost = price_usage(usage, rates) if rates else 0
    row = msgspec.structs.replace(intent.row, usage=usage, cost=cost, state="unknown", result="lost")
    return Row(intent.entry, row, "ceiling")
