"""What does not balance in the ledger, row by row: every cost is computed again by the prices that its row names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from llmproxy.plugin import Tiers, Usage, price_usage
from llmproxy_ledger.entries import ReadBooks, row_of
from llmproxy_ledger.records import Row
from llmproxy_ledger.reporting import SELECTED, Period

_STATES: Final = frozenset({"exact", "partial", "estimated", "free", "unknown"})
_NOTHING: Final = Usage()
#: What an exact usage rests on: the provider told it, for this call, for the one whose answer it is or an earlier one.
_TOLD: Final = frozenset({"told", "hit", "follower", "belated"})


class Fault(NamedTuple):
    """A row that does not balance, and why."""

    entry: str
    attempt: str
    why: str


class Audit:
    """What an audit found: counts and sums of all it saw, in microdollars; faults come from `run`."""

    def __init__(self, books: ReadBooks) -> None:
        self._books = books
        self._rates: dict[str, Tiers] = {}
        self.rows = self.settled = self.reserved = self.released = self.over = 0
        self.faults = 0

    def run(self, period: Period) -> Iterator[Fault]:
        """Yield each row that does not balance, and each exchange that lacks a row or has one too many."""
        query = f"SELECT {SELECTED} FROM attempts WHERE {period.where} ORDER BY at, entry"  # noqa: S608  # our own names
        for values in self._books.ask(query, period.values):
            row = row_of(values)
            self._add(row)
            for why in self.wrong(row):
                self.faults += 1
                yield Fault(row.entry, row.row.id, why)
        for fault in self._gaps(period):
            self.faults += 1
            yield fault

    def _add(self, row: Row) -> None:
        cost, reserved = row.row.cost, row.row.reserved
        self.rows += 1
        self.settled += cost
        self.reserved += reserved
        if reserved:
            self.released += max(0, reserved - cost)
            self.over += max(0, cost - reserved)

    def wrong(self, row: Row) -> Iterator[str]:
        """Yield what is wrong with one row by itself."""
        told = row.row
        counts = (
            *(getattr(told.usage, name) for name in told.usage.__struct_fields__ if name != "parts"),
            told.cost,
            told.reserved,
        )
        if told.state not in _STATES:
            yield f"its state {told.state!r} is none"
        if min(counts) < 0:
            yield "a number in it is negative"
        if told.state == "free":
            if told.cost or told.usage != _NOTHING:
                yield "it is free, and has a cost or a usage"
            return
        if (told.state == "exact") != (row.basis in _TOLD and told.state != "partial"):
            yield f"it is {told.state}, and rests on {row.basis!r}"
        yield from self._priced_wrongly(row)
        if told.reserved and told.cost > told.reserved:
            yield f"it cost {told.cost}, more than the {told.reserved} that were reserved"

    def _priced_wrongly(self, row: Row) -> Iterator[str]:
        told = row.row
        if told.prices in ("", "unknown"):
            if told.cost:
                yield f"it cost {told.cost}, and names no prices"
            return
        rates = self._rates.get(told.prices)
        if rates is None:
            rates = self._rates[told.prices] = self._books.rates(told.prices)
        if not rates:
            yield f"its prices {told.prices!r} are not in the ledger"
        elif (cost := price_usage(told.usage, rates)) != told.cost:
            yield f"it cost {told.cost}, and its usage by its prices is {cost}"

    def _gaps(self, period: Period) -> Iterator[Fault]:
        """Look for attempts that are missing, or there twice; what precedes the slash of an id is the exchange's own.

        An exchange of which any row is of the period is looked at whole.
        """
        said = self._books.dialect
        told = f"SELECT entry, exchange, id FROM attempts UNION ALL {said.calls}"  # noqa: S608  # our own names
        if period.values:
            told = f"""
                SELECT * FROM ({told}) AS whole
                WHERE exchange IN (SELECT exchange FROM attempts WHERE {period.where})
            """  # noqa: S608  # likewise
        query = f"""
            SELECT min(entry), min(exchange), count(*), count(DISTINCT id), max({said.number}), min({said.number})
            FROM ({told}) AS told GROUP BY {said.serial} HAVING count(*) > 1 OR max({said.number}) > 1
        """  # noqa: S608  # likewise
        for entry, exchange, count, distinct, most, least in self._books.ask(query, period.values):
            if count != distinct:
                yield Fault(entry, exchange, f"{count - distinct} of its attempts have more than one row")
            elif least == 0 and most > 0:
                yield Fault(entry, exchange, "it made attempts, and has a row that says it made none")
            elif distinct != most:
                yield Fault(entry, exchange, f"of its {most} attempts {most - distinct} have no row")
