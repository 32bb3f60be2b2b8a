"""Structured fields, as strict as RFC 9651 wants them: dictionaries and lists, parameters read and passed over."""

from __future__ import annotations

import binascii
import re
from decimal import Decimal
from typing import Final

_KEY: Final = re.compile(rb"[a-z*][a-z0-9_.*-]*")
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_TOKEN: Final = re.compile(rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_STRING: Final = re.compile(rb'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BINARY: Final = re.compile(rb":([A-Za-z0-9+/=]*):")
_DISPLAY: Final = re.compile(rb'%"((?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_PERCENT: Final = re.compile(rb"%([0-9a-f]{2})")
_SPACES: Final = re.compile(rb" *")
_BLANKS: Final = re.compile(rb"[ \t]*")

#: Digits of a whole number, and before and behind a decimal's point (RFC 9651 §3.3.1, §3.3.2).
_WHOLE, _BEFORE, _BEHIND = 15, 12, 3


class BadStructure(ValueError):  # the other side's mistake
    """The bytes are no structured field of that kind."""


class Token(str):
    """A token, which is no string (RFC 9651 §3.3.4)."""

    __slots__ = ()


class _Reader:
    """The bytes of one field and a place in them."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def skip(self, pattern: re.Pattern[bytes]) -> None:
        """Pass over what the pattern takes, which may be nothing."""
        match = pattern.match(self.data, self.at)
        if match is not None:
            self.at = match.end()

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Return what stands here, which must fit."""
        match = pattern.match(self.data, self.at)
        if match is None:
            raise BadStructure(f"unreadable at {self.at}")
        self.at = match.end()
        return match

    def sees(self, sign: bytes) -> bool:
        """Pass over a sign if it stands here."""
        if self.data.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.at == len(self.data)

    def another(self) -> bool:
        """Whether another member follows, which must then be there (RFC 9651 §4.2.1)."""
        self.skip(_BLANKS)
        if self.over:
            return False
        if not self.sees(b","):
            raise BadStructure(f"no comma at {self.at}")
        self.skip(_BLANKS)
        if self.over:
            raise BadStructure("a comma at the end")
        return True


def parse_dictionary(data: bytes) -> dict[str, object]:
    """Read a dictionary (RFC 9651 §4.2.2); an inner list is a tuple.

    Raises:
        BadStructure: it is none.
    """
    reader = _trimmed(data)
    members: dict[str, object] = {}
    going = not reader.over
    while going:
        key = reader.take(_KEY)[0].decode()
        members.pop(key, None)  # the last one counts, and stands where it stood
        if reader.sees(b"="):
            members[key] = _member(reader)
        else:
            members[key] = True
            _parameters(reader)
        going = reader.another()
    return members


def parse_list(data: bytes) -> list[object]:
    """Read a list (RFC 9651 §4.2.1); an inner list is a tuple.

    Raises:
        BadStructure: it is none.
    """
    reader = _trimmed(data)
    members: list[object] = []
    going = not reader.over
    while going:
        members.append(_member(reader))
        going = reader.another()
    return members


def _trimmed(data: bytes) -> _Reader:
    return _Reader(data.strip(b" "))


def _member(reader: _Reader) -> object:
    value = _inner(reader) if reader.sees(b"(") else _bare(reader)
    _parameters(reader)
    return value


def _inner(reader: _Reader) -> tuple[object, ...]:
    members: list[object] = []
    while True:
        reader.skip(_SPACES)
        if reader.sees(b")"):
            return tuple(members)
        if members and reader.data[reader.at - 1 : reader.at] != b" ":
            raise BadStructure(f"no space at {reader.at}")
        members.append(_bare(reader))
        _parameters(reader)


def _parameters(reader: _Reader) -> None:
    while reader.sees(b";"):
        reader.skip(_SPACES)
        reader.take(_KEY)
        if reader.sees(b"="):
            _bare(reader)


def _bare(reader: _Reader) -> object:
    sign = reader.data[reader.at : reader.at + 1]
    if sign == b'"':
        return _ESCAPED.sub(r"\1", reader.take(_STRING)[1].decode())
    if sign == b":":
        return _binary(reader.take(_BINARY)[1])
    if sign == b"?":
        return _boolean(reader)
    if sign == b"%":
        return _display(reader.take(_DISPLAY)[1])
    if sign == b"@":
        return _date(reader)
    return _number(reader) if sign == b"-" or sign.isdigit() else Token(reader.take(_TOKEN)[0].decode())


def _number(reader: _Reader) -> int | Decimal:
    text = reader.take(_NUMBER)[0]
    if reader.data.startswith(b".", reader.at):
        raise BadStructure(f"a point at {reader.at}")
    whole, point, rest = text.lstrip(b"-").partition(b".")
    if not point:
        if len(whole) > _WHOLE:
            raise BadStructure("a number too long")
        return int(text)
    if len(whole) > _BEFORE or len(rest) > _BEHIND:
        raise BadStructure("a decimal too long")
    return Decimal(text.decode())


def _date(reader: _Reader) -> int:
    reader.at += 1
    moment = _number(reader)
    if isinstance(moment, Decimal):
        raise BadStructure("a date of no whole seconds")
    return moment


def _boolean(reader: _Reader) -> bool:
    if reader.sees(b"?1"):
        return True
    if reader.sees(b"?0"):
        return False
    raise BadStructure(f"no boolean at {reader.at}")


def _binary(text: bytes) -> bytes:
    try:
        # Padding may be left out, and stray bits are not looked at (RFC 9651 §4.2.7).
        return binascii.a2b_base64(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4))
    except binascii.Error as fault:
        raise BadStructure("no base64") from fault


def _display(text: bytes) -> str:
    try:
        return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), text).decode()
    except UnicodeDecodeError as fault:
        raise BadStructure("no UTF-8") from fault
