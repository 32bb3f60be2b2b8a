"""Texts and JSON values with references in braces, filled from values. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from llmproxy.valuepaths import Missing, Omitted, Reference, read_reference

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")

#: Lists and objects that a template may hold within one another.
_DEEPEST: Final = 32

#: The members by which an object of a template is put together from others, or a list from lists.
_MERGE: Final = "$merge"
_CONCAT: Final = "$concat"


_Build = Callable[[Mapping[str, Any]], Any]


class TextTemplate:
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
            piece if isinstance(piece, str) else piece.spell(piece.find(values)) for piece in self.pieces
        )


class ValueTemplate:
    """A JSON value whose texts may hold references: one that is nothing else becomes the value itself.

    Where a reference leads nowhere there is null, unless it is `strict`. One that is `sparse` leaves out what leads
    nowhere, and objects and lists that had nothing else; what stands behind a bar is a number, true, false or null if
    it reads as such; and what was put in from the environment or a file stays as it is.
    """

    def __init__(self, template: Any, *, strict: bool = False, sparse: bool = False) -> None:
        """Read it.

        Raises:
            ValueError: a text in it cannot be read, or it is too deep.
        """
        self._strict = strict
        self._sparse = sparse
        self._references: list[Reference] = []
        self._build = self._read(template, 0)

    def references(self) -> Iterator[Reference]:
        """Give the references in it."""
        return iter(self._references)

    def fill(self, values: Mapping[str, Any]) -> Any:
        """Return the value; what is omitted is left out of its object or list.

        Raises:
            Omitted: that is all of it.
            Missing: it is strict, and a reference without a fallback leads nowhere.
        """
        return self._build(values)

    def _read(self, template: Any, depth: int) -> _Build:
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} lists and objects within one another")
        if isinstance(template, str):
            if self._sparse and type(template) is not str:
                return lambda values: str.__str__(template)
            return self._text(TextTemplate(template))
        if isinstance(template, list):
            return self._list([self._read(item, depth + 1) for item in template])
        if isinstance(template, dict):
            if len(template) == 1 and isinstance(inner := template.get(_MERGE, template.get(_CONCAT)), list):
                parts = self._read(inner, depth + 1)
                join = _merged if _MERGE in template else _joined
                return lambda values: join(parts(values))
            return self._object({str(name): self._read(each, depth + 1) for name, each in template.items()})
        return lambda values: template

    def _list(self, items: list[_Build]) -> _Build:
        def fill(values: Mapping[str, Any]) -> Any:
            return self._unless_emptied(
                [value for item in items for value in _kept(item, values)], bool(items)
            )

        return fill

    def _object(self, members: dict[str, _Build]) -> _Build:
        def fill(values: Mapping[str, Any]) -> Any:
            filled = {name: value for name, each in members.items() for value in _kept(each, values)}
            return self._unless_emptied(filled, bool(members))

        return fill

    def _unless_emptied(self, filled: Any, had: bool) -> Any:
        if self._sparse and had and not filled:
            raise Omitted("")
        return filled

    def _text(self, text: TextTemplate) -> _Build:
        self._references.extend(text.references())
        whole = text.whole
        if self._sparse and isinstance(whole, Reference) and whole.fallback is not None:
            return self._with_fallback(whole._replace(fallback=None), _typed(whole.fallback))

        def fill(values: Mapping[str, Any]) -> Any:
            try:
                return whole.find(values) if isinstance(whole, Reference) else text.fill(values)
            except Omitted:
                raise
            except Missing as missing:
                if self._sparse:
                    raise Omitted(missing.source) from None
                if self._strict:
                    raise
                return None

        return fill

    def _with_fallback(self, reference: Reference, fallback: Any) -> _Build:
        def fill(values: Mapping[str, Any]) -> Any:
            try:
                return reference.look_up(values)
            except Missing:
                return fallback

        return fill


def _typed(fallback: str) -> Any:
    try:
        value = orjson.loads(fallback)
    except orjson.JSONDecodeError:
        return fallback
    return fallback if isinstance(value, str | list | dict) else value


def _kept(build: _Build, values: Mapping[str, Any]) -> Iterator[Any]:
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
