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


def test_that_nobody_can_answer_is_told():
    keeper = Gatekeeper(lambda exchange, place: "no", lambda place: True)
    told = dict(foreseen(LineUp(AllWell(), [keeper]), EXCHANGE, pool_of(1)))

    assert told["pool pool"] == "no place can answer such a request"
