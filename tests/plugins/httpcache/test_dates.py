from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_httpcache.dates import format_date, parse_date

NOW = 1_795_000_000.0  # November 2026
MOMENT = 784_111_777


@pytest.mark.parametrize(
    "text",
    [
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
        b"SUN, 06 NOV 1994 08:49:37 gmt",
        b"sUNDAY, 06-nOV-94 08:49:37 gMT",
    ],
)
def test_three_formats_are_dates_in_any_case(text: bytes) -> None:
    assert parse_date(text, NOW) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0",
        b"-1",
        b"Thu, 18 Aug 2050 02:01:18 UTC",
        b"Thu, 18 Aug 2050 02:01:18 AEST",
        b"Thu, 18 Aug 2050 02:01:18 +0000",
        b"Thu, 18 Aug 50 02:01:18 GMT",
        b"Thu 18 Aug 2050 02:01:18 GMT",
        b"Thu, 18  Aug  2050 02:01:18 GMT",
        b"Thu, 18-Aug-2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 02.01.18 GMT",
        b"Thu, 18 Aug 2050 2:01:18 GMT",
        b"Thu, 18 Aug 2050 2:01:18 GMT, Thu, 18 Aug 2050 2:01:19 GMT",
        b"Thu, 31 Jun 2050 02:01:18 GMT",
        b"Thu, 18 Xyz 2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 24:01:18 GMT",
        b"Thu, 18 Aug 2050 02:01:61 GMT",
        b"Thu, 18 Aug 2050 02:01:18 GMT ",
        b"Thu, \xb2\xb2 Aug 2050 02:01:18 GMT",
        b"x" * 1000,
    ],
)
def test_nothing_else_is_a_date(text: bytes) -> None:
    assert parse_date(text, NOW) is None


def test_two_digits_are_a_year_that_is_no_more_than_fifty_ahead() -> None:
    assert parse_date(b"Thursday, 18-Aug-50 02:01:18 GMT", NOW) == 2_544_400_878
    assert (
        format_date(parse_date(b"Tuesday, 18-Aug-87 02:01:18 GMT", NOW) or 0)
        == b"Tue, 18 Aug 1987 02:01:18 GMT"
    )


def test_a_leap_second_is_the_one_after_it() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == 1_483_228_800


@given(st.integers(0, 253_402_300_799))
def test_a_date_that_was_written_is_read(moment: int) -> None:
    assert parse_date(format_date(moment), NOW) == moment


@given(st.integers(0, 4_000_000_000))
def test_dates_are_written_as_everybody_writes_them(moment: int) -> None:
    assert format_date(moment).decode() == formatdate(moment, usegmt=True)
