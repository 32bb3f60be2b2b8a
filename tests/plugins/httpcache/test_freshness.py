from __future__ import annotations

import pytest

from llmproxy_httpcache.dates import format_date
from llmproxy_httpcache.directives import ResponseControl, response_control
from llmproxy_httpcache.freshness import (
    date_of,
    explicit_lifetime,
    guessed_lifetime,
    initial_age,
    own_lifetime,
)
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.policy import Policy

from .stage import policy_of

NOW = 1_795_000_000.0
DATE = int(NOW)


def _expires(*values: bytes, cache_control: bytes = b"") -> int | None:
    fields = Fields([(b"Expires", value) for value in values])
    return explicit_lifetime(response_control(cache_control), fields, DATE, NOW)


def test_s_maxage_comes_before_max_age_and_that_before_expires() -> None:
    later = format_date(NOW + 100)

    assert _expires(later, cache_control=b"max-age=7, s-maxage=5") == 5
    assert _expires(later, cache_control=b"max-age=7") == 7
    assert _expires(later) == 100


@pytest.mark.parametrize("values", [(b"0",), (format_date(NOW),), (format_date(NOW - 9),)])
def test_what_has_expired_is_not_fresh(values: tuple[bytes, ...]) -> None:
    assert _expires(*values) == 0


def test_two_expiries_are_none() -> None:
    assert _expires(format_date(NOW + 9), format_date(NOW + 10)) == 0
    assert _expires(format_date(NOW + 9), format_date(NOW + 9)) == 9


def test_expires_says_nothing_to_whom_a_targeted_field_spoke() -> None:
    fields = Fields([(b"Expires", format_date(NOW + 9))])

    assert explicit_lifetime(ResponseControl(targeted=True), fields, DATE, NOW) is None


@pytest.mark.parametrize(
    ("lines", "age"),
    [
        ((b"7200",), 7200),
        ((b"7200, 0",), 7200),
        ((b"0, 7200",), 0),
        ((b"7200", b"0"), 7200),
        ((b"0", b"7200"), 0),
        ((b"abc",), 0),
        ((b"-7200",), 0),
        ((b"7200.0",), 0),
        ((b"7200;foo=bar",), 0),
        ((b"2147483648",), 2**31),
        ((b"99999999999999999999",), 2**31),
        ((), 0),
    ],
)
def test_the_age_is_the_first_number_that_was_sent(lines: tuple[bytes, ...], age: int) -> None:
    fields = Fields([(b"Age", line) for line in lines])

    assert initial_age(fields, DATE, NOW, NOW) == age


def test_the_age_counts_the_delay_and_the_way() -> None:
    assert initial_age(Fields([(b"Age", b"10")]), DATE, NOW - 3, NOW) == 13
    assert initial_age(Fields([(b"Age", b"10")]), DATE - 60, NOW - 3, NOW) == 60
    assert initial_age(Fields([]), DATE + 60, NOW, NOW) == 0


def test_an_answer_without_date_is_of_now() -> None:
    assert date_of(Fields([]), NOW) == DATE
    assert date_of(Fields([(b"Date", b"yesterday")]), NOW) == DATE
    assert date_of(Fields([(b"Date", format_date(5))]), NOW) == 5


def test_a_guess_is_a_tenth_of_the_time_without_change() -> None:
    policy, nothing = policy_of("rfc9111"), ResponseControl()

    assert guessed_lifetime(policy, nothing, 200, DATE, DATE - 1000) == 100
    assert guessed_lifetime(policy, nothing, 599, DATE, DATE - 1000) is None
    assert guessed_lifetime(policy, ResponseControl(public=True), 599, DATE, DATE - 1000) == 100
    assert guessed_lifetime(policy, nothing, 200, DATE, None) is None
    assert guessed_lifetime(policy, nothing, 200, DATE, DATE + 5) == 0
    assert guessed_lifetime(policy_of("api"), nothing, 200, DATE, DATE - 1000) is None


def test_the_route_has_a_lifetime_of_its_own() -> None:
    given = Policy(ttl=60)
    firm = Policy(ttl=60, override=True)

    assert own_lifetime(given, 200, None) == 60
    assert own_lifetime(given, 200, 5) == 5
    assert own_lifetime(firm, 200, 5) == 60
    assert own_lifetime(firm, 500, None) is None
