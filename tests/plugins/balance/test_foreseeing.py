"""What explain says of a pool."""

from llmproxy.testing import make_exchange
from llmproxy_balance.foreseeing import foreseen
from llmproxy_balance.lineup import AllWell, Gatekeeper, LineUp

from .places import pool_of, target

EXCHANGE = make_exchange(model="m")


def test_the_order_and_who_is_passed_over_are_told():
    keeper = Gatekeeper(lambda exchange, place: "too small" if place.name == "a" else "", lambda place: True)
    pool = pool_of(1, 1, target(name="large", after=["window"]))

    assert list(foreseen(LineUp(AllWell(), [keeper]), EXCHANGE, pool)) == [
        ("pool pool", "b (up/b)"),
        ("not a", "too small"),
        ("after window", "large"),
    ]


def test_a_condition_that_is_not_met_is_shown_and_so_is_who_gets_copies():
    keeper = Gatekeeper(
        lambda exchange, place: "its condition is not met" if place.settings.when else "", lambda place: True
    )
    pool = pool_of(1, target(name="gold", when="tenant == 'gold'"), target(name="new", mirror=0.05))

    assert list(foreseen(LineUp(AllWell(), [keeper]), EXCHANGE, pool))[1:] == [
        ("not gold", "its condition is not met: tenant == 'gold'"),
        ("mirror new", "gets copies of 5 % of the requests"),
    ]


def test_more_places_than_attempts_are_told_with_the_bound():
    told = dict(foreseen(LineUp(AllWell(), []), make_exchange(model="m"), pool_of(1, 1, 1, 1)))

    assert told["pool pool"].endswith("then d (up/d); 3 attempts at most")


def test_that_nobody_can_answer_is_told():
    keeper = Gatekeeper(lambda exchange, place: "no", lambda place: True)
    told = dict(foreseen(LineUp(AllWell(), [keeper]), EXCHANGE, pool_of(1)))

    assert told["pool pool"] == "no place can answer such a request"
