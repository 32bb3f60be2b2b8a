"""JSON in one form: the names of each object sorted, no space, and every other sign as it was written.

Numbers and strings keep their spelling, so that no two of them become one by being read; and a text that may be read in
two ways has no form at all: who answers it may have had the other one.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

#: A string, with the colon that makes it a name; a bracket, a comma; a number or a word.
_TOKEN: Final = re.compile(
    rb'[ \t\r\n]*+(?:("(?:[^"\\]|\\.)*+")([ \t\r\n]*+:)?|([{}\[\],])|([^ \t\r\n{}\[\],:"]++))', re.DOTALL
)

#: How deep a text may be nested.
DEEPEST: Final = 64


class NoForm(ValueError):  # what a caller sent, for the caller's origin to judge
    """The text is no JSON, or may be read in two ways."""


def members_of(data: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object by name, each value in its one form.

    Raises:
        NoForm: it is no object, says a name twice or in escapes, or is nested too deeply.
    """
    form = _Reader(data).whole()
    if not isinstance(form, dict):
        raise NoForm("it is no object")
    return {name.decode(): value for name, value in form.items()}


def form_of(data: bytes) -> bytes:
    """Return the one form of a JSON text.

    Raises:
        NoForm: it has none.
    """
    form = _Reader(data).whole()
    return _written(form) if isinstance(form, dict) else form


def elements_of(data: bytes) -> list[bytes]:
    """Return the elements of a JSON array, each in its one form.

    Raises:
        NoForm: it is no array, or has no form.
    """
    reader = _Reader(data)
    if reader.next() != b"[":
        raise NoForm("it is no array")
    return reader.elements(1)


class _Reader:
    """One reading of a text that is known to be JSON."""

    def __init__(self, data: bytes) -> None:
        try:
            _ = orjson.loads(data)
        except orjson.JSONDecodeError as fault:
            raise NoForm("it is no JSON") from fault
        self._data = data
        self._at = 0

    def whole(self) -> dict[bytes, bytes] | bytes:
        """Return the text's form, of an object its members."""
        token = self.next()
        return self._object(1) if token == b"{" else self._value(token, 0)

    def next(self) -> bytes:
        """Return the next token, a name with its colon, a closing bracket or comma alone."""
        token = _TOKEN.match(self._data, self._at)
        if token is None:
            raise NoForm("it is no JSON")
        self._at = token.end()
        string, colon, sign, word = token.groups()
        if string is not None:
            return string + b":" if colon is not None else string
        return sign or word

    def _value(self, token: bytes, depth: int) -> bytes:
        if depth > DEEPEST:
            raise NoForm("it is nested too deeply")
        if token == b"{":
            return _written(self._object(depth + 1))
        if token == b"[":
            return b"[%b]" % b",".join(self.elements(depth + 1))
        return token

    def _object(self, depth: int) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        while (token := self.next()) != b"}":
            if token == b",":
                continue
            name = token[1:-2]
            if name in found or b"\\" in name:
                raise NoForm("it says a name twice, or in escapes")
            found[name] = self._value(self.next(), depth)
        return found

    def elements(self, depth: int) -> list[bytes]:
        """Return the elements of the array that has been opened."""
        found: list[bytes] = []
        while (token := self.next()) != b"]":
            if token != b",":
                found.append(self._value(token, depth))
        return found


def _written(members: dict[bytes, bytes]) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % pair for pair in sorted(members.items()))
