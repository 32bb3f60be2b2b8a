from types import SimpleNamespace

import pytest

from llmproxy.plugin import Attempt, ClientRequest, Endpoint, Exchange, Headers, Metrics, StartError
from llmproxy.registry import HookTable
from llmproxy_metrics import MetricsPlugin
from llmproxy_metrics.config import MetricsConfig


def make_plugin(**config):
    return MetricsPlugin("metrics", MetricsConfig(**config))


def runtime(metrics):
    return SimpleNamespace(metrics=metrics)


def test_the_registry_accepts_its_hooks():
    table = HookTable([make_plugin()])

    for hook in ("lifespan", "pre_route", "attempt_done", "post_response"):
        assert len(table.methods(hook)) == 1


async def test_one_exchange_passes_all_its_hooks():
    plugin, metrics = make_plugin(), Metrics()
    exchange = Exchange(
        ClientRequest("GET", "/", Headers()), SimpleNamespace(name="all", models=None), "id", 1.0
    )
    exchange.outcome.status, exchange.outcome.result, exchange.outcome.ended = 200, "ok", 2.0
    async with plugin.lifespan(runtime(metrics)):
        assert await plugin.pre_route(exchange) is None
        plugin.attempt_done(exchange, Attempt(1, Endpoint("main"), 1.0, status=200))
        await plugin.post_response(exchange)
    text = metrics.exposition([metrics.snapshot()])

    assert 'llmproxy_requests_total{route="all",result="ok",status="2xx"} 1\n' in text
    assert 'llmproxy_upstream_attempts_total{upstream="main",outcome="2xx"} 1\n' in text
    assert 'llmproxy_requests_in_flight{route="all"} 0\n' in text


async def test_a_reload_with_the_same_bounds_goes_on_counting():
    metrics = Metrics()
    for _ in range(2):
        async with make_plugin(per_model=True).lifespan(runtime(metrics)):
            pass


async def test_a_reload_with_other_bounds_is_refused_and_says_what_to_do():
    metrics = Metrics()
    async with make_plugin().lifespan(runtime(metrics)):
        pass

    with pytest.raises(StartError, match=r"plugin 'metrics': .*other 'buckets' take a restart"):
        async with make_plugin(buckets=(1.0, 2.0)).lifespan(runtime(metrics)):
            pass
