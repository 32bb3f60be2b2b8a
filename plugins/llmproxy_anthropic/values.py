"""Reads values of a caller's JSON that must be of one type; anything else is told of by its place."""

from __future__ import annotations

from typing import Final, NoReturn

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
]


def refuse(where: str, what: str) -> NoReturn:
    """Raise the error for a value that is not as it must be."""
    raise BadField("invalid_type", f"{where}: {what}.", where)


def _said(where: str, kind: Kind) -> str:
    return f"{where}: Input should be a valid {kind}."


_VALUES: Final = Values(_said)
a_text, a_text_or_nothing = _VALUES.text, _VALUES.text_or_nothing
a_list, an_object = _VALUES.items, _VALUES.members
a_count, a_number, a_truth = _VALUES.count, _VALUES.number, _VALUES.truth
a_body = body_members
