"""The plugin in a gateway: what its registry lists is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.plugins.discovering import check_listed_and_left
from tests.plugins.registries import FakeEureka

from llmproxy.testing import PluginContract
from llmproxy_discovery_eureka import EurekaDiscoveryPlugin


class TestContract(PluginContract):
    plugin_class = EurekaDiscoveryPlugin
    config: ClassVar[dict[str, Any]] = {
        "application": "backend",
        "servers": ["http://127.0.0.1:9/eureka"],
        "username": "u",
        "password": "${env:TOKEN}",
    }
    environ: ClassVar[dict[str, str]] = {"TOKEN": "the-token-of-this-test"}


async def test_who_is_listed_is_asked_and_who_leaves_is_asked_no_more() -> None:
    async with FakeEureka() as registry:
        config = {
            "application": "backend",
            "servers": [f"{registry.url}/eureka"],
            "interval": "100ms",
        }
        await check_listed_and_left("discovery_eureka", config, registry)
