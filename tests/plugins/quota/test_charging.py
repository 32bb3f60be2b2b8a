from decimal import Decimal

import pytest

from llmproxy.errors import UpstreamError
from llmproxy.exchange import Attempt
from llmproxy.plugin import AccountScope, Endpoint, GatewayError, PriceConfig, Secondhand, Tariff, Usage
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_quota.book import Book
from llmproxy_quota.bounds import Bound
from llmproxy_quota.charging import amount_of, charge, charge_found, is_free
from llmproxy_quota.config import LimitConfig
from llmproxy_quota.pricing import Pricing


def attempt(
    status: int | None = None, error: BaseException | None = None, usage: Usage | None = None
) -> Attempt:
    return Attempt(1, Endpoint("main"), 0.0, status=status, error=error, usage=usage)


@pytest.mark.parametrize(
    ("made", "free"),
    [
        (attempt(error=UpstreamError("x", "", phase="headers", sent=True)), False),
        (attempt(error=GatewayError(502, "x", "")), False),
        (attempt(error=ConnectionAbortedError()), False),
        (attempt(), False),
        (attempt(status=500), True),
        (attempt(status=400, usage=Usage(input=1)), False),
        (attempt(status=200), False),
    ],
)
def test_only_what_cannot_have_been_used_is_free(made: Attempt, free: bool) -> None:
    assert is_free(made) is free


def test_what_is_absurd_is_taken_for_as_much_as_engines_can_add_up() -> None:
    limit = LimitConfig(name="a", counts="tokens", at_most=Decimal(5), window="day", mode="shadow")
    rule = Book("quota", [limit]).rules("x", (AccountScope("tenant", "x"),)).late[0]
    bound = Bound(10**15, 10**21, 10**15, 10**21)

    assert amount_of(Pricing(Tariff({}, Clock())), make_exchange(), rule, bound, ()) == 10**12


def test_a_batch_counts_all_of_its_tokens_and_half_of_its_price() -> None:
    limits = [
        LimitConfig(name=name, counts=name, at_most=Decimal(5), window="day", mode="shadow")
        for name in ("tokens", "money")
    ]
    rules = Book("quota", limits).rules("x", (AccountScope("tenant", "x"),)).late
    found = Secondhand("belated", Endpoint("main", "m"), Usage(100, output=10), 500_000, "batch_1")
    pricing = Pricing(Tariff({}, Clock(), {"main/*": PriceConfig(input=2, output=20)}))

    assert charge_found(pricing, make_exchange(), rules, found) == [110, 200]


def test_a_session_comes_to_what_its_answers_told_however_it_ends() -> None:
    limit = LimitConfig(name="t", counts="tokens", at_most=Decimal(5), window="day", mode="shadow")
    rules = Book("quota", [limit]).rules("x", (AccountScope("tenant", "x"),)).late
    broken, exchange = attempt(101, ConnectionAbortedError(), Usage(100, output=10)), make_exchange()
    pricing = Pricing(Tariff({}, Clock()))

    assert charge(pricing, exchange, broken, rules, [7]) == [7]
    exchange.upgraded = True
    assert charge(pricing, exchange, broken, rules, [7]) == [110]
