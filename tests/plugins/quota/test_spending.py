from __future__ import annotations

from typing import Any, cast

import msgspec

from llmproxy.plugin import RESERVATIONS, AccountScope, Endpoint, PriceConfig, Tariff
from llmproxy.runtime import Clock
from llmproxy.testing import make_exchange
from llmproxy_quota.book import Book, Rules
from llmproxy_quota.bounds import Bound
from llmproxy_quota.config import LimitConfig, QuotaConfig
from llmproxy_quota.course import Course
from llmproxy_quota.pricing import Pricing
from llmproxy_quota.spending import Spending
from llmproxy_quota.taking import Hold

CONFIG = QuotaConfig(store="counters", limits=())
PLACES = (Endpoint("own", "m"),)
BOUND = Bound(80, 20, 10, 5)


class FakeTaker:
    def __init__(self) -> None:
        self.settled: list[Any] = []

    def settle(self, hold: Hold, actual: Any) -> None:
        self.settled.append((hold, list(actual)))


def spending(taker: FakeTaker, dollars: float = 1.0) -> Spending:
    tariff = Tariff({}, Clock(), {"own/m": PriceConfig(input=dollars, output=dollars)})
    return Spending(Pricing(tariff), cast("Any", taker), CONFIG, lambda: 5.0)


def rules(*counts: str) -> Rules:
    limits = [
        msgspec.convert({"name": each, "counts": each, "at_most": 10**6, "window": "day"}, LimitConfig)
        for each in counts
    ]
    return Book("quota", limits).rules("t", (AccountScope("tenant", "t"),))


def test_a_request_that_comes_again_takes_the_same() -> None:
    found, spends = rules("tokens"), spending(FakeTaker())
    first = spends.portion(make_exchange(), found, BOUND, PLACES)
    other = spends.portion(make_exchange(), found, Bound(1, 2, 1, 1), PLACES)

    assert (first.amounts, other.amounts) == ((100,), (3,))
    assert spends.portion(make_exchange(), found, BOUND, PLACES) is first


def test_what_is_paid_is_worked_out_each_time() -> None:
    found = rules("tokens", "money")
    cheap, dear = spending(FakeTaker()), spending(FakeTaker(), 3.0)
    amounts = [each.portion(make_exchange(), found, BOUND, PLACES).amounts for each in (cheap, dear)]

    assert amounts == [(100, 100), (100, 300)]


def test_others_see_what_each_attempt_took() -> None:
    spends, course, exchange = spending(FakeTaker()), Course(), make_exchange()
    portion = spends.portion(exchange, rules("tokens", "money"), BOUND, PLACES)
    for number in (1, 2):
        spends.keep(exchange, course, Hold(portion), number, BOUND)
    held = exchange.state[RESERVATIONS]

    assert list(held) == list(course.late) == [1, 2]
    assert held[1].id != held[2].id
    assert (held[1].input, held[1].output, held[1].money, held[1].ends) == (80, 20, 100, 5.0 + CONFIG.lease)


def test_what_was_not_sent_is_given_back_once() -> None:
    taker, course = FakeTaker(), Course()
    spends = spending(taker)
    hold = course.late[1] = Hold(spends.portion(make_exchange(), rules("tokens", "money"), BOUND, PLACES))
    spends.release(course, 1)
    spends.release(course, 1)

    assert taker.settled == [(hold, [0, 0])]
