"""Portkey's conditions as this gateway's: a query over metadata and parameters becomes an expression in CEL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import orjson

#: Where Portkey's callers write their metadata, as a JSON object of texts.
_METADATA: Final = '"x-portkey-metadata"'

#: Texts that stand in JSON as they are, so that they are found there.
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.@:/+-]{1,200}")

#: What JavaScript's expressions have and RE2's do not.
_BEYOND: Final = re.compile(r"\(\?[=!<]|\\[1-9k]")

_DEEPEST: Final = 8

_JOINS: Final = {"$and": " && ", "$or": " || "}


class Untold(ValueError):
    """A condition that cannot be said here; the text says why."""


def cel_of(query: object, depth: int = 0) -> str:
    """Return a query as an expression.

    Raises:
        Untold: it asks about what is not known here, or in a way that CEL has not.
    """
    if not isinstance(query, Mapping) or not query:
        raise Untold("a condition is a mapping of what is asked about to what it must be")
    if depth == _DEEPEST:
        raise Untold(f"more than {_DEEPEST} conditions lie within one another")
    for operator, join in _JOINS.items():
        inner = query.get(operator)
        if isinstance(inner, list) and inner:
            return _joined([cel_of(each, depth + 1) for each in inner], join)
    return _joined([_test(str(key), wanted) for key, wanted in query.items()], " && ")


def _joined(parts: list[str], join: str) -> str:
    return parts[0] if len(parts) == 1 else join.join(f"({part})" for part in parts)


def _test(key: str, wanted: object) -> str:
    operators = wanted if isinstance(wanted, Mapping) else {"$eq": wanted}
    equals, matches = _asked(key)
    parts = []
    for operator, value in operators.items():
        if operator in {"$eq", "$ne"}:
            part = equals(value)
        elif operator in {"$in", "$nin"} and isinstance(value, list) and value:
            part = _joined([equals(each) for each in value], " || ")
        elif operator == "$regex" and matches is not None:
            part = matches(value)
        else:
            raise Untold(f"{operator} of {key} cannot be asked here")
        parts.append(f"!({part})" if operator in {"$ne", "$nin"} else part)
    if not parts:
        raise Untold(f"nothing is asked of {key}")
    return _joined(parts, " && ")


def _asked(key: str) -> tuple[Callable[[object], str], Callable[[object], str] | None]:
    """Return what tests for equality, and for a regular expression where that can be."""
    source, _, name = key.partition(".")
    if source == "metadata" and _PLAIN.fullmatch(name):
        return lambda value: _metadata(name, value), None
    if key == "params.stream":
        return _streamed, None
    variable = {"params.model": "model", "url.pathname": "path"}.get(key)
    if variable is None:
        raise Untold(
            f"{key} is not known when a place is chosen: the model, stream, the path and metadata are"
        )
    return (
        lambda value: f"{variable} == {_text(value)}",
        lambda value: f"{variable}.matches({_pattern(value)})",
    )


def _metadata(name: str, value: object) -> str:
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise Untold(f"metadata.{name} can be asked for plain texts alone")
    pattern = rf'"{re.escape(name)}"\s*:\s*"{re.escape(value)}"'
    return f"{_METADATA} in headers && headers[{_METADATA}].matches({_text(pattern)})"


def _streamed(value: object) -> str:
    if not isinstance(value, bool):
        raise Untold("params.stream is true or false")
    return "streamed" if value else "!streamed"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Untold("only texts can be compared")
    try:
        # JSON's texts are CEL's too; a reference to a variable or a file in it is none of this configuration's.
        return orjson.dumps(value).decode().replace("${", "$${")
    except orjson.JSONEncodeError:
        raise Untold("not a text") from None


def _pattern(value: object) -> str:
    if not isinstance(value, str) or _BEYOND.search(value):
        raise Untold("a regular expression that RE2 cannot match")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        raise Untold("not a regular expression") from None
    return _text(value)
