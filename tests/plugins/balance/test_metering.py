"""Attempts are counted by names of the configuration."""

from llmproxy.metrics import Metrics
from llmproxy_balance.metering import Meters

from .places import pool_of


def test_attempts_are_counted_by_pool_place_and_end():
    metrics = Metrics()
    meters = Meters(metrics)
    pool = pool_of(1)
    pool.name, pool.places[0].label = "fast", "a"
    meters.good(pool, pool.places[0]).inc()
    meters.count("fast", "a", "ok")
    meters.good(pool, pool.places[0]).inc()
    text = metrics.exposition([metrics.snapshot()])

    assert 'llmproxy_attempts_total{pool="fast",place="a",outcome="ok"} 3' in text
