"""One record: what is kept of a call. Each field is a column of the database, and of a line of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, get_type_hints

import msgspec


class Call(NamedTuple):
    """One call, ended. `at` is when it began (seconds since 1970); what was not there is empty, or None for numbers.

    `attempts` is JSON: each try with its place, its status or failure, and its milliseconds. Tokens and `cost` (in
    microdollars) are sums over all attempts; `cost` is None where a price or a count is not known. `path` is that of a
    model's API, as dialects have it. `bodies` says how what is kept of them was kept: `redacted`, `full`, or not at all.
    """

    at: float = 0.0
    id: str = ""
    parent: str = ""
    tenant: str = ""
    key: str = ""
    org: str = ""
    team: str = ""
    user: str = ""
    route: str = ""
    dialect: str = ""
    path: str = ""
    model: str = ""
    streamed: int = 0
    status: int = 0
    result: str = ""
    error: str = ""
    answered_by: str = ""
    cache: str = ""
    cache_why: str = ""
    pool: str = ""
    policy: str = ""
    arm: str = ""
    upstream: str = ""
    upstream_model: str = ""
    tries: int = 0
    attempts: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    first_byte_ms: float | None = None
    first_output_ms: float | None = None
    ms: float = 0.0
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cost: int | None = None
    bodies: str = ""


class Record(NamedTuple):
    """A call and what is kept of its bodies: texts, or None."""

    call: Call
    request: str | None = None
    answer: str | None = None


#: The names of all fields, in order.
COLUMNS: Final = Call._fields


def column_types(types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each field with what a database calls its type; `types` says that of `str`, `int` and `float`."""
    for name, hint in get_type_hints(Call).items():
        yield name, next(told for kind, told in types.items() if kind in str(hint))


def told(call: dict[str, Any]) -> dict[str, Any]:
    """Return a record's fields as they are shown: those that are empty left out, attempts as a list."""
    shown = {name: value for name, value in call.items() if value not in (None, "")}
    if "streamed" in shown:
        shown["streamed"] = bool(shown["streamed"])
    if "attempts" in shown:
        shown["attempts"] = msgspec.json.decode(shown["attempts"])
    return shown
