from llmproxy.caching.growth import Growth
from llmproxy.metrics import Metrics


def test_a_counter_grows_by_what_was_counted_since() -> None:
    metrics, counts = Metrics(), {"size": 3}
    counter = metrics.counter("evictions_total", "Gone.", ("store", "reason"))
    growth = Growth(counter, ("main",), lambda: counts)
    counts.update(size=5, expired=1)
    growth.tell()
    growth.tell()
    counts["size"] += 1
    growth.tell()

    assert counter.labels("main", "size").value == 3
    assert counter.labels("main", "expired").value == 1


def test_one_who_counts_from_zero_again_takes_nothing_away() -> None:
    metrics, counts = Metrics(), {"size": 0}
    counter = metrics.counter("evictions_total", "Gone.", ("reason",))
    growth = Growth(counter, (), lambda: counts)
    for count in (4, 0, 2):
        counts["size"] = count
        growth.tell()

    assert counter.labels("size").value == 6
