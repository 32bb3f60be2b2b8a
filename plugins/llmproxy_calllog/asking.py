"""How a database of records is asked, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from llmproxy_calllog.call import COLUMNS
from llmproxy_calllog.filtering import Filter, Worded

NEWEST: Final = "SELECT max(number) FROM calls"


class NotALog(Exception):
    """There is no log of calls that this version reads, or it cannot be read now; the message says why."""


class AnyReader(Protocol):
    """The reading side of a database."""

    def read(self, wanted: Filter) -> list[dict[str, Any]]:
        """Return records as dictionaries, with their `number`; newest first, or oldest first behind `after`."""

    def newest(self) -> int:
        """Return the number of the newest record; 0 if there is none."""

    def close(self) -> None:
        """Let go of it."""


class Question(NamedTuple):
    """A query, with a `?` for each value, and what the columns of its rows are called."""

    query: str
    values: list[Any]
    keys: tuple[str, ...]

    def told(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return rows as dictionaries."""
        return [dict(zip(self.keys, row, strict=True)) for row in rows]


def question(wanted: Filter, worded: Worded) -> Question:
    """Write what asks for the records that are wanted."""
    clauses, values = wanted.clauses(worded)
    bodies = ("request", "answer") if wanted.bodies else ()
    names = ", ".join(f"calls.{name}" for name in ("number", *COLUMNS))
    names += "".join(f", bodies.{name}" for name in bodies)
    join = " LEFT JOIN bodies ON bodies.number = calls.number" if bodies else ""
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    order = "DESC" if wanted.after is None else "ASC"
    query = f"SELECT {names} FROM calls{join}{where} ORDER BY calls.number {order} LIMIT ?"  # noqa: S608  # constants
    return Question(query, [*values, wanted.limit], ("number", *COLUMNS, *bodies))
