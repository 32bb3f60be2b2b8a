from typing import Any

import pytest

from llmproxy.caching.meters import CacheMeters
from llmproxy.caching.statistics import hit_ratio, statistics
from llmproxy.metrics import Metrics


def told(*workers: Metrics) -> Any:
    return statistics(workers[0].families(each.snapshot() for each in workers))


def test_the_numbers_of_all_workers_add_up() -> None:
    workers = [Metrics(), Metrics()]
    for metrics in workers:
        meters = CacheMeters(metrics, "cache")
        for outcome in ("hit", "hit", "miss", "bypass"):
            meters.answered("models", outcome, 0.001)  # type: ignore[arg-type]
        meters.stored("models", "stored", 100)
        for what, much in (("tokens", 7), ("dollars", 0.0015), ("seconds", 0.5)):
            saved = metrics.counter(f"llmproxy_cache_saved_{what}_total", "Saved.", ("cache", "route"))
            saved.labels("cache", "models").inc(much)
    route = told(*workers)["caches"]["cache"]["routes"]["models"]

    assert route["outcomes"] == {"hit": 4, "miss": 2, "bypass": 2}
    assert route["answers"] == {"stored": 2}
    assert route["saved"] == {"tokens": 14, "dollars": 0.003, "seconds": 1.0}
    assert route["hit_ratio"] == 0.6667


def test_a_store_says_what_failed_and_what_was_purged() -> None:
    metrics = Metrics()
    faults = metrics.counter("llmproxy_cache_store_faults_total", "F.", ("store", "operation", "fault"))
    faults.labels("main", "get", "away").inc()
    purges = metrics.counter("llmproxy_cache_purges_total", "P.", ("store", "kind", "heard"))
    purges.labels("main", "soft", "everywhere").inc(2)

    assert told(metrics)["stores"]["main"]["faults"] == {"get away": 1}
    assert told(metrics)["stores"]["main"]["purges"] == {"soft everywhere": 2}


def test_a_gateway_without_caches_has_no_numbers() -> None:
    assert told(Metrics()) == {"caches": {}, "stores": {}}


@pytest.mark.parametrize(
    ("outcomes", "ratio"),
    [
        ({}, None),
        ({"bypass": 9}, None),
        ({"miss": 1}, 0.0),
        ({"hit": 1, "stale": 1, "joined": 1, "revalidated": 1, "miss": 4, "bypass": 9}, 0.5),
    ],
)
def test_the_ratio_is_of_those_that_could_be_hits(outcomes: dict[str, int], ratio: float | None) -> None:
    assert hit_ratio(outcomes) == ratio
