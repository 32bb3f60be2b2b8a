"""Names of tags made from an event's fields: `product:{id}`, `{data.kind}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any, Final

#: Names that one template may give, where fields are lists.
MOST_NAMES: Final = 256

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_FIELD: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Unfilled(ValueError):
    """An event lacks a field that a template needs, or has it in a shape that is no name."""


class Template:
    """A text with fields in braces; a doubled brace is one brace."""

    def __init__(self, text: str) -> None:
        """Read a template.

        Raises:
            ValueError: a brace is alone, or what stands between two is no field.
        """
        self.text = text
        self._pieces = [_read(match) for match in _PIECE.finditer(text)]
        self.fields = frozenset(piece for piece, is_field in self._pieces if is_field)

    def fill(self, event: Mapping[str, Any]) -> list[str]:
        """Return the names that an event makes of it: one, or one for each item of its lists.

        Raises:
            Unfilled: a field is missing, empty, or neither text nor number.
        """
        choices = [_found(event, piece) if is_field else [piece] for piece, is_field in self._pieces]
        names: list[str] = []
        for parts in product(*choices):
            if len(names) == MOST_NAMES:
                raise Unfilled(f"{self.text!r} would make more than {MOST_NAMES} names of this event")
            names.append("".join(parts))
        return names


def find(event: Mapping[str, Any], field: str) -> Any:
    """Return what an event has under a name, or under names with dots between, one inside the other; else None."""
    value: Any = event
    for name in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _read(match: re.Match[str]) -> tuple[str, bool]:
    text = match[0]
    if text in ("{{", "}}"):
        return text[0], False
    if match[1] is not None:
        if _FIELD.fullmatch(match[1]) is None:
            raise ValueError(
                f"{text!r} is no field; write a name, or names with dots between, as in '{{data.id}}'"
            )
        return match[1], True
    if text in ("{", "}"):
        raise ValueError(f"a {text!r} stands alone; write it twice if it is meant")
    return text, False


def _found(event: Mapping[str, Any], field: str) -> list[str]:
    value = find(event, field)
    values = value if isinstance(value, list) else [value]
    names = [str(each) for each in values if isinstance(each, str | int) and not isinstance(each, bool)]
    if len(names) != len(values) or not all(names) or not names:
        raise Unfilled(f"the event has no text or number as {field!r}")
    return names
