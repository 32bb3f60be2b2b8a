"""The plugin as it runs: its promises as a plugin, what it leaves alone, what explain says."""

from typing import ClassVar

from llmproxy.testing import PluginContract, make_exchange, running_route
from llmproxy_balance import BalancePlugin
from llmproxy_balance.config import BalanceConfig

from .places import pool_of, target

POOLS = {"pools": {"fast": {"targets": ["upstream", {"upstream": "upstream", "model": "again"}]}}}


class TestContract(PluginContract):
    plugin_class = BalancePlugin
    config: ClassVar = {"backoff": "1ms", "max_wait": "10ms"}
    route: ClassVar = {"retries": 1}


class TestPooled(PluginContract):
    plugin_class = BalancePlugin
    config: ClassVar = {"backoff": "1ms", "health": {"failures": 2}}
    more: ClassVar = {
        **POOLS,
        "routes": [{"name": "test", "pool": "fast", "plugins": [{"contract": {"retries": 1}}]}],
    }


async def test_a_place_that_refuses_connections_is_left_for_the_next():
    routes = [{"name": "test", "pool": "fast"}]
    async with running_route({"balance": BalancePlugin}, config={**POOLS, "routes": routes}) as serving:
        served = await serving.serve(make_exchange("GET", "/"))

    assert served.reply.status == 502
    assert len(served.exchange.attempts) == 3


def test_explain_runs_nothing():
    plugin = BalancePlugin("balance", BalanceConfig())
    exchange = make_exchange("GET", "/")
    exchange.endpoints = pool_of(1, target(name="limited", limit=1))

    assert plugin.foresee(exchange, b"") == [("pool pool", "a (up/a), then limited")]


async def test_explain_tells_the_line_up():
    routes = [{"name": "test", "pool": "fast"}]
    async with running_route({"balance": BalancePlugin}, config={**POOLS, "routes": routes}) as serving:
        route = serving.generation.router.match("GET", "", "/", lambda name: None, "").route
        exchange = make_exchange("GET", "/")
        exchange.route, exchange.endpoints = route, route.defaults
        told = route.pipeline.plugins[0].foresee(exchange, b"")

    assert dict(told)["pool fast"] == "upstream, then upstream/again"
