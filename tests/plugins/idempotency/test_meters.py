from __future__ import annotations

from llmproxy.plugin import Metrics
from llmproxy_idempotency.meters import Meters


def test_what_is_met_and_how_it_ended_is_counted_by_route() -> None:
    metrics = Metrics()
    for _ in range(2):  # a reload makes them again
        meters = Meters(metrics)
        meters.met("orders", "replayed")
        meters.ended("orders", "kept")
    text = metrics.exposition([metrics.snapshot()])

    assert 'llmproxy_idempotency_requests_total{route="orders",outcome="replayed"} 2\n' in text
    assert 'llmproxy_idempotency_executions_total{route="orders",result="kept"} 2\n' in text
