from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.exposition import render
from llmproxy.metrics import Metrics, merge


def samples(text):
    """Return every sample of what Prometheus would read, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_help_and_special_numbers_are_written_as_prometheus_wants_them():
    metrics = Metrics()
    gauge = metrics.gauge("g", "Two\nlines, one \\.", ("l",))
    for name, value in (("nan", float("nan")), ("inf", float("inf")), ("minus", float("-inf"))):
        gauge.labels(name).set(value)
    text = render(merge([metrics.snapshot()]))

    assert r"# HELP g Two\nlines, one \\." in text
    assert samples(text)["g", ("l", "inf")] == float("inf")
    assert samples(text)["g", ("l", "minus")] == float("-inf")
    assert 'g{l="nan"} NaN' in text


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2))
def test_any_label_value_reads_back(values):
    metrics = Metrics()
    metrics.counter("a_total", "A.", ("x", "y")).labels(*values).inc()

    assert samples(render(merge([metrics.snapshot()])))["a_total", ("x", values[0]), ("y", values[1])] == 1
