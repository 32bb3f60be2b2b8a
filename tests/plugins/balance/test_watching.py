"""Health that nobody watches."""

from llmproxy.exchange import Attempt, Endpoint
from llmproxy.testing import make_exchange
from llmproxy_balance.watching import Unwatched

from .places import pool_of


def test_all_places_are_well():
    pool, watcher = pool_of(1, 1), Unwatched()
    watcher.settle(make_exchange(), Attempt(1, Endpoint("up"), 0.0), None)
    watcher.answered(pool.places[0], Attempt(2, Endpoint("up"), 0.0))

    assert watcher.eligible(pool) is pool.places
    assert watcher.spare(pool) is pool.places
    assert watcher.claim(Endpoint("up"))
    assert watcher.until(pool) is None
