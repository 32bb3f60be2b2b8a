"""HTTP dates: the three formats of RFC 9110 §5.6.7 and nothing else, in any letter case.

Lenient mail-date readers take dates that are none; what a cache takes for a date decides how long it serves an answer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_MONTH_NAMES: Final = tuple(name.title().decode() for name in _MONTHS)
_DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_SHORT: Final = rb"(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG: Final = rb"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_MONTH: Final = rb"(?P<month>[a-z]{3})"
_TIME: Final = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMATS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Sun, 06 Nov 1994 08:49:37 GMT
        _SHORT + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT",
        # Sunday, 06-Nov-94 08:49:37 GMT
        _LONG + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT",
        # Sun Nov  6 08:49:37 1994
        _SHORT + b" " + _MONTH + rb" (?P<day>[ 0-9][0-9]) " + _TIME + rb" (?P<year>[0-9]{4})",
    )
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Seconds of a year, near enough to tell which one it is.
_YEAR: Final = 31_556_952

#: How many years ahead a year of two digits may lie before it is one of the past (RFC 9110 §5.6.7).
_AHEAD: Final = 50

_LONGEST: Final = 40


def parse_date(value: bytes, now: float) -> int | None:
    """Return the seconds since 1970 of an HTTP date, None where it is none; `now` settles years of two digits."""
    return None if len(value) > _LONGEST else _parse(value, 1970 + int(now // _YEAR))


@lru_cache(maxsize=1024)
def _parse(value: bytes, this_year: int) -> int | None:
    for pattern in _FORMATS:
        match = pattern.fullmatch(value)
        if match is not None:
            return _moment(match, this_year)
    return None


def _moment(match: re.Match[bytes], this_year: int) -> int | None:
    month = _MONTHS.get(match["month"].lower())
    if month is None:
        return None
    year, second = int(match["year"]), int(match["second"])
    if len(match["year"]) == 2:
        year += this_year // 100 * 100
        year -= 100 if year > this_year + _AHEAD else 0
    if second > 60:
        return None
    try:
        # A leap second is the one after it, as everywhere outside astronomy.
        moment = datetime(
            year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), tzinfo=UTC
        )
    except ValueError:
        return None
    return (moment + timedelta(seconds=second) - _EPOCH) // timedelta(seconds=1)


def format_date(moment: float) -> bytes:
    """Write seconds since 1970 as an HTTP date."""
    day = _EPOCH + timedelta(seconds=int(moment))
    return (
        f"{_DAY_NAMES[day.weekday()]}, {day.day:02} {_MONTH_NAMES[day.month - 1]} {day.year:04} "
        f"{day.hour:02}:{day.minute:02}:{day.second:02} GMT"
    ).encode()
