from typing import Any

import msgspec

from llmproxy.plugin import AccountScope, Headers, reserving
from llmproxy_quota.book import Rule, rule_of
from llmproxy_quota.config import LimitConfig
from llmproxy_quota.fields import Heading, rate_limit, refusal


def told(
    name: str, left: int, wait: int, *, ok: bool = True, **given: Any
) -> tuple[Rule, reserving.Standing]:
    config = msgspec.convert({"name": name, "counts": "requests", "at_most": 5} | given, LimitConfig)
    rule = rule_of(config, AccountScope("tenant", "t"), b"k")
    return rule, reserving.Standing(ok, left, wait)


def test_each_limit_is_told_with_its_unit_and_its_time() -> None:
    fields = rate_limit(
        [
            told("rate", 3, 1_500_000, rate=60),
            told("day", 2, 90_000_000, counts="tokens", window="day"),
            told("at once", 1, 0, counts="in_flight"),
            told("budget", 1, 0, counts="money", window="day"),
            told("trial", 1, 0, window="day", mode="shadow"),
        ]
    )

    assert fields == [
        (
            "RateLimit-Policy",
            '"rate";q=5;w=60, "day";q=5;qu="tokens";w=86400, "at once";q=5;qu="concurrent-requests"',
        ),
        ("RateLimit", '"rate";r=3;t=2, "day";r=2;t=90, "at once";r=1'),
    ]


def test_nothing_is_told_where_there_is_nothing_to_tell() -> None:
    assert rate_limit([told("budget", 1, 0, counts="money", window="day")]) == []


def test_the_refusal_names_the_limit_that_takes_longest() -> None:
    error = refusal(
        [
            told("soon", 0, 1_000_000, ok=False, rate=60),
            told("late", 0, 9_000_000, ok=False, counts="money", window="day"),
            told("fits", 1, 99_000_000, window="day"),
            told("trial", 0, 99_000_000, ok=False, window="day", mode="shadow"),
        ]
    )

    assert (error.status, error.code, error.retry_after) == (402, "budget_spent", 9.0)
    assert "'late'" in error.message


def test_what_never_fits_is_not_to_be_tried_again() -> None:
    error = refusal([told("words", 5, reserving.NEVER, ok=False, counts="tokens", window="day")])

    assert (error.status, error.retry_after) == (429, None)
    assert "alone" in error.message


def test_a_heading_sets_the_same_fields() -> None:
    limits = [
        told("rate", 3, 1_500_000, rate=60),
        told("budget", 1, 0, counts="money", window="day"),
        told("at once", 1, 0, counts="in_flight"),
    ]
    headers = Headers.of([("ratelimit", "an upstream's"), ("x", "y")])
    heading = Heading([rule for rule, _ in limits])
    heading.tell(headers, heading.state([standing for _, standing in limits]))

    assert list(headers) == [("x", "y"), *rate_limit(limits)]
    assert headers.get("RateLimit") == rate_limit(limits)[1][1]


def test_a_heading_of_what_is_nobodys_business_sets_none() -> None:
    heading = Heading([told("budget", 1, 0, counts="money", window="day")[0]])

    assert not heading.tells
    assert heading.state([reserving.Standing(ok=True, left=5, wait=0)]) == b""


def test_a_refusal_says_whether_a_smaller_request_may_fit() -> None:
    def message(left: int, wait: int = 5_000_000, **given: Any) -> str:
        return refusal([told("x", left, wait, ok=False, window="day", **given)]).message

    assert message(0, counts="money") == "The limit 'x' of money for this tenant is reached."
    assert "than is left of the limit 'x' of money" in message(7, counts="money")
    assert message(1) == "The limit 'x' of requests for this tenant is reached."
    assert message(0, reserving.NEVER, at_most=0) == "The limit 'x' of requests for this tenant allows none."
