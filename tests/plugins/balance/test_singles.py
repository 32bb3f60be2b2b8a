"""Pools of what the configuration names without any."""

from llmproxy.exchange import Endpoint
from llmproxy_balance.singles import Singles

from .places import names


def test_endpoints_are_a_pool_in_their_order():
    singles = Singles()
    pool = singles.pool_of((Endpoint("a", "m"), Endpoint("b")))

    assert names(pool.places) == ["a", "b"]
    assert [place.endpoint for place in pool.places] == [Endpoint("a", "m"), Endpoint("b")]
    assert singles.pool_of([Endpoint("a", "m"), Endpoint("b")]) is pool


def test_names_that_callers_write_fill_no_memory():
    singles = Singles()
    pools = [singles.pool_of([Endpoint("a", str(number))]) for number in range(1000)]

    assert {pool.name for pool in pools} == {"a"}
    assert len(singles._pools) <= 256
