"""Arms: sticky by subject, shared out by weight, few change where weights do, told to all who count."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.arms import ARM
from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.exchange import Caller
from llmproxy.pools import Pool, place_of
from llmproxy.testing import make_exchange
from llmproxy_balance.experiments import Experiment, ExperimentOptions
from llmproxy_balance.facts import Facts

from .places import asking, names, pool_of, target


def experiment(pool, seed=1, **options):
    return Experiment(pool, decode_struct(ExperimentOptions, options, "options"), Random(seed), Facts())


def of_session(name):
    return make_exchange(headers={"x-session-id": name})


def arms(strategy, pool, exchanges):
    for exchange in exchanges:
        list(strategy.order(exchange, pool.places))
        yield exchange.state[ARM].name


def test_a_subject_is_always_in_the_same_arm():
    pool = pool_of(1, 1, 1)
    sessions = [of_session(f"s{number}") for number in range(100)]
    first = list(arms(experiment(pool, seed=1), pool, sessions))

    assert list(arms(experiment(pool, seed=2), pool, sessions)) == first
    assert list(arms(experiment(pool, salt="another drawing"), pool, sessions)) != first
    assert sessions[0].state[ARM].sticky


@pytest.mark.parametrize("weights", [(1, 1), (95, 5), (3, 2, 1)])
def test_arms_get_their_shares_of_the_subjects(weights):
    pool = pool_of(*weights)
    counted = Counter(arms(experiment(pool), pool, (of_session(f"session-{n}") for n in range(6000))))
    whole = sum(weights)
    chi = sum(
        (counted[place.name] - 6000 * place.weight / whole) ** 2 / (6000 * place.weight / whole)
        for place in pool.places
    )

    assert chi < 13.8


@given(st.lists(st.integers(1, 20), min_size=2, max_size=4), st.integers(1, 40))
def test_where_a_weight_grows_nobody_changes_but_to_the_arm_that_grew(weights, more):
    before, after = pool_of(*weights), pool_of(*weights[:-1], weights[-1] + more)
    sessions = [of_session(f"s{number}") for number in range(40)]
    grown = after.places[-1].name
    moves = zip(
        arms(experiment(before), before, sessions), arms(experiment(after), after, sessions), strict=True
    )

    assert all(new in (old, grown) for old, new in list(moves))


def test_members_of_one_target_are_one_arm_and_who_waits_for_failures_is_none():
    first, _, spare = pool_of(1, 1, 1).places
    spare.settings = target(name="c", after=["server"])
    members = [place_of(target(name=f"b@{number}", weight=1)) for number in range(8)]
    for member in members:
        member.label = "b"
    pool = Pool.of("pool", [first, *members, spare])
    strategy = experiment(pool)
    counted = Counter(arms(strategy, pool, (of_session(f"s{number}") for number in range(1000))))

    assert set(counted) == {"a", "b"}
    assert 430 < counted["a"] < 570
    assert set(strategy.order(of_session("me"), pool.places)) == set(pool.places)


def test_an_arm_of_no_weight_gets_nobody():
    pool = pool_of(1, 0)

    assert set(arms(experiment(pool), pool, (of_session(f"s{n}") for n in range(200)))) == {"a"}


def test_a_subject_keeps_its_arm_while_that_is_away_and_others_answer():
    pool = pool_of(1, 1, 1)
    strategy = experiment(pool)
    exchange = of_session("me")
    own, second, third = strategy.order(exchange, pool.places)
    others = [place for place in pool.places if place is not own]

    assert names(strategy.order(exchange, others)) == names([second, third])
    assert exchange.state[ARM].name == own.name


def test_without_fallback_only_the_own_arm_answers():
    pool = pool_of(1, 1, 1)
    strategy = experiment(pool, fallback=False)
    exchange = of_session("me")
    [own] = strategy.order(exchange, pool.places)

    assert list(strategy.order(exchange, [place for place in pool.places if place is not own])) == []


@pytest.mark.parametrize(
    ("by", "exchange"),
    [
        ("user", lambda: asking(user="someone")),
        ("key", lambda: make_exchange(caller=Caller("t", key="k"))),
        ("tenant", lambda: make_exchange(caller=Caller("t"))),
        ("client", lambda: make_exchange(client="192.0.2.7")),
        ("header:X-Team", lambda: make_exchange(headers={"x-team": "blue"})),
    ],
)
def test_subjects_are_told_apart_by_what_the_experiment_says(by, exchange):
    pool = pool_of(*[1] * 8)
    strategy = experiment(pool, by=[by])
    found = list(arms(strategy, pool, [exchange() for _ in range(5)]))

    assert len(set(found)) == 1


def test_who_says_nothing_is_drawn_by_chance_and_told_so():
    pool = pool_of(1, 1)
    exchanges = [make_exchange() for _ in range(400)]
    counted = Counter(arms(experiment(pool), pool, exchanges))

    assert 140 < counted["a"] < 260
    assert not exchanges[0].state[ARM].sticky


def test_what_a_subject_is_called_may_be_any_text():
    pool = pool_of(1, 1)

    for name in ("\xff\xfe", "x" * 8000, "\0"):
        assert experiment(pool).order(make_exchange(caller=Caller(name)), pool.places)
    assert experiment(pool, by=["user"]).order(asking(user="\U0001f600"), pool.places)


@pytest.mark.parametrize("by", [["shoe size"], ["header:"], []])
def test_what_tells_nobody_apart_is_refused(by):
    with pytest.raises(ConfigErrors):
        experiment(pool_of(1, 1), by=by)


def test_a_pool_without_places_has_no_arms():
    pool = pool_of()
    exchange = make_exchange()

    assert experiment(pool).order(exchange, pool.places) == ()
    assert exchange.state.get(ARM) is None
