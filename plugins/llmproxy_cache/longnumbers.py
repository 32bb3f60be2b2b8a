"""Numbers of a body that are not what they were once they are read.

A whole number beyond 64 bits is read as the nearest double, so that one customer's number is another's. Whoever compares
two bodies by what was read has to compare these as they are written.
"""

from __future__ import annotations

import re
from typing import Final

#: Digits from which on a number may be beyond what is read exactly.
_LONG: Final = 19
_RUN: Final = b"0" * _LONG
_DIGITS: Final = bytes(ord("0") if chr(sign).isdigit() and sign < 0x80 else ord(" ") for sign in range(256))

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER: Final = re.compile(rb"-?[0-9.]{%d,}(?:[eE][+-]?[0-9]+)?" % _LONG)


def long_numbers(body: bytes) -> bytes:
    """Return the long numbers of a JSON text as they are written, in their order; nearly always there is none."""
    if _RUN not in body.translate(_DIGITS):
        return b""
    return b",".join(_NUMBER.findall(_STRING.sub(b'""', body)))
