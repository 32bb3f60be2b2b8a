"""Reads values of a caller's JSON that must be of one type; anything else is told of by its place."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from llmproxy.canonical.values import Kind, Values, body_members, tell_rest
from llmproxy.plugin import BadField

__all__ = [
    "a_body",
    "a_count",
    "a_list",
    "a_number",
    "a_text",
    "a_text_or_nothing",
    "a_truth",
    "an_object",
    "refuse",
    "tell_rest",
    "the_one",
]


_MUST_BE: Final[dict[Kind, str]] = {
    "string": "a string",
    "list": "a list",
    "object": "an object",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}


def refuse(where: str, what: str) -> NoReturn:
    """Raise the error for a value that is not as it must be."""
    raise BadField("invalid_type", f"The value at '{where}' {what}.", where)


def the_one(value: dict[str, Any], where: str) -> tuple[str, Any]:
    """Return the member of a union: the one that is set."""
    told = [(key, each) for key, each in value.items() if each is not None]
    if len(told) != 1:
        refuse(where, "must hold exactly one member")
    return told[0]


def _said(where: str, kind: Kind) -> str:
    return f"The value at '{where}' must be {_MUST_BE[kind]}."


_VALUES: Final = Values(_said)
a_text, a_text_or_nothing = _VALUES.text, _VALUES.text_or_nothing
a_list, an_object = _VALUES.items, _VALUES.members
a_count, a_number, a_truth = _VALUES.count, _VALUES.number, _VALUES.truth
a_body = body_members
