import os

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.metrics import DEFAULT_SECONDS, Metrics, merge, render
from llmproxy.totals import Totals


def shown(*processes):
    """Every sample of what Prometheus would read, by name and labels."""
    text = render(merge(process.snapshot() for process in processes))
    return samples(text)


def samples(text):
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_counter_counts():
    metrics = Metrics()
    child = metrics.counter("seen_total", "Seen.", ("route",)).labels("a")
    child.inc()
    child.inc(4)

    assert shown(metrics)["seen_total", ("route", "a")] == 5


def test_a_gauge_rises_and_falls():
    metrics = Metrics()
    child = metrics.gauge("open", "Open.").labels()
    child.inc()
    child.inc()
    child.dec()

    assert shown(metrics)["open",] == 1
    child.set(7.5)
    assert shown(metrics)["open",] == 7.5


def test_a_histogram_counts_a_value_on_a_bound_below_it():
    metrics = Metrics()
    child = metrics.histogram("took_seconds", "Took.", ("route",), (0.1, 1)).labels("a")
    for value in (0.05, 0.1, 0.5, 3):
        child.observe(value)
    found = shown(metrics)

    assert [found["took_seconds_bucket", ("le", le), ("route", "a")] for le in ("0.1", "1.0", "+Inf")] == [
        2,
        3,
        4,
    ]
    assert found["took_seconds_count", ("route", "a")] == 4
    assert found["took_seconds_sum", ("route", "a")] == pytest.approx(3.65)


def test_a_metric_is_made_once():
    metrics = Metrics()

    assert metrics.counter("a_total", "A.") is metrics.counter("a_total", "A.")
    assert metrics.histogram("b", "B.") is metrics.histogram("b", "B.", buckets=DEFAULT_SECONDS)


@pytest.mark.parametrize(
    "again",
    [
        lambda metrics: metrics.counter("a_total", "A.", ("tenant",)),
        lambda metrics: metrics.gauge("a_total", "A.", ("route",)),
        lambda metrics: metrics.histogram("h", "H.", buckets=(1, 2)),
        lambda metrics: metrics.gauge("g", "G.", mode="max"),
    ],
)
def test_another_shape_under_a_name_is_refused(again):
    metrics = Metrics()
    metrics.counter("a_total", "A.", ("route",))
    metrics.histogram("h", "H.")
    metrics.gauge("g", "G.")

    with pytest.raises(ValueError, match="already"):
        again(metrics)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda metrics: metrics.counter("a", "no _total"),
        lambda metrics: metrics.gauge("a-b", "dash"),
        lambda metrics: metrics.gauge("a", "label", ("__name",)),
        lambda metrics: metrics.gauge("a", "label", ("x", "x")),
        lambda metrics: metrics.histogram("a", "label", ("le",)),
        lambda metrics: metrics.histogram("a", "buckets", buckets=()),
        lambda metrics: metrics.histogram("a", "buckets", buckets=(2, 1)),
        lambda metrics: metrics.histogram("a", "buckets", buckets=(1, float("inf"))),
    ],
)
def test_what_prometheus_could_not_read_is_refused(wrong):
    with pytest.raises(ValueError, match="'a"):
        wrong(Metrics())


def test_label_values_must_fit_the_label_names():
    with pytest.raises(ValueError, match="has the labels route, got 2 values"):
        Metrics().counter("a_total", "A.", ("route",)).labels("x", "y")


def test_label_sets_past_the_bound_are_counted_as_other():
    metrics = Metrics(max_series=2)
    counter = metrics.counter("a_total", "A.", ("route", "model"))
    for name in "abcd":
        counter.labels(name, "m").inc()
    found = shown(metrics)

    assert found["a_total", ("model", "m"), ("route", "a")] == 1
    assert found["a_total", ("model", "other"), ("route", "other")] == 2
    assert found["llmproxy_metric_series_dropped_total", ("metric", "a_total")] == 2


def test_a_bound_on_the_bound_itself_does_not_recurse():
    metrics = Metrics(max_series=1)
    for name in ("a_total", "b_total"):
        for value in "xyz":
            metrics.counter(name, "A.", ("l",)).labels(value)

    found = shown(metrics)
    assert found["llmproxy_metric_series_dropped_total", ("metric", "a_total")] == 2
    assert found["llmproxy_metric_series_dropped_total", ("metric", "other")] == 2


def test_workers_are_summed():
    one, two = Metrics(), Metrics()
    for metrics, n in ((one, 1), (two, 2)):
        metrics.counter("a_total", "A.", ("r",)).labels("x").inc(n)
        metrics.counter("a_total", "A.", ("r",)).labels(f"only {n}").inc()
        metrics.gauge("g", "G.").labels().set(n)
        metrics.gauge("m", "M.", mode="max").labels().set(n)
        metrics.histogram("h", "H.", buckets=(1.5,)).labels().observe(n)
    found = shown(one, two)

    assert found["a_total", ("r", "x")] == 3
    assert found["a_total", ("r", "only 1")] == found["a_total", ("r", "only 2")] == 1
    assert found["g",] == 3
    assert found["m",] == 2
    assert found["h_bucket", ("le", "1.5")] == 1
    assert found["h_count",] == 2


def test_of_two_shapes_the_first_stands():
    one, two = Metrics(), Metrics()
    one.gauge("g", "G.").labels().set(1)
    two.gauge("g", "G.", ("l",)).labels("x").set(2)

    assert shown(one, two) == {("g",): 1}


@pytest.fixture
def totals():
    made = Totals(2)
    yield made
    made.close()


def test_a_dead_workers_counts_stay_in_the_sum(totals):
    pid = os.fork()
    if pid == 0:
        theirs = Metrics(totals, 1)
        theirs.counter("a_total", "A.").labels().inc(5)
        theirs.histogram("h", "H.", buckets=(1,)).labels().observe(2)
        theirs.gauge("open", "Open.").labels().inc()
        theirs.snapshot()
        os._exit(0)
    os.waitpid(pid, 0)
    mine = Metrics(totals, 0)
    mine.counter("a_total", "A.").labels().inc(2)
    mine.gauge("open", "Open.").labels().inc()
    found = samples(mine.exposition([mine.snapshot()]))

    assert found["a_total",] == 7
    assert found["h_sum",] == 2
    assert found["open",] == 1


def test_a_worker_and_its_successor_in_one_slot_are_not_counted_twice(totals):
    draining, successor = Metrics(totals, 0), Metrics(totals, 0)
    for metrics in (draining, successor, draining):
        metrics.counter("a_total", "A.").labels().inc()
        answers = [draining.snapshot(), successor.snapshot()]
        found = samples(successor.exposition(answers))

    assert found["a_total",] == 3


def test_a_counter_that_was_shown_goes_on_from_there(totals):
    metrics = Metrics(totals, 0)
    child = metrics.counter("a_total", "A.").labels()
    histogram = metrics.histogram("h", "H.", buckets=(1,)).labels()
    counts = []
    for _ in range(3):
        child.inc()
        histogram.observe(0.5)
        found = samples(metrics.exposition([metrics.snapshot()]))
        counts.append((found["a_total",], found["h_count",], found["h_sum",]))

    assert counts == [(1, 1, 0.5), (2, 2, 1), (3, 3, 1.5)]


def test_counts_wait_for_the_next_snapshot_while_the_cell_is_held(totals, monkeypatch):
    metrics = Metrics(totals, 0)
    metrics.counter("a_total", "A.").labels().inc()
    with monkeypatch.context() as held:
        held.setattr(Totals, "update", lambda *_: False)
        before = metrics.exposition([metrics.snapshot()])

    assert ("a_total",) not in samples(before)
    assert samples(metrics.exposition([metrics.snapshot()]))["a_total",] == 1


def test_a_snapshot_is_plain_msgpack():
    metrics = Metrics()
    metrics.counter("a_total", "A.", ("r",)).labels("x").inc()

    assert msgspec.msgpack.decode(metrics.snapshot(), strict=False)["a_total"][0] == "counter"


def test_what_is_collected_is_brought_up_to_date_when_it_is_asked_for():
    metrics = Metrics()
    counter, count = metrics.counter("things_total", "Things."), [0]
    end = metrics.collect(lambda: counter.labels().inc(count[0]))
    count[0] = 2
    metrics.snapshot()
    end()
    metrics.snapshot()

    assert counter.labels().value == 4
