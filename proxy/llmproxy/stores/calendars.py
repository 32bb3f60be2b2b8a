"""Months of UTC as numbers, counted from January 1970; times are microseconds since then."""

from __future__ import annotations

from calendar import timegm
from functools import lru_cache
from time import gmtime
from typing import Final

_DAY: Final = 86_400_000_000


def month_number(now: int) -> int:
    """Return the month that a time is in."""
    return _of_day(now // _DAY)


@lru_cache(maxsize=64)
def _of_day(day: int) -> int:
    told = gmtime(day * 86_400)
    return (told.tm_year - 1970) * 12 + told.tm_mon - 1


@lru_cache(maxsize=64)
def month_start(month: int) -> int:
    """Return when a month begins."""
    return timegm((1970 + month // 12, month % 12 + 1, 1, 0, 0, 0)) * 1_000_000
