"""Durations and sizes as configuration writes them: `30s`, `1m30s`, `250ms`, `64MiB`."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final

from msgspec import Meta

from llmproxy.references import quoted

_SECONDS: Final = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_BYTES: Final = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_DURATION_PART: Final = re.compile(rf"({_NUMBER})(us|ms|s|m|h|d)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:us|ms|s|m|h|d))+", re.ASCII)
_SIZE: Final = re.compile(rf"({_NUMBER})\s?({'|'.join(_BYTES)})", re.ASCII)
_PLAIN_NUMBER: Final = re.compile(_NUMBER, re.ASCII)
_MAX_TEXT: Final = 64

DURATION: Final = Meta(
    extra={"unit": "duration"},
    extra_json_schema={
        "x-text": rf"^({_NUMBER}(us|ms|s|m|h|d))+$",
        "description": "A duration: seconds, or text with a unit such as 250ms, 30s, 1m30s, 2h, 1d.",
        "minimum": 0,
    },
)
SIZE: Final = Meta(
    extra={"unit": "size"},
    extra_json_schema={
        "x-text": rf"^{_NUMBER} ?({'|'.join(_BYTES)})$",
        "description": "A size: bytes, or text with a unit such as 512B, 16KiB, 64MiB, 1MB.",
        "minimum": 0,
    },
)

Duration = Annotated[float, DURATION]
Size = Annotated[int, SIZE]


def parse_duration(value: object) -> float:
    """Return the seconds that `value` stands for; a plain number is seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value >= 0 and math.isfinite(value):
            return float(value)
        raise ValueError("a duration is neither negative nor endless")
    if isinstance(value, str) and len(value) <= _MAX_TEXT:
        if _PLAIN_NUMBER.fullmatch(value):
            return float(value)
        if _DURATION.fullmatch(value):
            parts = _DURATION_PART.findall(value)
            return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in parts))
    raise ValueError(f'{_shown(value)} is not a duration such as "250ms", "30s" or "1m30s"')


def parse_size(value: object) -> int:
    """Return the bytes that `value` stands for; a plain number is bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= 0:
            return value
        raise ValueError("a size is not negative")
    if isinstance(value, str) and len(value) <= _MAX_TEXT:
        if value.isascii() and value.isdigit():
            return int(value)
        if match := _SIZE.fullmatch(value):
            size = Fraction(match[1]) * _BYTES[match[2]]
            if size.denominator == 1:
                return int(size)
            raise ValueError(f"{quoted(value)} is not a whole number of bytes")
    raise ValueError(f'{_shown(value)} is not a size such as "512B", "16KiB" or "64MiB"')


def format_duration(seconds: float) -> str:
    """Write seconds so that `parse_duration` reads the same number."""
    if seconds != int(seconds):
        exact = Decimal(repr(seconds))
        if seconds < 1 and exact * 1000 == int(exact * 1000):
            return f"{int(exact * 1000)}ms"
        return f"{exact:f}s"
    rest, text = int(seconds), ""
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, int(_SECONDS[unit]))
        text += f"{count}{unit}" if count else ""
    return text + f"{rest}s" if rest or not text else text


def format_size(size: int) -> str:
    """Write bytes in the largest binary unit that divides them."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else f"a value of type {type(value).__name__}"
