"""Which records are wanted.

    Filter(tenant="acme", status="5xx", slower=2.0)
    read_filter({"tenant": "acme", "status": "5xx", "slower_than": "2s"}, now=clock.wall())

`tenant` binds: whatever else is asked for, no other tenant's record is among those found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from llmproxy.plugin import parse_duration
from llmproxy_calllog.naming import named

#: Records in one answer at most.
MOST: Final = 1000

#: Filters that a field is equal to.
EQUAL: Final = (
    "tenant",
    "key",
    "org",
    "team",
    "user",
    "route",
    "model",
    "upstream",
    "id",
    "result",
    "error",
    "cache",
)
_STATUS: Final = re.compile(r"([1-5])xx|([1-5]\d\d|0)", re.ASCII)
#: Endings that are none that a caller would wish for.
_FAILED: Final = "(calls.status >= 400 OR calls.result IN ('upstream_error', 'cut', 'refused'))"


#: Makes a condition, and its values, of words that follow one another in a body.
Worded = Callable[[str], tuple[str, list[Any]]]


class BadFilter(ValueError):
    """What was asked for is no filter; the message says what would be."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What records must be like. `since` and `until` are wall times, `slower` is in seconds.

    `before` and `after` are numbers of records: pages go down from `before`, and up from `after`. `text` stands in a
    body that is kept.
    """

    tenant: str | None = None
    key: str | None = None
    org: str | None = None
    team: str | None = None
    user: str | None = None
    route: str | None = None
    model: str | None = None
    upstream: str | None = None
    id: str | None = None
    result: str | None = None
    error: str | None = None
    cache: str | None = None
    status: str | None = None
    failed: bool = False
    since: float | None = None
    until: float | None = None
    slower: float | None = None
    text: str | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 100
    bodies: bool = False

    def __post_init__(self) -> None:
        if self.status is not None and _STATUS.fullmatch(self.status) is None:
            raise BadFilter("status: a number such as 429, or a class such as 5xx")
        if self.text is not None and not self.text.strip():
            raise BadFilter("text: one word or more")
        if not 1 <= self.limit <= MOST:
            raise BadFilter(f"limit: from 1 to {MOST}")

    def clauses(self, worded: Worded) -> tuple[list[str], list[Any]]:
        """Return the conditions in SQL, all of which must hold, and their values; no value is ever part of the text.

        `worded` is how a database is asked for what has some words in a body.
        """
        found: list[tuple[str, list[Any]]] = [
            (f"calls.{name} = ?", [named(value)])
            for name in EQUAL
            if (value := getattr(self, name)) is not None
        ]
        for condition, value in (
            ("calls.at >= ?", self.since),
            ("calls.at < ?", self.until),
            ("calls.ms > ?", None if self.slower is None else self.slower * 1000),
            ("calls.number < ?", self.before),
            ("calls.number > ?", self.after),
        ):
            if value is not None:
                found.append((condition, [value]))
        if self.status is not None:
            found.append(("calls.status BETWEEN ? AND ?", statuses(self.status)))
        if self.failed:
            found.append((_FAILED, []))
        if self.text is not None:
            found.append(worded(self.text))
        return [clause for clause, _ in found], [value for _, values in found for value in values]


def statuses(text: str) -> list[Any]:
    """Return the first and the last status that is meant."""
    if text.endswith("xx"):
        return [int(text[0]) * 100, int(text[0]) * 100 + 99]
    return [int(text), int(text)]


#: What callers of the admin route and of the command may say.
NAMES: Final = (
    *EQUAL,
    "status",
    "failed",
    "since",
    "until",
    "slower_than",
    "text",
    "before",
    "after",
    "limit",
    "bodies",
)


def read_filter(asked: Mapping[str, str], now: float) -> Filter:
    """Read a filter from texts. One that is empty binds like any other: no tenant is not every tenant.

    Raises:
        BadFilter: what is wrong, by its name.
    """
    for name in asked:
        if name not in NAMES:
            near = get_close_matches(name[:60], NAMES, n=1)
            raise BadFilter(f"{name[:60]!r} is no filter" + (f"; did you mean {near[0]!r}?" if near else ""))
    given: dict[str, Any] = {}
    for name, text in asked.items():
        given["slower" if name == "slower_than" else name] = _value(name, text, now)
    return Filter(**given)


def _value(name: str, text: str, now: float) -> Any:
    if name in EQUAL or name in {"status", "text"}:
        return text
    if name in {"before", "after", "limit"}:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadFilter(f"{name}: a whole number")
        return int(text)
    if name in {"failed", "bodies"}:
        if text not in {"true", "false", "1", "0"}:
            raise BadFilter(f"{name}: true or false")
        return text in {"true", "1"}
    return seconds(name, text) if name == "slower_than" else moment(name, text, now)


def seconds(name: str, text: str) -> float:
    """Read a duration."""
    try:
        return parse_duration(text)
    except ValueError as fault:
        raise BadFilter(f"{name}: {fault}") from None


def moment(name: str, text: str, now: float) -> float:
    """Read a moment: so long ago (`2h`), or a date, with a time if wanted, UTC unless it says otherwise."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadFilter(f"{name}: so long ago, such as 2h, or a time such as 2026-11-22T09:30") from None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
