"""What the ledger tells: sums by whatever is asked for, and rows as they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from llmproxy_ledger.entries import COLUMNS, ReadBooks

#: What sums may be made by; days, months and instances are what the database says they are.
GROUPS: Final = (
    *(
        "tenant",
        "key",
        "org",
        "team",
        "user",
        "route",
        "model",
        "upstream",
        "upstream_model",
        "state",
        "basis",
    ),
    *("day", "month", "instance"),
)
#: The columns of a row, as a question names them.
SELECTED: Final = ", ".join(f'"{name}"' for name in COLUMNS)
SUMS: Final = ("input", "cache_read", "cache_write", "output", "reasoning", "cost")
Format = Literal["text", "csv", "json"]


class BadDay(ValueError):
    """What was given is no day."""


def moment(day: str | None) -> float | None:
    """Return when a day or a month begins, in UTC.

    Raises:
        BadDay: it is none.
    """
    if day is None:
        return None
    try:
        form = "%Y-%m" if day.count("-") == 1 else "%Y-%m-%d"
        return datetime.strptime(day, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise BadDay(f"{day!r} is no day; write it as 2026-11-22, or a month as 2026-11") from None


class Period:
    """The rows of some time, and of some tenant: conditions of a question, and their values."""

    def __init__(
        self, since: float | None = None, until: float | None = None, tenant: str | None = None
    ) -> None:
        asked = [("at >= ?", since), ("at < ?", until), ("tenant = ?", tenant)]
        told = [(condition, value) for condition, value in asked if value is not None]
        self.where = " AND ".join(condition for condition, _ in told) or "TRUE"
        self.values = tuple(value for _, value in told)


def report(books: ReadBooks, by: Sequence[str], period: Period) -> Iterator[dict[str, Any]]:
    """Yield sums by the groups named, the dearest first; `cost` is microdollars, `unpriced` counts calls of no price."""
    day = books.dialect.day
    told = {"day": day, "month": f"substr({day}, 1, 7)", "instance": books.dialect.instance}
    groups = [f'''{told.get(name, f'"{name}"')} AS "{name}"''' for name in by]
    sums = [f'CAST(SUM("{name}") AS BIGINT) AS "{name}"' for name in SUMS]
    counts = [
        "COUNT(*) AS rows",
        "COUNT(*) FILTER (WHERE prices = 'unknown') AS unpriced",
        "COUNT(*) FILTER (WHERE state = 'unknown') AS lost",
    ]
    grouped = f"GROUP BY {', '.join(str(n + 1) for n in range(len(by)))}" if by else ""
    names = [*by, "rows", "unpriced", "unknown", *SUMS]
    query = (
        f"SELECT {', '.join([*groups, *counts, *sums])} FROM attempts "  # noqa: S608  # our own names
        f"WHERE {period.where} {grouped} ORDER BY SUM(cost) DESC, 1"
    )
    for values in books.ask(query, period.values):
        if values[len(by)]:
            yield dict(zip(names, values, strict=True))


def rows(books: ReadBooks, period: Period) -> Iterator[dict[str, Any]]:
    """Yield the rows of a time in its order."""
    query = f"SELECT {SELECTED} FROM attempts WHERE {period.where} ORDER BY at, entry"  # noqa: S608  # our own names
    for values in books.ask(query, period.values):
        yield dict(zip(COLUMNS, values, strict=True))


def written(told: Iterable[dict[str, Any]], form: Format) -> Iterator[str]:
    """Yield lines: a table for people, CSV with a head, or a JSON object a line."""
    if form == "json":
        yield from (orjson.dumps(each).decode() for each in told)
    elif form == "csv":
        yield from _csv(told)
    else:
        yield from _table([{**each, "cost": dollars(each["cost"])} for each in told])


def dollars(microdollars: int) -> str:
    """Write money for people."""
    return f"${microdollars / 10**6:,.6f}"


def printable(text: str) -> str:
    """Return text that does nothing to a terminal: callers choose the names of models, and of their requests."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)


def _csv(told: Iterable[dict[str, Any]]) -> Iterator[str]:
    first = True
    for each in told:
        if first:
            yield _line(list(each))
            first = False
        yield _line([_plain(value) for value in each.values()])


def _plain(value: object) -> object:
    """Keep what a caller chose from being taken for a formula by a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _line(values: Sequence[object]) -> str:
    line = io.StringIO()
    # Only what may end a line is put into quotes with it: a name with a line of its own would make a row of its own.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n")


def _table(told: list[dict[str, Any]]) -> Iterator[str]:
    if not told:
        return
    lines = [list(told[0]), *([printable(str(value)) for value in each.values()] for each in told)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numbers = [not isinstance(value, str) or value.startswith("$") for value in told[0].values()]
    for line in lines:
        cells = zip(line, widths, numbers, strict=True)
        yield "  ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells
        ).rstrip()
