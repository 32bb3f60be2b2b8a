import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmproxy.plugin import (
    Attempt,
    ClientRequest,
    Endpoint,
    Exchange,
    Headers,
    Metrics,
    UpstreamError,
    UpstreamTimeout,
    Usage,
)
from llmproxy_metrics.meters import Meters, outcome_of


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def meters(metrics):
    return Meters(metrics, (0.1, 1), per_model=False)


def make_exchange(route="chat", models=("fast",), model=None):
    named = SimpleNamespace(names=lambda: models)
    request = ClientRequest("POST", "/v1/chat/completions", Headers())
    exchange = Exchange(request, SimpleNamespace(name=route, models=named), "id", 100.0)
    exchange.model = model
    return exchange


def finish(meters, exchange, *, result="ok", status=200, seconds=0.5, first_byte=0.05):
    outcome = exchange.outcome
    outcome.result, outcome.status, outcome.ended = result, status, 100.0 + seconds
    outcome.first_byte_at = None if first_byte is None else 100.0 + first_byte
    meters.route(exchange).end(exchange)


def shown(metrics):
    text = metrics.exposition([metrics.snapshot()])
    return {
        (
            sample.name.removeprefix("llmproxy_"),
            *(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_an_exchange_is_counted_by_route_result_and_status(meters, metrics):
    for result, status in (("ok", 200), ("ok", 201), ("upstream_error", 502), ("client_gone", 0)):
        finish(meters, make_exchange(), result=result, status=status)
    found = shown(metrics)

    assert found["requests_total", "ok", "chat", "2xx"] == 2
    assert found["requests_total", "upstream_error", "chat", "5xx"] == 1
    assert found["requests_total", "client_gone", "chat", "none"] == 1


def test_durations_are_told_by_route_and_result(meters, metrics):
    finish(meters, make_exchange(), seconds=0.5, first_byte=0.05)
    finish(meters, make_exchange("files"), seconds=7, first_byte=None)
    found = shown(metrics)

    assert found["request_seconds_bucket", "0.1", "ok", "chat"] == 0
    assert found["request_seconds_bucket", "1.0", "ok", "chat"] == 1
    assert found["request_seconds_sum", "ok", "files"] == 7
    assert found["first_byte_seconds_bucket", "0.1", "chat"] == 1
    assert found["first_byte_seconds_count", "files"] == 0


def test_the_first_output_is_that_of_the_attempt_that_had_one(meters, metrics):
    exchange = make_exchange()
    exchange.streamed = True
    exchange.attempts = [
        Attempt(1, Endpoint("a"), 100.0),
        Attempt(2, Endpoint("b"), 100.1, first_output_at=100.9),
    ]
    finish(meters, exchange)

    assert shown(metrics)["first_output_seconds_sum", "chat"] == pytest.approx(0.9)


def test_what_has_begun_is_in_flight_until_it_ends(meters, metrics):
    exchanges = [make_exchange(), make_exchange()]
    for exchange in exchanges:
        meters.route(exchange).begin(exchange)
    during = shown(metrics)["requests_in_flight", "chat"]
    for exchange in exchanges:
        finish(meters, exchange)

    assert during == 2
    assert shown(metrics)["requests_in_flight", "chat"] == 0


def test_an_exchange_answered_above_does_not_make_the_gauge_fall(meters, metrics):
    finish(meters, make_exchange(), result="answered", status=401)

    assert shown(metrics)["requests_in_flight", "chat"] == 0


def test_a_generation_that_drains_and_the_next_share_the_gauge(meters, metrics):
    old = make_exchange()
    meters.route(old).begin(old)
    following = Meters(metrics, (0.1, 1), per_model=False)
    new = make_exchange()
    following.route(new).begin(new)
    finish(meters, old)

    assert shown(metrics)["requests_in_flight", "chat"] == 1


def test_tokens_are_counted_by_bucket(meters, metrics):
    exchange = make_exchange(model="fast")
    exchange.usage = Usage(input=10, cache_read=20, output=5)
    finish(meters, exchange)
    found = shown(metrics)

    assert found["tokens_total", "input", "other", "chat"] == 10
    assert found["tokens_total", "cache_read", "other", "chat"] == 20
    assert found["tokens_total", "cache_write", "other", "chat"] == 0
    assert found["tokens_total", "output", "other", "chat"] == 5


def test_models_are_told_apart_only_if_the_configuration_names_them(metrics):
    meters = Meters(metrics, (1,), per_model=True)
    for model in ("fast", "made up by a caller", None):
        exchange = make_exchange(model=model)
        exchange.usage = Usage(output=1)
        finish(meters, exchange)
    found = shown(metrics)

    assert found["tokens_total", "output", "fast", "chat"] == 1
    assert found["tokens_total", "output", "other", "chat"] == 2


def test_a_route_without_models_counts_under_other(metrics):
    meters = Meters(metrics, (1,), per_model=True)
    exchange = make_exchange(model="fast")
    exchange.route.models = None
    exchange.usage = Usage(output=1)
    finish(meters, exchange)

    assert shown(metrics)["tokens_total", "output", "other", "chat"] == 1


def test_callers_that_left_are_counted(meters, metrics):
    exchange = make_exchange()
    exchange.outcome.client_gone = True
    finish(meters, exchange, result="client_gone", status=0)

    assert shown(metrics)["client_gone_total", "chat"] == 1


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "2xx"),
        (429, None, "4xx"),
        (None, None, "none"),
        (None, UpstreamError("refused", "no", phase="connect", sent=False), "connect"),
        (None, UpstreamTimeout("headers", 5, sent=True), "headers"),
        (200, UpstreamError("cut", "cut", phase="body", sent=True), "body"),
        (None, asyncio.CancelledError(), "cancelled"),
        (200, ConnectionAbortedError("the body was abandoned"), "cancelled"),
        (None, ValueError("ours"), "fault"),
    ],
)
def test_an_attempt_ends_as_a_status_class_or_a_phase(status, error, outcome):
    assert outcome_of(Attempt(1, Endpoint("main"), 0.0, status=status, error=error)) == outcome


def test_attempts_are_counted_by_upstream(meters, metrics):
    for upstream, status in (("main", 500), ("main", 500), ("spare", 200)):
        meters.attempt(Attempt(1, Endpoint(upstream), 0.0, status=status))
    found = shown(metrics)

    assert found["upstream_attempts_total", "5xx", "main"] == 2
    assert found["upstream_attempts_total", "2xx", "spare"] == 1
