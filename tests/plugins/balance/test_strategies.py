"""Orders: every one a permutation, shares as the weights say, the same seed the same choices."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.pools import Pool
from llmproxy.registry import NoConfig, Registrations, Registry
from llmproxy.testing import make_exchange
from llmproxy_balance.facts import Facts
from llmproxy_balance.strategies import (
    LeastInFlight,
    Ordered,
    RoundRobin,
    Rule,
    TwoChoices,
    Weighted,
    kinds,
    latency,
    load,
    register,
)

from .places import asking, names, nested, pool_of, target

EXCHANGE = make_exchange()
WEIGHTS = st.lists(st.sampled_from([0, 0.5, 1, 2, 5, 100]), min_size=1, max_size=6)


def firsts(strategy, places, times, exchange=EXCHANGE):
    """Who comes first, how often."""
    return Counter(next(iter(strategy.order(exchange, places))).name for _ in range(times))


def chi_square(counted, shares):
    total = sum(counted.values())
    whole = sum(shares.values())
    return sum(
        (counted[name] - total * share / whole) ** 2 / (total * share / whole)
        for name, share in shares.items()
    )


def make(name, pool, seed=1, **options):
    maker, struct = kinds(Random(seed), Facts())[name]
    return maker(pool, decode_struct(struct, options, "options"))


@given(
    weights=WEIGHTS,
    seed=st.integers(0, 1000),
    name=st.sampled_from(sorted(kinds(Random(), Facts()).keys() - {"complexity"})),
    loads=st.lists(st.integers(0, 20), min_size=6, max_size=6),
)
def test_every_order_is_a_permutation_of_the_places_that_may_answer(weights, seed, name, loads):
    pool = pool_of(*weights)
    for place, busy in zip(pool.places, loads, strict=False):
        place.vitals.in_flight = busy
        place.vitals.latency = busy / 10 or None
    strategy = make(name, pool, seed)
    eligible = pool.places[seed % 2 :] or pool.places
    for _ in range(3):
        ordered = list(strategy.order(asking(user="u"), eligible))

        assert sorted(names(ordered)) == sorted(names(eligible))


@given(weights=WEIGHTS, name=st.sampled_from(["weighted", "round_robin", "least_in_flight", "p2c", "ab"]))
def test_what_weighs_nothing_comes_after_what_weighs_something(weights, name):
    pool = pool_of(*weights)
    strategy = make(name, pool)
    for _ in range(3):
        ordered = [bool(place.weight) for place in strategy.order(make_exchange(), pool.places)]

        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("name", ["weighted", "round_robin", "least_in_flight", "p2c", "ab"])
@pytest.mark.parametrize("count", [2, 5])
def test_the_same_seed_gives_the_same_choices(name, count):
    def choices(seed):
        pool = pool_of(*[1] * count)
        strategy = make(name, pool, seed)
        return [tuple(names(strategy.order(make_exchange(), pool.places))) for _ in range(50)]

    assert choices(7) == choices(7)
    assert name == "round_robin" or choices(7) != choices(8)


@pytest.mark.parametrize("weights", [(1, 3), (5, 1, 1), (1, 1, 1, 1), (0.2, 0.7, 0.1)])
def test_weighted_chooses_as_often_as_the_weights_say(weights):
    pool = pool_of(*weights)
    counted = firsts(Weighted(Random(42)), pool.places, 6000)

    # 99.9 % of such counts are below, for three degrees of freedom.
    assert chi_square(counted, {place.name: place.weight for place in pool.places}) < 16.3


def test_the_second_of_a_weighted_order_is_drawn_by_weight_too():
    pool = pool_of(1000, 3, 1)
    strategy = Weighted(Random(42))
    orders = [names(strategy.order(EXCHANGE, pool.places)) for _ in range(4000)]
    seconds = Counter(order[1] for order in orders if order[0] == "a")

    assert chi_square(seconds, {"b": 3, "c": 1}) < 10.9


@given(weights=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_round_robin_gives_each_exactly_its_turns_in_each_round(weights):
    pool = pool_of(*weights)
    strategy = RoundRobin()
    for _ in range(3):
        assert firsts(strategy, pool.places, sum(weights)) == {
            place.name: place.weight for place in pool.places
        }


def test_round_robin_spreads_the_turns_of_a_heavy_place():
    pool = pool_of(5, 1, 1)
    strategy = RoundRobin()
    turns = [next(iter(strategy.order(EXCHANGE, pool.places))).name for _ in range(7)]

    assert turns == ["a", "a", "b", "a", "c", "a", "a"]


def test_round_robin_goes_on_with_those_who_are_left_and_forgets_members_that_left():
    strategy = RoundRobin()
    for _ in range(100):
        members = pool_of(1, 1, 1).places  # places that are new each time
        list(strategy.order(EXCHANGE, members))

    assert len(strategy._turns) < 25

    stays = pool_of(1, 1, 1).places
    assert firsts(strategy, stays, 30) == {"a": 10, "b": 10, "c": 10}
    assert firsts(strategy, stays[:2], 30) == {"a": 15, "b": 15}
    assert strategy.order(EXCHANGE, ()) == ()


def test_who_waits_for_failures_takes_no_turns():
    places = pool_of(1, 1, 1).places
    places[2].settings = target(name="c", after=["server"])

    assert firsts(RoundRobin(), places, 10) == {"a": 5, "b": 5}


def test_a_rule_comes_before_what_is_for_all():
    pool = pool_of(target(name="rest"), target(model="x", name="gold", when="tenant == 'gold'"))

    assert names(Rule().order(EXCHANGE, pool.places)) == ["gold", "rest"]
    assert names(Ordered().order(EXCHANGE, pool.places)) == ["rest", "gold"]


@pytest.mark.parametrize("count", [2, 3])
def test_least_in_flight_takes_the_idlest_for_its_weight(count):
    pool = pool_of(1, 4, 4)
    places = pool.places[:count]
    places[0].vitals.in_flight = 1
    places[1].vitals.in_flight = 5
    if count == 3:
        places[2].vitals.in_flight = 30

    # 2 / 1 against 6 / 4
    assert names(LeastInFlight(Random(1)).order(EXCHANGE, places))[:2] == ["b", "a"]


@pytest.mark.parametrize("count", [2, 4])
def test_equally_idle_places_take_turns_by_chance(count):
    places = pool_of(*[1] * count).places
    counted = firsts(LeastInFlight(Random(3)), places, 2000)

    assert chi_square(counted, {place.name: 1 for place in places}) < 16.3


def test_of_two_the_one_that_will_answer_sooner_is_chosen():
    first, second = places = pool_of(1, 1).places
    first.vitals.latency, first.vitals.in_flight = 0.1, 9
    second.vitals.latency, second.vitals.in_flight = 0.4, 1
    strategy = TwoChoices(Random(1))

    assert names(strategy.order(EXCHANGE, places)) == ["b", "a"]

    first.vitals.in_flight = 6
    assert names(strategy.order(EXCHANGE, places)) == ["a", "b"]

    first.vitals.latency = None  # not known: as fast as the other, so the load decides
    assert names(strategy.order(EXCHANGE, places)) == ["b", "a"]


def test_of_many_the_slowest_is_never_chosen_first():
    places = pool_of(1, 1, 1, 1, 1).places
    for index, place in enumerate(places):
        place.vitals.latency = 0.1 * (index + 1)
    counted = firsts(TwoChoices(Random(5)), places, 3000)

    assert counted["e"] == 0
    # The chance that a place is drawn with slower ones alone.
    assert chi_square(counted, {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}) < 16.3
    assert all(one > other for one, other in pairwise(counted[name] for name in "abcd"))


def test_load_spreads_evenly_where_each_choice_adds_to_it():
    places = pool_of(1, 1, 2).places
    strategy = TwoChoices(Random(9))
    for _ in range(400):
        next(iter(strategy.order(EXCHANGE, places))).vitals.in_flight += 1

    assert {place.name: round(place.vitals.in_flight / 100, 1) for place in places} == pytest.approx(
        {"a": 1.0, "b": 1.0, "c": 2.0}, abs=0.15
    )


def test_a_pool_in_a_pool_is_as_busy_as_its_places_and_as_fast_as_they_are_on_average():
    inner = pool_of(1, 1, 1, name="inner")
    outer = nested("outer", inner)
    for place, seconds in zip(inner.places, (0.2, 0.4, None), strict=True):
        place.vitals.in_flight, place.vitals.latency = 2, seconds

    assert load(outer.places[0]) == 7
    assert latency(outer.places[0]) == pytest.approx(0.3)
    assert latency(nested("idle", Pool.of("none", ())).places[0]) is None


def test_all_strategies_are_offered_with_their_options():
    into = Registrations()
    register(Registry("balance", into), Random(1))

    assert set(into.strategies) == {
        "ordered",
        "rule",
        "weighted",
        "round_robin",
        "least_in_flight",
        "p2c",
        "cheapest",
        "complexity",
        "ab",
    }
    assert into.strategies["weighted"].options is NoConfig
    with pytest.raises(ConfigErrors, match="unknown key"):
        make("cheapest", pool_of(1), outpout=1)
