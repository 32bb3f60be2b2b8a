"""What a call is expected to cost, and who is cheapest."""

import pytest

from llmproxy.pools import Pool, place_of
from llmproxy.runtime import Clock
from llmproxy.tariff import Tariff
from llmproxy.testing import make_exchange
from llmproxy_balance.costing import Cheapest, CheapestOptions
from llmproxy_balance.facts import Facts

from .places import asking, names, nested, target

LARGE = target(upstream="openai", model="gpt-4o", name="large")
SMALL = target(upstream="openai", model="gpt-4o-mini", name="small")
LOCAL = target(upstream="local", model="qwen", name="local")


@pytest.fixture(scope="module")
def facts():
    known = Facts()
    known._tariff = Tariff({"openai": "openai"}, Clock())
    known._tariff.load_now()
    return known


def pool(*targets, name="pool"):
    return Pool.of(name, map(place_of, targets))


def test_the_cheapest_comes_first_and_what_has_no_price_last(facts):
    places = pool(LOCAL, LARGE, SMALL).places

    assert names(Cheapest(CheapestOptions(), facts).order(asking("Hi."), places)) == [
        "small",
        "large",
        "local",
    ]


def test_a_pool_costs_what_its_cheapest_place_does(facts):
    outer = nested(
        "outer", pool(LARGE, name="dear"), pool(LARGE, SMALL, name="mixed"), pool(LOCAL, name="free")
    )
    strategy = Cheapest(CheapestOptions(), facts)

    assert names(strategy.order(asking("Hi."), outer.places)) == ["mixed", "dear", "free"]


def test_prompt_and_longest_answer_are_what_is_paid_for(facts):
    strategy = Cheapest(CheapestOptions(output=500), facts)

    assert strategy.expected(asking("Hi.")).output == 500
    assert strategy.expected(asking("Hi.", max_tokens=80, n=2)).output == 160
    assert 2000 < strategy.expected(asking("one two three " * 800)).input < 3000


def test_a_body_that_nobody_can_read_is_guessed_by_its_size(facts):
    exchange = make_exchange(body=b"x" * 4000)
    assert exchange.take_body()

    assert Cheapest(CheapestOptions(), facts).expected(exchange).input == 1000
