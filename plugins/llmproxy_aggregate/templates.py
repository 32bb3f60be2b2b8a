"""Texts and JSON values with references in braces, filled from a request and from answers. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from llmproxy_aggregate.references import Missing, Omitted, Reference, read_reference

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")

#: Lists and objects that a template may hold within one another.
_DEEPEST: Final = 32

#: The members by which an object of a template is put together from others, or a list from lists.
_MERGE: Final = "$merge"
_CONCAT: Final = "$concat"


class Text:
    """A text with references in braces; a doubled brace is one brace."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            ValueError: a brace is alone, or what stands between two is no reference.
        """
        #: What stands there, and what is to be looked up.
        self.pieces = [_read(match) for match in _PIECE.finditer(text)]
        #: The reference that is all of the text, if there is one.
        self.whole = self.pieces[0] if len(self.pieces) == 1 else None

    def references(self) -> Iterator[Reference]:
        """Give the references in it."""
        return (piece for piece in self.pieces if isinstance(piece, Reference))

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the text.

        Raises:
            Missing: a reference without a fallback leads nowhere, or to what is no text.
        """
        return "".join(
            piece if isinstance(piece, str) else plain(piece, found(piece, values)) for piece in self.pieces
        )


class Shape:
    """A JSON value whose texts may hold references: one that is nothing else becomes the value itself.

    Where a reference leads nowhere there is null, unless it is `strict`.
    """

    def __init__(self, template: Any, *, strict: bool = False) -> None:
        """Read it.

        Raises:
            ValueError: a text in it cannot be read, or it is too deep.
        """
        self._strict = strict
        self._references: list[Reference] = []
        self._build = self._read(template, 0)

    def references(self) -> Iterator[Reference]:
        """Give the references in it."""
        return iter(self._references)

    def fill(self, values: Mapping[str, Any]) -> Any:
        """Return the value; what a call's policy omits is left out of its object or list.

        Raises:
            Omitted: that is all of it.
            Missing: it is strict, and a reference without a fallback leads nowhere.
        """
        return self._build(values)

    def _read(self, template: Any, depth: int) -> Callable[[Mapping[str, Any]], Any]:
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} lists and objects within one another")
        if isinstance(template, str):
            return self._text(Text(template))
        if isinstance(template, list):
            items = [self._read(item, depth + 1) for item in template]
            return lambda values: [value for item in items for value in _kept(item, values)]
        if isinstance(template, dict):
            if len(template) == 1 and isinstance(inner := template.get(_MERGE, template.get(_CONCAT)), list):
                parts = self._read(inner, depth + 1)
                join = _merged if _MERGE in template else _joined
                return lambda values: join(parts(values))
            members = {str(name): self._read(each, depth + 1) for name, each in template.items()}
            return lambda values: {
                name: value for name, each in members.items() for value in _kept(each, values)
            }
        return lambda values: template

    def _text(self, text: Text) -> Callable[[Mapping[str, Any]], Any]:
        self._references.extend(text.references())
        whole = text.whole

        def fill(values: Mapping[str, Any]) -> Any:
            try:
                return found(whole, values) if isinstance(whole, Reference) else text.fill(values)
            except Omitted:
                raise
            except Missing:
                if self._strict:
                    raise
                return None

        return fill


def found(reference: Reference, values: Mapping[str, Any]) -> Any:
    """Return what a reference leads to, or its fallback.

    Raises:
        Missing: neither is there.
    """
    try:
        return reference.look_up(values)
    except Missing:
        if reference.fallback is None:
            raise
        return reference.fallback


def plain(reference: Reference, value: Any) -> str:
    """Spell a value as text; items of a list have commas between them.

    Raises:
        Missing: it is an object, or a list of such.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(_scalar(reference, item) for item in value)
    return _scalar(reference, value)


def _scalar(reference: Reference, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Missing(reference.source)


def _kept(build: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any]) -> Iterator[Any]:
    """Give the value, unless it is omitted."""
    try:
        value = build(values)
    except Omitted:
        return
    yield value


def _merged(parts: list[Any]) -> dict[str, Any]:
    """Put objects into one; the later one wins, and what is no object adds nothing."""
    return {name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()}


def _joined(parts: list[Any]) -> list[Any]:
    return [item for part in parts if isinstance(part, list) for item in part]


def _read(match: re.Match[str]) -> str | Reference:
    text = match[0]
    if text in ("{{", "}}"):
        return text[0]
    if match[1] is not None:
        return read_reference(match[1])
    if text in ("{", "}"):
        raise ValueError(f"a {text!r} stands alone; write it twice if it is meant")
    return text
