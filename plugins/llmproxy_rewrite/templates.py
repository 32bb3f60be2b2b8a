"""Texts with placeholders: `{path.id}`, `{header.x-user}`, `{caller.tenant}`. They read values and do nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_SOURCE: Final = re.compile(r"([a-z]+)\.([A-Za-z0-9_.-]+)(?:\|(.*))?", re.DOTALL)

#: What may stand before the dot; names behind it are the request's, but for those listed.
KINDS: Final[Mapping[str, frozenset[str] | None]] = {
    "path": None,
    "query": None,
    "header": None,
    "match": None,
    "label": None,
    "caller": frozenset({"tenant", "key"}),
    "client": frozenset({"ip"}),
    "request": frozenset({"id", "method", "path", "host", "scheme", "model"}),
}

#: Gives the value that a placeholder stands for, None where there is none.
Lookup = Callable[[str, str], str | None]
#: Makes a value fit where it is put; the placeholder's kind and name say whose it is.
Quote = Callable[[str, "Source"], str]


class Source(NamedTuple):
    """A placeholder: `{kind.name}` or `{kind.name|fallback}`."""

    kind: str
    name: str
    fallback: str | None


class Template:
    """A text with placeholders; a doubled brace is one brace."""

    def __init__(self, text: str) -> None:
        """Read a template.

        Raises:
            ValueError: a brace is alone, or what stands between two is no placeholder.
        """
        self._pieces: list[str | Source] = [_read(found) for found in _PIECE.finditer(text)]
        self.sources = [piece for piece in self._pieces if isinstance(piece, Source)]
        #: The text, where it is the same for every request.
        self.constant = None if self.sources else "".join(map(str, self._pieces))

    def fill(self, lookup: Lookup, quote: Quote | None = None) -> str | None:
        """Return the text for one request; None where a value is missing that has no fallback."""
        if self.constant is not None:
            return self.constant
        parts: list[str] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                parts.append(piece)
                continue
            value = lookup(piece.kind, piece.name)
            if value is None:
                value = piece.fallback
            if value is None:
                return None
            parts.append(value if quote is None else quote(value, piece))
        return "".join(parts)


class Missing(Exception):
    """A value that a template needs is not there."""


class Shape:
    """A JSON value whose strings are templates."""

    def __init__(self, value: Any) -> None:
        self._value = _templated(value)
        #: The placeholders in it.
        self.sources = list(_sources(self._value))

    def fill(self, lookup: Lookup) -> Any:
        """Return the value for one request.

        Raises:
            Missing: a placeholder stands for nothing.
        """
        return _filled(self._value, lookup)


def _read(found: re.Match[str]) -> str | Source:
    text = found[0]
    if text in ("{{", "}}"):
        return text[0]
    if text in ("{", "}"):
        raise ValueError(f"a {text!r} stands alone; write it twice if it is meant")
    if found[1] is None:
        return text
    source = _SOURCE.fullmatch(found[1])
    if source is None or source[1] not in KINDS:
        kinds = ", ".join(f"{{{kind}.NAME}}" for kind in KINDS)
        raise ValueError(f"{text!r} is no placeholder; there are {kinds}")
    names = KINDS[source[1]]
    if names is not None and source[2] not in names:
        raise ValueError(f"{text!r} is unknown; of {source[1]} there are {', '.join(sorted(names))}")
    name = source[2].lower() if source[1] == "header" else source[2]
    return Source(source[1], name, source[3])


def _templated(value: Any) -> Any:
    if isinstance(value, str):
        return Template(value)
    if isinstance(value, Mapping):
        return {str(key): _templated(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_templated(item) for item in value]
    return value


def _sources(value: Any) -> Iterator[Source]:
    if isinstance(value, Template):
        yield from value.sources
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _sources(item)


def _filled(value: Any, lookup: Lookup) -> Any:
    if isinstance(value, Template):
        text = value.fill(lookup)
        if text is None:
            raise Missing
        return text
    if isinstance(value, dict):
        return {key: _filled(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, lookup) for item in value]
    return value
