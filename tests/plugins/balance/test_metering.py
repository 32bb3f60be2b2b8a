"""Attempts are counted by names of the configuration."""

from llmproxy.metrics import Metrics
from llmproxy_balance.metering import Meters


def test_attempts_are_counted_by_pool_place_and_end():
    metrics = Metrics()
    meters = Meters(metrics)
    meters.count("fast", "a", "ok")
    meters.count("fast", "a", "ok")
    text = metrics.exposition([metrics.snapshot()])

    assert 'llmproxy_attempts_total{pool="fast",place="a",outcome="ok"} 2' in text
