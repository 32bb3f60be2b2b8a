"""Parameters of a request as values: what the text of a path, query or header means (OpenAPI 3.1 §4.8.12)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from llmproxy_validation.bodies import TwoMembers, read_json

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
_DEEP: Final = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_SEPARATORS: Final = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}

#: The styles that are read, by where a parameter is; the first is the usual one.
STYLES: Final[Mapping[str, Sequence[str]]] = {
    "path": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}

#: Stands for a parameter that is not there, and for one that is there more than once where one is meant: readers may
#: take either.
ABSENT: Final = object()
REPEATED: Final = object()


class Parameter(NamedTuple):
    """One parameter; `kinds` are the types that its schema wants, `items` and `members` those inside."""

    name: str
    place: str
    required: bool
    style: str
    explode: bool
    kinds: frozenset[str]
    items: frozenset[str]
    members: Mapping[str, frozenset[str]]
    is_json: bool = False

    @property
    def names(self) -> Sequence[str]:
        """The names that it may be written by in a query."""
        return (self.name, *self.members) if self.explode and self.style == "form" else (self.name,)

    def read(self, pairs: Sequence[tuple[str, str]]) -> Any:
        """Return the parameter's value out of its place's names and texts, or ABSENT, or REPEATED."""
        if self.style == "deepObject":
            found = [
                (m[2], text) for name, text in pairs if (m := _DEEP.fullmatch(name)) and m[1] == self.name
            ]
            return self._object(found) if found else ABSENT
        if self.explode and "object" in self.kinds and self.style == "form" and not self.is_json:
            own = [(name, text) for name, text in pairs if name in self.members]
            return self._object(own) if own else ABSENT
        texts = [text for name, text in pairs if name == self.name]
        return self._value(texts) if texts else ABSENT

    def _value(self, texts: Sequence[str]) -> Any:
        is_list = "array" in self.kinds and not self.is_json
        if is_list and self.explode and self.style == "form":
            return [typed(text, self.items) for text in texts]
        if len(texts) > 1:
            return REPEATED
        text = texts[0]
        if self.is_json:
            return _json(text)
        parts = text.split(_SEPARATORS[self.style])
        if is_list:
            return [typed(part, self.items) for part in parts]
        if "object" in self.kinds:
            named = [tuple(part.partition("=")[::2]) for part in parts]
            return self._object(named if self.explode else list(zip(parts[::2], parts[1::2], strict=False)))
        return typed(text, self.kinds)

    def _object(self, pairs: Sequence[tuple[str, ...]]) -> Any:
        value = {name: typed(text, self.members.get(name, frozenset())) for name, text in pairs}
        return value if len(value) == len(pairs) else REPEATED


def _json(text: str) -> Any:
    """Return a JSON document, REPEATED where it holds a member twice, or the text itself where it is none."""
    try:
        return read_json(text.encode())
    except TwoMembers:
        return REPEATED
    except ValueError:
        return text


def typed(text: str, kinds: frozenset[str]) -> Any:
    """Return what a text means where a value of these types is wanted; the text itself where it is none of them."""
    if "integer" in kinds and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return None if "null" in kinds and text == "" and "string" not in kinds else text


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return a query's names and values, decoded."""
    pairs = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((unquote(name.replace("+", " ")), unquote(value.replace("+", " "))))
    return pairs


def cookie_pairs(header: str) -> list[tuple[str, str]]:
    """Return a Cookie header's names and values (RFC 6265 §4.2.1)."""
    found = (piece.strip().partition("=") for piece in header.split(";"))
    return [(name, value) for name, equals, value in found if equals]
