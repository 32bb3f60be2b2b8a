"""A store that fails is told: each time in the metrics, now and then in the log."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from llmproxy.caching.entry import BadEntry
from llmproxy.caching.faults import StoreFaults
from llmproxy.metrics import Metrics
from llmproxy.stores import StoreAway


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (StoreAway("store redis://h failed: TimeoutError"), "away", "store redis://h failed: TimeoutError"),
        (BadEntry("what was stored"), "damaged", "BadEntry"),
        (RuntimeError("what was stored"), "error", "RuntimeError"),
    ],
)
def test_a_fault_is_counted_and_told_without_what_was_stored(
    fault: Exception, kind: str, reason: str
) -> None:
    metrics = Metrics()

    with capture_logs() as logs:
        StoreFaults("answers", metrics).add("get", fault)

    told = {"event": "cache_store_fault", "log_level": "warning", "store": "answers", "operation": "get"}
    assert logs == [{**told, "fault": kind, "reason": reason, "faults": 1}]
    counted = f'llmproxy_cache_store_faults_total{{store="answers",operation="get",fault="{kind}"}} 1'
    assert counted in metrics.exposition([metrics.snapshot()])


def test_one_a_minute_is_told_with_how_many_there_were() -> None:
    times = iter((0.0, 1.0, 59.0, 60.0, 61.0))
    faults = StoreFaults("answers", Metrics(), clock=lambda: next(times))

    with capture_logs() as logs:
        for _ in range(5):
            faults.add("get", StoreAway("away"))

    assert [log["faults"] for log in logs] == [1, 3]
